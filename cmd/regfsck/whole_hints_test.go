package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// The commands that lead on are the one that was typed, with all that was given
// which decides what is found and how it ends; none removes what nobody named.
func TestHintsAreWhatWasTyped(t *testing.T) {
	b := rotten()
	for i := range 12 { // so many that lists are cut
		body := []byte{byte(i), 1, 2, 3}
		b.PutAt(layout.BlobKey(layout.Sum(body)), body, fixtures.Epoch)
		b.Put(fmt.Sprintf("docker/registry/v2/blobs/stray%02d", i), body)
	}
	f := newFix(t, b)
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	f.plan(t, "--save-plan", "DIR/p")
	for _, c := range []struct {
		args string
		want []string
		not  []string
	}{
		{"check STORE --fail-on warning --thorough --workers 3 --no-progress", []string{
			"regfsck check STORE --workers 3 --thorough --fail-on warning --json",
			"regfsck check STORE --workers 3 --thorough --fail-on warning --report regfsck.json",
			"regfsck fix STORE --workers 3 --thorough ",
		}, nil},
		{"check STORE --fail-on never --verify 5%", []string{"regfsck check STORE --verify 5% --fail-on never --json", "regfsck fix STORE "}, []string{"fix STORE --"}},
		{"fix STORE --also tag-dangling --max-delete 100% --grace 0", []string{
			"regfsck fix STORE --grace 0 --also tag-dangling --max-delete 100% --apply ", "carries out exactly this",
		}, nil},
		{"fix STORE --max-delete 0%", []string{
			"--apply would be refused", "regfsck fix STORE --max-delete 0% --apply ", "carries this out, once nothing refuses it",
		}, []string{"exactly this"}},
		{"prune STORE --keep-last 1 --max-delete 100%", []string{"regfsck prune STORE --keep-last 1 --max-delete 100% --apply"}, []string{"regfsck rm"}},
		{"apply DIR/p --max-delete 0% --yes", []string{"they stand in DIR/p"}, []string{"regfsck rm", "regfsck fix", "regfsck apply STORE"}},
	} {
		f.run(append(strings.Fields(c.args), "--color", "never")...)
		text := strings.NewReplacer(f.store, "STORE", f.dir, "DIR").Replace(f.out.String())
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s%s", c.args, want, text, f.errs.String())
			}
		}
		for _, not := range c.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q in\n%s", c.args, not, text)
			}
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// What was emptied a moment ago is waited for and judged, and a line says so;
// judged at once it is unknown, which the exit code and the verdict say.
func TestWhatMovesIsWaitedFor(t *testing.T) {
	b := fixtures.Standard()
	f := newWhole(t, b)
	key := layout.CurrentKey("base", "stable")
	path := filepath.Join(f.store, filepath.FromSlash(key))
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	written := f.now().Add(-20 * time.Second)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "fix"} {
		f.slept = nil
		code := f.run(command, "STORE", "--no-progress")
		want := "regfsck: something was written or removed within the last minute around " + key + ": waiting 40 s to look again (--no-wait judges at once)\n"
		if code != 4 || f.errs.String() != want || len(f.slept) != 1 || !f.slept[0].Equal(written.Add(time.Minute)) {
			t.Errorf("%s: exit %d, slept %v, %q", command, code, f.slept, f.errs.String())
		}
		if !strings.Contains(f.out.String(), "DAMAGED: ") && command == "check" {
			t.Errorf("%s", f.out.String())
		}
		f.slept = nil
		code = f.run(command, "STORE", "--no-progress", "--no-wait")
		if code != 8 || f.errs.Len() > 0 || len(f.slept) > 0 {
			t.Errorf("%s at once: exit %d, slept %v, %q", command, code, f.slept, f.errs.String())
		}
		if !strings.Contains(f.out.String(), "INCOMPLETE: 1 tag unknown") && command == "check" || strings.Contains(f.out.String(), "CLEAN") {
			t.Errorf("%s", f.out.String())
		}
	}
}

package apply

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/graph/plan"
)

// A line is written as encoding/json would, whatever is in it.
func TestALineOfTheJournalIsWrittenAsJSONIs(t *testing.T) {
	for _, text := range []string{"", "a", `quote " and <&>`, "bytes \xff\n", "base64:x", "ünïcode"} {
		for _, r := range []record{
			{Begin: &begin{Plan: text, Keep: true}},
			{Intent: &intent{}},
			{Intent: &intent{plan.Write, plan.Rebuilt, text, text, text, text, 7, true, plan.Text(text), plan.Text(text), 9, text, text}},
			{Receipt: &receipt{}},
			{Receipt: &receipt{Key: text, Upload: text, Freed: -1, Kept: 3, Undo: text, Err: text, Time: 5}},
			{End: &end{By: text}},
		} {
			want, err := json.Marshal(&r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.append(nil); err != nil || string(got) != string(want) {
				t.Errorf("%s, %v\nencoding/json: %s", got, err, want)
			}
		}
	}
}

// A glance at a journal says what reading it does of how far the run has come,
// wherever it ends.
func TestAGlanceSaysWhatTheJournalSays(t *testing.T) {
	state := t.TempDir()
	dir := runDir(state, "r")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	many := func(n int) (all []record) {
		for i := range n {
			all = append(all, record{Intent: &intent{Op: plan.Remove, Kind: plan.Blob, Key: strings.Repeat("k", i%200)}})
		}
		return all
	}
	ended, over := record{End: &end{Time: now}}, record{End: &end{Time: now, Interrupted: true}}
	undo, undone, purge := record{Undo: &mark{now}}, record{Undone: &mark{now}}, record{Purge: &mark{now}}
	for name, last := range map[string][]record{
		"unfinished": nil, "done": {ended}, "interrupted": {over}, "taken up": append([]record{over}, many(300)...),
		"undoing": {ended, undo}, "undone": {ended, undo, undone}, "purged": {ended, purge}, "purged in the middle": {ended, undo, purge},
		"folders": {{End: &end{Time: now, Folders: true}}},
	} {
		for _, n := range []int{0, 5, 3000} {
			var all []byte
			for _, r := range slices.Concat([]record{{Begin: &begin{Plan: "p", Keep: true, Time: now}}}, many(n), last) {
				line, err := r.append(nil)
				if err != nil {
					t.Fatal(err)
				}
				all = append(append(all, line...), '\n')
			}
			for _, cut := range []int{0, 1, 2, 17, 60, 119} {
				if err := os.WriteFile(filepath.Join(dir, journalName), all[:max(0, len(all)-cut)], 0o600); err != nil {
					t.Fatal(err)
				}
				whole, err := readPast(state, "r")
				if err != nil {
					t.Fatal(err)
				}
				p, err := glance(state, "r")
				if err != nil || p.status() != whole.status() || p.open(nil) != whole.open(nil) || p.begin != whole.begin {
					t.Fatalf("%s, %d lines, %d bytes short: %v, %v, read whole %v", name, n, cut, p.status(), err, whole.status())
				}
			}
		}
	}
}

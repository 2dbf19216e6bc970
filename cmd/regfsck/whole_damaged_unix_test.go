//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A damaged old run stops nothing: a check and a fix go on, the newest run is undone
// and purged, and the damaged one is told of. It is undone by its name, which puts
// back what it kept; purged only with --damaged; and purging all leaves it.
func TestADamagedRunStopsNoCommand(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, run string) error{
		"a flipped byte": func(t *testing.T, run string) error {
			journal := filepath.Join(run, "journal.jsonl")
			all := []byte(content(t, journal))
			all[len(all)/2] ^= 1
			return os.WriteFile(journal, all, 0o600)
		},
		"a hole": func(t *testing.T, run string) error {
			journal := filepath.Join(run, "journal.jsonl")
			all := []byte(content(t, journal))
			clear(all[100:700])
			return os.WriteFile(journal, all, 0o600)
		},
		"no journal": func(t *testing.T, run string) error { return os.Remove(filepath.Join(run, "journal.jsonl")) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFix(t, littered())
			first := f.content(t)
			var old, newest applied
			f.document(t, &old, "fix", "STORE", "--apply", "--yes")
			if err := spoil(t, filepath.Join(f.store, stateName, "runs", old.Run)); err != nil {
				t.Fatal(err)
			}
			if exit := f.run("check", "STORE"); exit != 0 {
				t.Errorf("check: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			between := f.content(t)
			f.add(t, "nobody's, too")
			if exit := f.run("fix", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "run "+old.Run+" is damaged: ") || strings.Contains(f.out.String(), "would be refused") {
				t.Errorf("fix: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.document(t, &newest, "fix", "STORE", "--apply", "--yes"); exit != 0 || newest.Totals.Done == 0 {
				t.Errorf("fix --apply: exit %d, %+v", exit, newest)
			}
			if exit := f.run("undo", "STORE", "--list"); exit != 0 || strings.Count(f.out.String(), "; damaged: ") != 1 {
				t.Errorf("undo --list: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("undo", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "UNDONE: ") || !strings.Contains(f.out.String(), newest.Run) {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.document(t, &newest, "fix", "STORE", "--apply", "--yes"); exit != 0 {
				t.Errorf("fix --apply, again: exit %d", exit)
			}
			if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 || !strings.Contains(f.out.String(), newest.Run) || !strings.Contains(f.out.String(), old.Run+"  left: ") {
				t.Errorf("purge --all: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("purge", "STORE", "--yes", old.Run); exit != 64 || !strings.Contains(f.out.String(), "purge --damaged STORE "+old.Run) {
				t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, "purged", between)
			if exit := f.run("undo", "STORE", old.Run); exit != 8 || !strings.Contains(f.out.String(), "This run is damaged: ") {
				t.Errorf("undo of the old one: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, "undone", first)
			if exit := f.run("purge", "STORE", "--damaged", "--yes", old.Run); exit != 0 || !strings.Contains(f.out.String(), "DONE: 1 run purged") {
				t.Errorf("purge --damaged: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("check", "STORE"); exit != 0 {
				t.Errorf("check: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
		})
	}
}

// What a run has kept and doesn't keep any more is said before the rest is given up.
func TestAPurgeNamesWhatIsMissing(t *testing.T) {
	f := newFix(t, littered())
	kept := f.quarantined(t)
	id := filepath.Base(filepath.Dir(kept))
	was := f.content(t)
	blob := only(t, filepath.Join(kept, "docker%2Fregistry%2Fv2%2Fblobs%2Fsha256%2F*", "*", "data"))
	away := filepath.Join(f.dir, "data")
	if err := os.Rename(blob, away); err != nil {
		t.Fatal(err)
	}
	digest := filepath.Base(filepath.Dir(blob))
	for _, args := range [][]string{{"--all"}, {id}} {
		if exit := f.run(append([]string{"purge", "STORE", "--yes"}, args...)...); exit != 64 || !strings.Contains(f.out.String(), digest+"/data") || !strings.Contains(f.out.String(), "doesn't keep any more") {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
	if err := os.Rename(away, blob); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("undo", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if len(was.Diff(f.content(t))) == 0 {
		t.Error("nothing came back")
	}
	if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 {
		t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

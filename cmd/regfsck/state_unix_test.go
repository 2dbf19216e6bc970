//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regfsck/cmd/regfsck/outside"
	"regfsck/walker/layout"
)

// owned returns owner and mode of all files in a directory.
func owned(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			is := info.Sys().(*syscall.Stat_t)
			all[path] = fmt.Sprintf("%d:%d %v", is.Uid, is.Gid, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// plant is a path in a state directory where a symbolic link is planted.
type plant struct {
	at      string // relative to the state directory; ID is the run
	outside bool   // the state directory is outside the store
	hard    bool   // a hard link to root's file
}

// plants returns all paths that a command opens, creates, chowns or removes.
func plants() (all []plant) {
	blobs := "runs/ID/kept/" + strings.ReplaceAll(layout.Blobs, "/", "%2F") + "%2Fsha256%2F??"
	for _, outside := range []bool{false, true} {
		for _, at := range []string{"", "runs", "runs/ID", "runs/ID/kept", blobs} {
			all = append(all, plant{at, outside, false})
		}
		for _, at := range []string{"runs/ID/journal.jsonl", "runs/ID/plan.jsonl", "lock", "store"} {
			all = append(all, plant{at, outside, false})
			if os.Geteuid() == 0 {
				all = append(all, plant{at, outside, true})
			}
		}
	}
	return all
}

// planted returns a user's store with a run, new garbage, and a link in its state directory
// to root's files.
func planted(t *testing.T, p plant) (f *fake, id, state, link, victims string) {
	t.Helper()
	f = newFix(t, littered())
	state = filepath.Join(f.store, outside.StateName)
	if p.outside {
		state = filepath.Join(f.dir, "state")
	}
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", state); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	f.add(t, "nobody's, too")
	id = filepath.Base(only(t, filepath.Join(state, "runs", "*")))
	link = only(t, filepath.Join(state, strings.ReplaceAll(p.at, "ID", id)))
	victims = filepath.Join(f.dir, "victims")
	victim := filepath.Join(victims, "of-root")
	err := errors.Join(os.Mkdir(victims, 0o700), os.Rename(link, victim), give(f.store, 1234), give(victim, 0))
	if _, gone := os.Lstat(state); p.outside && gone == nil {
		err = errors.Join(err, give(state, 1234))
	}
	if p.hard {
		err = errors.Join(err, os.Link(victim, link))
	} else {
		err = errors.Join(err, os.Symlink(victim, link), give(link, 1234))
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, id, state, link, victims
}

// give changes the owner of all files of a directory, if permitted.
func give(at string, user int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.Walk(at, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	})
}

// TestNoPlantedLinkIsFollowed: the owner of a store may plant links in its state directory
// while root works there. No command follows one to read, write, chown or remove; if it can't
// continue, the error has the link.
func TestNoPlantedLinkIsFollowed(t *testing.T) {
	for _, p := range plants() {
		for _, command := range []string{
			"fix STORE --apply --yes", "fix STORE --apply --yes --undo none", "fix STORE", "undo STORE", "undo STORE ID", "undo STORE --list",
			"purge STORE --all --yes", "purge STORE --yes ID", "purge STORE --damaged --yes ID",
			"apply STATE/runs/ID/plan.jsonl STORE --yes",
		} {
			f, id, state, link, victims := planted(t, p)
			was, whose := snapshot(t, victims), owned(t, victims)
			name := fmt.Sprintf("%+v, %s", p, command)
			exit := f.run(append(strings.Fields(strings.NewReplacer("ID", id, "STATE", state).Replace(command)), "--state", state)...)
			said := f.out.String() + f.errs.String()
			if d := was.Diff(snapshot(t, victims)); len(d) > 0 {
				t.Errorf("%s: what the link leads to was changed: %q", name, d)
			}
			for path, is := range owned(t, victims) {
				if whose[path] != is {
					t.Errorf("%s: %s was %s and is %s", name, path, whose[path], is)
				}
			}
			damage := strings.Contains(said, "its journal can't be read: is a ") || strings.Contains(said, "its directory can't be opened: is a symbolic link")
			saved := strings.HasPrefix(command, "apply")
			stale := saved && strings.Contains(p.at, "kept") // it is refused before that is read
			if exit&(8|16|64) != 0 && !stale && !damage && !strings.Contains(said, link) {
				t.Errorf("%s: exit %d, without a word of the link: %s", name, exit, said)
			}
			if saved && slices.Contains([]string{"", "runs", "runs/ID", "runs/ID/plan.jsonl"}, p.at) && exit != 16 {
				t.Errorf("%s: exit %d, the plan was read through the link: %s", name, exit, said)
			}
			if exit == 0 && strings.Contains(said, "UNDONE") && p.at != "runs/ID/plan.jsonl" {
				t.Errorf("%s: it went through the link: %s", name, said)
			}
		}
	}
}

// TestAStateDirectoryThatOthersMayWrite: root doesn't use a state directory that others can
// replace.
func TestAStateDirectoryThatOthersMayWrite(t *testing.T) {
	if os.Geteuid() != 0 {
		return // other users trust their own files
	}
	f := newFix(t, littered())
	state := filepath.Join(f.dir, "state")
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", state); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	id := filepath.Base(only(t, filepath.Join(state, "runs", "*")))
	f.add(t, "nobody's, too")
	if err := os.Chmod(state, 0o777); err != nil {
		t.Fatal(err)
	}
	before, kept := f.content(t), snapshot(t, filepath.Join(state, "runs"))
	for _, command := range []string{"fix STORE --apply --yes", "undo STORE", "purge STORE --yes " + id} {
		exit := f.run(append(strings.Fields(command), "--state", state)...)
		if said := f.out.String() + f.errs.String(); exit != 64 || !strings.Contains(said, state+" can be written by others") || !strings.Contains(said, "chmod 700") {
			t.Errorf("%s: exit %d, %s", command, exit, said)
		}
		f.untouched(t, command, before)
	}
	if d := kept.Diff(snapshot(t, filepath.Join(state, "runs"))); len(d) > 0 {
		t.Errorf("what is kept was changed: %q", d)
	}
}

// quarantined fixes STORE and returns the directory of the run's quarantine.
func (f *fake) quarantined(t *testing.T) (kept string) {
	t.Helper()
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Fatalf("fix: exit %d, %s", exit, f.errs.String())
	}
	return only(t, filepath.Join(f.store, outside.StateName, "runs", "*", "kept"))
}

// TestAQuarantineThatCannotBeRead: an unreadable part of the quarantine isn't empty: an undo
// fails there, a purge of all runs skips the run, and both continue once it can be read.
func TestAQuarantineThatCannotBeRead(t *testing.T) {
	for name, where := range map[string]string{
		"all of it":              "",
		"where the blob is":      "docker%2Fregistry%2Fv2%2Fblobs%2Fsha256%2F??",
		"where its directory is": "docker%2Fregistry%2Fv2%2Fblobs%2Fsha256",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFix(t, littered())
			before := f.content(t)
			closed := only(t, filepath.Join(f.quarantined(t), where))
			away := filepath.Join(f.dir, "away")
			// A symbolic link isn't followed there, even by root.
			if err := os.Rename(closed, away); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(away, closed); err != nil {
				t.Fatal(err)
			}
			if exit := f.run("undo", "STORE"); exit != 8 || strings.Contains(f.out.String()+f.errs.String(), "neither") {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("undo", "STORE", "--list"); exit != 0 || !strings.Contains(f.out.String(), "undoing, can be undone") {
				t.Errorf("the list: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 || !strings.Contains(f.out.String(), "NOTHING TO DO") {
				t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if err := os.Remove(closed); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(away, closed); err != nil {
				t.Fatal(err)
			}
			if exit := f.run("undo", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
				t.Errorf("undo, when it can be read: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.untouched(t, "after the undo", before)
		})
	}
}

// TestADamagedRunStopsNoCommand: with a damaged old run, check and fix work, and the newest
// run can be undone and purged; the damage is reported. It is undone by id, and purged only
// with --damaged; purging all skips it.
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
			if err := spoil(t, filepath.Join(f.store, outside.StateName, "runs", old.Run)); err != nil {
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
			if exit := f.run("undo", "STORE", old.Run); exit != 8 || !strings.Contains(f.out.String(), "The journal of this run is damaged: ") {
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

// TestAPurgeNamesWhatIsMissing: a purge reports what is missing in the quarantine before it
// deletes the rest.
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
		if exit := f.run(append([]string{"purge", "STORE", "--yes"}, args...)...); exit != 64 || !strings.Contains(f.out.String(), digest+"/data") || !strings.Contains(f.out.String(), "no longer keeps some of the files") {
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

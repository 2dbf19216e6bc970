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

	"regfsck/walker/layout"
)

// owned are the owner and mode of all that stands in a directory.
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

// plant is a place in a state directory at which somebody has put a link.
type plant struct {
	at      string // below the state directory; ID is the run
	outside bool   // the state directory doesn't stand in the store
	hard    bool   // the link is a further name of root's file
}

// plants are all places that a command opens, makes, gives away or removes.
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

// planted is a store of somebody's with a run, garbage that came since, and a link in
// its state directory that leads to what is root's.
func planted(t *testing.T, p plant) (f *fake, id, state, link, victims string) {
	t.Helper()
	f = newFix(t, littered())
	state = filepath.Join(f.store, stateName)
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

// give makes all that stands somewhere a user's, where this one may.
func give(at string, user int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.Walk(at, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	})
}

// Whoever owns a store may put a link in the place of anything in its state
// directory, while root is at work there. No command follows one, to read, to write,
// to give away or to remove; what can't do without says what is a link, and where.
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
			stale := saved && strings.Contains(p.at, "kept") // it is refused before that is looked at
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

// Root keeps nothing, and undoes nothing, where everybody may exchange it.
func TestAStateDirectoryThatOthersMayWrite(t *testing.T) {
	if os.Geteuid() != 0 {
		return // whoever isn't root relies on nothing that isn't their own
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

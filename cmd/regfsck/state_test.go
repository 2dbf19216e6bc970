package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// interrupted makes the last run look as if it was killed before its last line.
func (f *fake) interrupted(t *testing.T) {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(f.store, outside.StateName, "runs", "*", "journal.jsonl"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("%v, %v", journals, err)
	}
	all, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journals[0], all[:bytes.LastIndex(all, []byte(`{"end"`))], 0o600); err != nil {
		t.Fatal(err)
	}
}

// only returns the one path that matches a pattern.
func only(t *testing.T, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %q, %v", pattern, all, err)
	}
	return all[0]
}

// emptied returns an empty directory that a killed run left.
func (f *fake) emptied(t *testing.T) string {
	t.Helper()
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	f.interrupted(t)
	orphan := layout.BlobKey(layout.Sum([]byte("nobody's")))
	kept, err := filepath.Glob(filepath.Join(f.store, outside.StateName, "runs", "*", "kept", "*sha256", filepath.Base(filepath.Dir(filepath.Dir(orphan)))))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	left := filepath.Join(f.store, filepath.Dir(filepath.Dir(orphan)))
	if err := os.Rename(kept[0], left); err != nil {
		t.Fatal(err)
	}
	return left
}

// add adds an orphaned blob to the store.
func (f *fake) add(t *testing.T, body string) {
	t.Helper()
	more := fixtures.New(9)
	more.Put(layout.BlobKey(layout.Sum([]byte(body))), []byte(body))
	if err := more.WriteDir(f.store); err != nil {
		t.Fatal(err)
	}
}

// TestARefusalReportsWhatWasFinished: a run that is refused after it has finished another one
// reports that change.
func TestARefusalReportsWhatWasFinished(t *testing.T) {
	f := newFix(t, littered())
	left := f.emptied(t)
	f.add(t, "nobody's, too")
	judge := f.check
	f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		result, phases, err := judge(ctx, r, o)
		result.Counts[finding.StoreChanged].Count++
		return result, phases, err
	}
	const said = "Removed before that: 1 empty directory"
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), said) {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if _, err := os.Stat(left); err == nil {
		t.Errorf("%s is still there", left)
	}
	if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || strings.Contains(f.errs.String(), said) {
		t.Errorf("nothing had gone: exit %d, %s", exit, f.errs.String())
	}
}

// TestACancelledGuardIsNoRefusal: if a run is cancelled while guards check, none has refused.
func TestACancelledGuardIsNoRefusal(t *testing.T) {
	f := newFix(t, littered())
	config := filepath.Join(f.dir, "config.yml")
	text := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + f.store + "}}\nhttp: {addr: ':5000'}\n"
	write(t, config, text)
	for _, when := range []int{1, 2, 3} {
		ctx, cancel := context.WithCancel(context.Background())
		asked := 0
		f.answers = func(context.Context, location.Server) registry.State {
			if asked++; asked == when {
				cancel()
			}
			return registry.Absent
		}
		before := f.content(t)
		f.errs.Reset()
		exit := run(ctx, []string{"regfsck", "fix", config, "--apply", "--yes"}, f.world)
		if exit != 32 || strings.Contains(f.errs.String(), "refused") || asked != when {
			t.Errorf("exit %d, asked %d times, %s", exit, asked, f.errs.String())
		}
		f.untouched(t, "cancelled", before)
	}
}

// TestFinishingAndSavedPlans: directories that a killed run emptied are a part of a saved
// plan's store; removing them first would make the plan stale.
func TestFinishingAndSavedPlans(t *testing.T) {
	f := newFix(t, littered())
	f.emptied(t)
	f.add(t, "nobody's, too")
	f.run("fix", "STORE", "--save-plan", "DIR/p")
	if exit := f.run("apply", "DIR/p", "--yes"); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestTheStateIsNotAmongTheFilesByALink: a symbolic link can't put the state directory among
// the registry's files.
func TestTheStateIsNotAmongTheFilesByALink(t *testing.T) {
	f := newFix(t, littered())
	if err := os.Symlink(f.store, filepath.Join(f.dir, "away")); err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	for _, state := range []string{"DIR/away/docker/registry/v2/repositories/st", "DIR/away/docker/st"} {
		if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", state); exit != 16 || !strings.Contains(f.errs.String(), "registry's own files") {
			t.Errorf("%s: exit %d, %s", state, exit, f.errs.String())
		}
		f.untouched(t, state, before)
	}
	if exit := f.run("fix", "STORE", "--apply", "--yes", "--state", "DIR/away/st"); exit != 0 {
		t.Errorf("beside them: exit %d, %s", exit, f.errs.String())
	}
}

// TestTheUndoThatIsShownFollows: the suggested undo repeats --follow.
func TestTheUndoThatIsShownFollows(t *testing.T) {
	b := small()
	b.Push("away/b", fixtures.OCILayer, []byte("loose"))
	f := newFix(t, b)
	at, elsewhere := filepath.Join(f.store, layout.RepositoryKey("away")), filepath.Join(filepath.Dir(f.store), "elsewhere")
	if err := os.Rename(at, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, at); err != nil {
		t.Fatal(err)
	}
	was := snapshot(t, elsewhere)
	key := layout.RepositoryKey("away")
	if exit := f.run("fix", "STORE", "--follow", key, "--apply", "--yes", "--only", "layer-link-unreferenced"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	_, command, _ := strings.Cut(f.out.String(), "To undo:  regfsck ")
	command, _, _ = strings.Cut(command, "\n")
	if exit := f.run(strings.Fields(command)...); exit != 0 {
		t.Errorf("%s: exit %d, %s", command, exit, f.errs.String())
	}
	is := snapshot(t, elsewhere)
	for key := range was {
		if _, ok := is[key]; !ok {
			t.Errorf("%s didn't come back", key)
		}
	}
}

// TestAnotherStoresStateIsRefused: with one state directory for two stores, neither run can
// be undone on the other, and a dry run says so.
func TestAnotherStoresStateIsRefused(t *testing.T) {
	f := newFix(t, littered())
	other := newFix(t, littered())
	if exit := other.run("fix", "STORE", "--apply", "--yes", "--state", f.dir+"/state"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, other.errs.String())
	}
	before := f.content(t)
	for _, args := range []string{"fix STORE --apply --yes", "fix STORE --apply --yes --undo none", "undo STORE"} {
		if exit := f.run(append(strings.Fields(args), "--state", "DIR/state")...); exit != 64 || !strings.Contains(f.errs.String(), "belongs to another store") {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
		f.untouched(t, args, before)
	}
	if f.run("fix", "STORE", "--state", "DIR/state"); !strings.Contains(f.out.String(), "--apply would be refused") {
		t.Errorf("the dry run says nothing of it:\n%s", f.out.String())
	}
	if exit := other.run("undo", "STORE", "--state", f.dir+"/state"); exit != 0 {
		t.Errorf("exit %d, %s", exit, other.errs.String())
	}
}

// TestAStateDirectoryOfAnotherStore: every command refuses a state directory of another
// store, by any path, and one among another store's files. Nothing is written or removed
// there.
func TestAStateDirectoryOfAnotherStore(t *testing.T) {
	for name, state := range map[string]string{
		"its own":           outside.StateName,
		"a run in its own":  outside.StateName + "/runs",
		"among its blobs":   "docker/registry/v2/blobs/state",
		"in a repository":   "docker/registry/v2/repositories/state",
		"beside the images": "docker/state",
	} {
		f, other := newFix(t, littered()), newFix(t, littered())
		if exit := other.run("fix", "STORE", "--apply", "--yes"); exit != 0 {
			t.Fatalf("exit %d, %s", exit, other.errs.String())
		}
		var runs struct{ Runs []struct{ ID string } }
		other.document(t, &runs, "undo", "STORE", "--list")
		id := runs.Runs[0].ID
		link := filepath.Join(f.dir, "link")
		if err := os.Symlink(other.store, link); err != nil {
			t.Fatal(err)
		}
		before, theirs := f.content(t), other.content(t)
		for _, root := range []string{other.store, link} {
			for _, command := range []string{"fix STORE --apply --yes", "fix STORE", "undo STORE", "undo STORE " + id, "undo STORE --list", "purge STORE --all --yes", "purge STORE --yes " + id} {
				exit := f.run(append(strings.Fields(command), "--state", filepath.Join(root, state))...)
				if exit != 16 || !strings.Contains(f.errs.String(), other.store) {
					t.Errorf("%s, %s: exit %d, %s", name, command, exit, f.errs.String())
				}
			}
		}
		f.untouched(t, name, before)
		other.untouched(t, name, theirs)
	}
}

// TestAStateDirectoryThatWasMovedIntoAStore: a state directory that another store claimed is
// refused at the default path too, until a flag confirms that it is the same store.
func TestAStateDirectoryThatWasMovedIntoAStore(t *testing.T) {
	f, other := newFix(t, littered()), newFix(t, littered())
	if exit := other.run("fix", "STORE", "--apply", "--yes", "--state", filepath.Join(f.dir, "state")); exit != 0 {
		t.Fatalf("exit %d, %s", exit, other.errs.String())
	}
	if err := os.Rename(filepath.Join(f.dir, "state"), filepath.Join(f.store, outside.StateName)); err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	id := filepath.Base(only(t, filepath.Join(f.store, outside.StateName, "runs", "*")))
	for _, args := range []string{"fix STORE --apply --yes", "undo STORE", "purge STORE --yes " + id} {
		if exit := f.run(strings.Fields(args)...); exit != 64 || !strings.Contains(f.errs.String()+f.out.String(), "belongs to another store, "+other.store) {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
		f.untouched(t, args, before)
	}
}

// TestARunOfAnotherStore: a run can only be undone on its store, even if the state directory
// is this store's, until a flag confirms that it is the same store.
func TestARunOfAnotherStore(t *testing.T) {
	f, other := newFix(t, littered()), newFix(t, littered())
	state := filepath.Join(f.dir, "state")
	if exit := other.run("fix", "STORE", "--apply", "--yes", "--state", state); exit != 0 {
		t.Fatalf("exit %d, %s", exit, other.errs.String())
	}
	claim := filepath.Join(state, "store")
	if err := os.Remove(claim); err != nil {
		t.Fatal(err)
	}
	before := f.content(t)
	id := filepath.Base(only(t, filepath.Join(state, "runs", "*")))
	for _, args := range []string{"undo STORE", "purge STORE --yes " + id} {
		if exit := f.run(append(strings.Fields(args), "--state", state)...); exit != 64 || !strings.Contains(f.errs.String()+f.out.String(), "another store, "+other.store) {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.errs.String(), f.out.String())
		}
		f.untouched(t, args, before)
	}
	moved := filepath.Join(filepath.Dir(other.store), "moved")
	if err := os.Rename(other.store, moved); err != nil {
		t.Fatal(err)
	}
	write(t, claim, other.store+"\n"+moved+"\n")
	other.store = moved
	if exit := other.run("undo", "STORE", "--state", state); exit != 0 || !strings.Contains(other.out.String(), "UNDONE") {
		t.Errorf("moved: exit %d, %s%s", exit, other.errs.String(), other.out.String())
	}
}

// two returns a small store with one more repository.
func two() *fixtures.Builder {
	b := littered()
	b.Image("other", "v1", fixtures.Image{Layers: []int{20, 30}})
	return b
}

// TestTwoStateDirectoriesOfOneStore: an undo with one lists what later runs with the other
// removed, and a list names the other.
func TestTwoStateDirectoriesOfOneStore(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) *fake{
		"a directory": func(t *testing.T) *fake { return newFix(t, two()) },
		"a bucket": func(t *testing.T) *fake {
			f, _, _ := change(t, two(), s3test.Enabled)
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := make(t)
			first, second := filepath.Join(f.dir, "first"), filepath.Join(f.dir, "second")
			var a, b applied
			f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--state", first)
			if exit := f.run("undo", "STORE", "--state", first); exit != 0 {
				t.Fatalf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			f.document(t, &a, "rm", "STORE", "other", "--apply", "--yes", "--state", first, "--grace", "0s")
			f.document(t, &b, "rm", "STORE", "base", "--apply", "--yes", "--state", second, "--grace", "0s")
			if a.Totals.Done == 0 || b.Totals.Done == 0 {
				t.Fatalf("%+v, %+v", a, b)
			}
			for state, want := range map[string]string{first: second, second: first, filepath.Join(f.dir, "none"): first} {
				if exit := f.run("undo", "STORE", "--list", "--state", state); exit != 0 || !strings.Contains(f.out.String(), "--state "+want) {
					t.Errorf("the list of %s: exit %d, %s%s", state, exit, f.out.String(), f.errs.String())
				}
			}
			if exit := f.run("undo", "STORE", "--list"); exit != 0 || !strings.Contains(f.out.String(), "There are no runs") ||
				!strings.Contains(f.out.String(), first) || !strings.Contains(f.out.String(), second) {
				t.Errorf("the list of the default: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("undo", "STORE", a.Run); exit != 16 || !strings.Contains(f.errs.String(), first) {
				t.Errorf("a run of another directory: exit %d, %s", exit, f.errs.String())
			}
			exit := f.run("undo", "STORE", "--state", first)
			_, command, _ := strings.Cut(f.out.String(), "regfsck undo ")
			command, _, _ = strings.Cut(command, "\n")
			if exit != 8 || !strings.Contains(command, b.Run) || !strings.Contains(command, "--state "+second) {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			if exit := f.run(append([]string{"undo"}, strings.Fields(command)...)...); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
				t.Errorf("undo %s: exit %d, %s%s", command, exit, f.out.String(), f.errs.String())
			}
			if exit := f.run("check", "STORE"); exit != 0 {
				t.Errorf("check: exit %d, %s", exit, f.out.String())
			}
		})
	}
}

// TestLaterRunsByAnotherName: an undo names later runs that were given another name of the same
// store: another address of the server, or the directory before it was moved. Those that kept
// nothing can't be undone.
func TestLaterRunsByAnotherName(t *testing.T) {
	for name, c := range map[string]struct {
		make   func(t *testing.T) *fake
		rename func(t *testing.T, f *fake) (identity string)
	}{
		"a directory": {
			func(t *testing.T) *fake { return newFix(t, two()) },
			func(t *testing.T, f *fake) string {
				moved := f.store + "-moved"
				if err := os.Rename(f.store, moved); err != nil {
					t.Fatal(err)
				}
				f.store = moved
				return moved
			},
		},
		"a bucket": {
			func(t *testing.T) *fake {
				f, s, _ := change(t, two(), s3test.Enabled)
				f.env["AWS_ENDPOINT_URL_S3"] = strings.Replace(s.Endpoint, "127.0.0.1", "localhost", 1)
				t.Setenv("AWS_ENDPOINT_URL_S3", f.env["AWS_ENDPOINT_URL_S3"])
				return f
			},
			func(t *testing.T, f *fake) string {
				f.env["AWS_ENDPOINT_URL_S3"] = strings.Replace(f.env["AWS_ENDPOINT_URL_S3"], "localhost", "127.0.0.1", 1)
				t.Setenv("AWS_ENDPOINT_URL_S3", f.env["AWS_ENDPOINT_URL_S3"])
				return f.store + " at " + f.env["AWS_ENDPOINT_URL_S3"]
			},
		},
	} {
		for flags, forGood := range map[string]bool{"--undo auto": false, "--undo none": true} {
			t.Run(name+flags, func(t *testing.T) {
				f := c.make(t)
				var a, b applied
				f.document(t, &a, "rm", "STORE", "other", "--apply", "--yes", "--state", filepath.Join(f.dir, "first"), "--grace", "0s")
				f.document(t, &b, append([]string{"rm", "STORE", "base", "--apply", "--yes", "--state", filepath.Join(f.dir, "second"), "--grace", "0s"}, strings.Fields(flags)...)...)
				claim := filepath.Join(f.dir, "first", "store") // the other one keeps the old name
				names, err := os.ReadFile(claim)
				if err = errors.Join(err, os.WriteFile(claim, append(names, c.rename(t, f)+"\n"...), 0o600)); err != nil {
					t.Fatal(err)
				}
				exit := f.run("undo", "STORE", a.Run, "--state", filepath.Join(f.dir, "first"))
				undoes := strings.Contains(f.out.String(), "regfsck undo "+f.store+" "+b.Run)
				if exit != 8 || !strings.Contains(f.out.String(), b.Run) || undoes == forGood {
					t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
				}
			})
		}
	}
}

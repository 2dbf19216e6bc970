//go:build unix

package apply

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/graph"
)

// onDisk writes a store to a directory, its state directory inside or beside it.
func onDisk(t *testing.T, b *fixtures.Builder, inside bool) (w *file.Writer, root, state string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "registry")
	if err := b.WriteDir(root); err != nil {
		t.Fatal(err)
	}
	if state = filepath.Join(dir, "state"); inside {
		state = filepath.Join(root, ".regfsck")
	}
	w, err := file.OpenWriter(root, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	return w, root, state
}

// picture is all that stands in a store's directory, times of directories aside: what
// is taken out of a directory or put into it changes those.
func picture(t *testing.T, root string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(filepath.Join(root, "docker"))
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range p {
		if e.Mode.IsDir() {
			e.Modified = 0
			p[key] = e
		}
	}
	return p
}

// Each damaged store on a disk comes to the same end as in memory, and back.
func TestFixAndUndoOnADisk(t *testing.T) {
	for name, b := range oneOfEach() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := policyOf(name)
			w, root, state := onDisk(t, b, strings.HasPrefix(name, "blob"))
			was := picture(t, root)
			out := mustFix(t, w, state, policy)
			m := b.Memory()
			mustFix(t, m.Store(), t.TempDir(), policy)
			if d := diff(dump(m), dump(w)); d != "" {
				t.Fatalf("the disk differs from memory:\n%s", d)
			}
			if out.Run == "" {
				return
			}
			if again := mustFix(t, w, state, policy); again.Run != "" {
				t.Fatalf("a second fix has something to do: %+v", again)
			}
			for range 2 {
				if back, err := Undo(context.Background(), w, state, out.Run); err != nil || len(back.NotDone) > 0 {
					t.Fatalf("undo: %v, %+v", err, back)
				}
				if d := was.Diff(picture(t, root)); len(d) > 0 {
					t.Fatalf("after the undo:\n%s", strings.Join(d, "\n"))
				}
			}
		})
	}
}

// withLostName names the store of withLost among oneOfEach.
const withLostName = "manifest-lost"

// policyOf is the policy under which one of oneOfEach is fixed.
func policyOf(name string) graph.Policy {
	if name == withLostName {
		return reviving()
	}
	return graph.Policy{Untagged: true}
}

// oneOfEach are the golden stores of the first damage of each id, the messy one, and
// one with a lost image.
func oneOfEach() map[string]*fixtures.Builder {
	all := map[string]*fixtures.Builder{"messy": messy()}
	all[withLostName], _ = withLost()
	for _, d := range fixtures.Damages() {
		if d.Disk == nil && all[d.ID] == nil {
			all[d.ID] = fixtures.Standard()
			d.Apply(all[d.ID])
		}
	}
	return all
}

// The disk has back what a purge gives up, and not before.
func TestPurgeOnADisk(t *testing.T) {
	w, root, state := onDisk(t, messy(), true)
	out := mustFix(t, w, state, messyPolicy())
	if out.Freed != 0 || out.Kept == 0 {
		t.Errorf("%d bytes freed and %d kept", out.Freed, out.Kept)
	}
	if _, err := os.Stat(filepath.Join(root, ".regfsck", "runs", out.Run, "plan.jsonl")); err != nil {
		t.Errorf("the plan isn't beside the journal: %v", err)
	}
	freed, err := Purge(context.Background(), w, state, out.Run)
	if err != nil || freed != out.Kept {
		t.Errorf("%d of %d bytes freed, %v", freed, out.Kept, err)
	}
	if freed, err = Purge(context.Background(), w, state, out.Run); err != nil || freed != 0 {
		t.Errorf("a second purge freed %d bytes, %v", freed, err)
	}
}

// Whoever owns the store can go on with what root began.
func TestTheJournalIsTheStoresOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		return // who isn't root gives nothing away
	}
	w, root, state := onDisk(t, garbage(), true)
	if err := os.Chown(root, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	run := mustFix(t, w, state, graph.Policy{}).Run
	for _, path := range []string{state, state + "/lock", state + "/runs", runDir(state, run), runDir(state, run) + "/" + journalName, runDir(state, run) + "/" + planName} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 2345 {
			t.Errorf("%s is %d:%d's", path, st.Uid, st.Gid)
		}
	}
}

//go:build unix

package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend/file"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// A repository that stands elsewhere is unknown until it is named, and then
// like any other.
func TestARepositoryThatIsASymbolicLink(t *testing.T) {
	for asked, policy := range plain() {
		for _, repository := range []string{"team/linked", "linked"} {
			t.Run(asked+", "+repository, func(t *testing.T) { linkedRepository(t, repository, policy) })
		}
	}
}

func linkedRepository(t *testing.T, repository string, policy graph.Policy) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	linked := b.Image(repository, "v1", fixtures.Image{})
	loose := b.Push(repository, fixtures.OCILayer, []byte("loose"))
	spare := waste(b)
	was := dump(b.Memory())
	w, root, state := onDisk(t, b, false)
	dir := filepath.Join(root, filepath.FromSlash(layout.RepositoryKey(repository)))
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(dir, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Fatal(err)
	}
	isUnknown(t, w, b, policy, func() []fixtures.Picture {
		return []fixtures.Picture{picture(t, root), snapshotOf(t, elsewhere)}
	})

	w, err := file.OpenWriter(root, file.Options{Follow: []string{dir}}, state)
	if err != nil {
		t.Fatal(err)
	}
	mustFix(t, w, state, policy)
	is := dump(w)
	onlyGone(t, was, is, spare, loose.Key(), layout.LayerKey(repository, loose.Digest))
	stay(t, was, is, parts(linked)...)
	stillPulls(t, was, is)
	if !pulls(is)[repository+":v1"] {
		t.Errorf("%s:v1 can't be pulled", repository)
	}
	if target, err := os.Readlink(dir); err != nil || target != elsewhere {
		t.Errorf("the link is %q, %v", target, err)
	}
	if again := mustFix(t, w, state, policy); again.Run != "" {
		t.Errorf("a second fix has something to do: %+v", again)
	}
	undoOnDisk(t, w, state)
	if d := diff(was, dump(w)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
}

// isUnknown wants a plan that was made when all could be read to be refused, a
// new one to have no steps, and nothing touched by either.
func isUnknown(t *testing.T, w *file.Writer, whole *fixtures.Builder, policy graph.Policy, look func() []fixtures.Picture) {
	t.Helper()
	before := look()
	in := guard(t, whole, policy).in
	in.Store = w
	var r *Refused
	if out, err := Run(context.Background(), in); !errors.As(err, &r) || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("it isn't refused: %v, %+v", err, out)
	}
	if out, err := fix(w, in.State, policy); err != nil && !errors.As(err, &r) || err == nil && out.Run != "" {
		t.Errorf("something was done: %v, %+v", err, out)
	}
	for i, after := range look() {
		if d := before[i].Diff(after); len(d) > 0 {
			t.Errorf("it was touched: %v", d)
		}
	}
}

func snapshotOf(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func undoOnDisk(t *testing.T, w *file.Writer, state string) {
	t.Helper()
	if out, err := Undo(context.Background(), w, state, ""); err != nil || len(out.NotDone) > 0 {
		t.Fatalf("undo: %v, %+v", err, out)
	}
}

package apply

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"regfsck/backend/file"
	"regfsck/backend/source"
	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
)

// stuck is a source that gives half of each blob and then nothing, until it is closed.
type stuck struct {
	source.Source
	reached func() // is called where it falls silent
}

// Open is Source's.
func (s *stuck) Open(ctx context.Context, b source.Blob) (io.ReadCloser, error) {
	f, err := s.Source.Open(ctx, b)
	if err != nil {
		return nil, err
	}
	size, err := s.Size(ctx, b)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(f, size/2), waiting{ctx, s.reached}), f}, err
}

// waiting is a reader that waits until its context ends.
type waiting struct {
	ctx     context.Context
	reached func()
}

// Read is io.Reader's.
func (w waiting) Read([]byte) (int, error) {
	w.reached()
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

// TestACopyThatIsStopped: a run that is told to stop leaves copies in their middle, and
// nothing of them; it is resumed, or undone, as if nothing had been.
func TestACopyThatIsStopped(t *testing.T) {
	whole, left := bereft()
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	if err := left.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	s, err := file.OpenStore(dir, file.Options{}, state)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good := sourceOf("copy", whole.Memory())
	o := options(gc.Policy{})
	o.From, o.Fingerprint = []source.Source{good}, true
	result, _, err := check.Store(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	p := plan.New(result, gc.Policy{})
	before := registryOf(t, dir)
	run := func(ctx context.Context, from source.Source, found *check.Result) *Outcome {
		t.Helper()
		in := input(s, state, p, gc.Policy{})
		in.Scan.From, in.Limits.MaxDelete, in.CopyRate = []source.Source{from}, 1, 1<<20
		in.Found, in.Made = found, found != nil
		out, err := Run(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := run(ctx, &stuck{good, cancel}, result)
	if !out.Interrupted || out.Steps.Done > 0 || out.Steps.Failed > 0 || len(out.NotDone) > 0 {
		t.Errorf("%+v", out)
	}
	if left := before.Diff(registryOf(t, dir)); len(left) > 0 {
		t.Errorf("it left: %v", left)
	}
	again := run(t.Context(), good, nil)
	if !again.Resumed || again.Interrupted || again.Steps.Done != len(p.Steps) {
		t.Errorf("resumed: %+v", again)
	}
	if _, err := Undo(context.Background(), s, state, again.Run); err != nil {
		t.Error(err)
	}
	if left := before.Diff(registryOf(t, dir)); len(left) > 0 {
		t.Errorf("undone: %v", left)
	}
}

// registryOf takes a picture of a registry's own files, without the times of directories.
func registryOf(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(filepath.Join(dir, "docker"))
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

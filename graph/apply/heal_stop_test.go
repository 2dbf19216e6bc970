package apply

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"regfsck/backend/file"
	"regfsck/backend/s3"
	"regfsck/backend/source"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// stuck is a source that returns half of each blob and then blocks until it is closed.
type stuck struct {
	source.Source
	reached func() // called when it blocks
}

// Open implements source.Source.
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

// waiting is a reader that blocks until its context ends.
type waiting struct {
	ctx     context.Context
	reached func()
}

// Read implements io.Reader.
func (w waiting) Read([]byte) (int, error) {
	w.reached()
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

// TestACopyThatIsStopped: a stopped run leaves nothing of unfinished copies; it can be
// resumed or undone.
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
	before := picture(t, dir)
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
	if left := before.Diff(picture(t, dir)); len(left) > 0 {
		t.Errorf("it left: %v", left)
	}
	again := run(t.Context(), good, nil)
	if !again.Resumed || again.Interrupted || again.Steps.Done != len(p.Steps) {
		t.Errorf("resumed: %+v", again)
	}
	if _, err := Undo(context.Background(), s, state, again.Run); err != nil {
		t.Error(err)
	}
	if left := before.Diff(picture(t, dir)); len(left) > 0 {
		t.Errorf("undone: %v", left)
	}
}

// TestACopyIntoABucketThatIsStopped: in a bucket, where a large blob is sent in parts, no
// part and no multipart upload remains.
func TestACopyIntoABucketThatIsStopped(t *testing.T) {
	whole := fixtures.New(12)
	large := whole.Image("a", "v1", fixtures.Image{Layers: []int{40 << 20}}).Blobs[1]
	left := whole.Clone(12)
	left.Erase(large.Key())
	server := s3test.Start(t, s3test.Options{Versioning: true})
	place := server.Make(t, "registry")
	place.SetVersioning(t, s3test.Enabled)
	place.Fill(t, s3test.From(left.Into, "root/"))
	proxy := s3test.Front(t, server, s3test.Settings{})
	s, err := s3.OpenStore(t.Context(), s3.Options{
		Bucket: place.Name, Root: "root", Endpoint: proxy.Endpoint, Region: server.Region,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good, state := sourceOf("copy", whole.Memory()), t.TempDir()
	o := options(gc.Policy{})
	o.From, o.Fingerprint = []source.Source{good}, true
	result, _, err := check.Store(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	p := plan.New(result, gc.Policy{})
	before := place.Keys(t, "")
	run := func(ctx context.Context, from source.Source, found *check.Result) *Outcome {
		t.Helper()
		in := input(s, state, p, gc.Policy{})
		in.Scan.From, in.Limits.MaxDelete = []source.Source{from}, 1
		in.Found, in.Made = found, found != nil
		out, err := Run(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var parts atomic.Int32 // that were sent
	proxy.Inject(s3test.Fault{Match: func(r *s3test.Request) bool {
		if r.Operation == s3test.UploadPart {
			parts.Add(1)
		}
		return false
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := run(ctx, &stuck{good, cancel}, result)
	if !out.Interrupted || out.Steps.Done > 0 || out.Steps.Failed > 0 || len(out.NotDone) > 0 || parts.Load() == 0 {
		t.Errorf("%+v, with %d parts sent", out, parts.Load())
	}
	if keys, uploads := place.Keys(t, ""), place.Uploads(t); !slices.Equal(keys, before) || len(uploads) > 0 {
		t.Errorf("it left %v of %v, and uploads %v", keys, before, uploads)
	}
	if again := run(t.Context(), good, nil); !again.Resumed || again.Interrupted || again.Steps.Done != len(p.Steps) {
		t.Errorf("resumed: %+v", again)
	} else if body, ok := place.Get(t, "root/"+large.Key()); !ok || layout.Sum(body) != large.Digest {
		t.Errorf("%d bytes were copied, and they are others", len(body))
	} else if _, err := Undo(context.Background(), s, state, again.Run); err != nil {
		t.Error(err)
	}
	if keys, uploads := place.Keys(t, ""), place.Uploads(t); !slices.Equal(keys, before) || len(uploads) > 0 {
		t.Errorf("undone: %v of %v, and uploads %v", keys, before, uploads)
	}
}

// picture is a snapshot of a registry's own files. The times of directories are left out:
// what is removed from a directory or added to it changes those.
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

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// put writes files to a new directory.
func put(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, body := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// opened is a Memory as an opened store.
type opened struct{ *fixtures.Memory }

func (opened) Close() error { return nil }

// contents reads a blob of a source to its end.
func contents(t *testing.T, s Source, d layout.AnyDigest) string {
	t.Helper()
	f, err := s.Open(t.Context(), Blob{Digest: d})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestKinds: each kind of source has a blob by two algorithms, small and larger than one read,
// and no other.
func TestKinds(t *testing.T) {
	for _, body := range []string{"", "a layer", strings.Repeat("layer ", 200_000)} {
		for _, d := range layout.Sums([]byte(body)) {
			algorithm, hex, _ := strings.Cut(d.String(), ":")
			flat := "blobs/" + algorithm + "/" + hex
			memory := &fixtures.Memory{}
			memory.Put(d.BlobKey(), []byte(body), time.Now())
			for name, open := range map[string]func() (Source, error){
				"OCI layout": func() (Source, error) { return OfDirectory(put(t, map[string]string{flat: body, "index.json": "{}"})) },
				"docker save": func() (Source, error) {
					return OfDirectory(put(t, map[string]string{flat: body, "manifest.json": "[]", "oci-layout": "{}"}))
				},
				"its blobs": func() (Source, error) {
					return OfDirectory(filepath.Join(put(t, map[string]string{flat: body}), "blobs"))
				},
				"containerd": func() (Source, error) { return OfDirectory(put(t, map[string]string{containerd + "/" + flat: body})) },
				"containerd's own": func() (Source, error) {
					return OfDirectory(filepath.Join(put(t, map[string]string{containerd + "/" + flat: body}), containerd))
				},
				"blobs alone": func() (Source, error) {
					return OfDirectory(put(t, map[string]string{strings.TrimPrefix(d.BlobKey(), layout.Root+"/"): body}))
				},
				"store": func() (Source, error) { return OfStore("store", opened{memory}), nil },
			} {
				s, err := open()
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if size, err := s.Size(t.Context(), Blob{Digest: d}); err != nil || size != int64(len(body)) {
					t.Errorf("%s: %d bytes, %v; want %d", name, size, err, len(body))
				}
				if contents(t, s, d) != body {
					t.Errorf("%s holds something else", name)
				}
				if is, err := Read(t.Context(), s, Blob{Digest: d}, 4<<20); err != nil || string(is) != body {
					t.Errorf("%s: %v", name, err)
				}
				none := layout.AnyDigest{Digest: layout.Sum([]byte("none"))}
				if _, err := s.Size(t.Context(), Blob{Digest: none}); !IsNone(err) {
					t.Errorf("%s: size of none: %v", name, err)
				}
				if _, err := s.Open(t.Context(), Blob{Digest: none}); !IsNone(err) {
					t.Errorf("%s: none opened: %v", name, err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// TestNoSource: the error for a directory without blobs says what it is.
func TestNoSource(t *testing.T) {
	none := put(t, map[string]string{"blobs/sha256/README": "", "blobs/md5/" + strings.Repeat("a", 32): ""})
	if _, err := OfDirectory(none); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := OfDirectory(put(t, map[string]string{"overlay2/l/x": ""})); err == nil || !strings.Contains(err.Error(), "docker save") {
		t.Error(err)
	}
	if _, err := OfDirectory(filepath.Join(none, "nothing")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	if _, err := OfDirectory(filepath.Join(none, "blobs/sha256/README")); err == nil {
		t.Error("a file is a source")
	}
}

// TestOutside: a link out of a source's directory, or something other than a file, isn't read.
func TestOutside(t *testing.T) {
	d := layout.AnyDigest{Digest: layout.Sum([]byte("secret"))}
	outside := filepath.Join(put(t, map[string]string{"secret": "secret"}), "secret")
	root := put(t, map[string]string{"blobs/sha256/" + layout.Sum(nil).Hex(): ""})
	at := filepath.Join(root, "blobs/sha256", d.Digest.Hex())
	if err := os.Symlink(outside, at); err != nil {
		t.Fatal(err)
	}
	s, err := OfDirectory(root)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, err := s.Size(t.Context(), Blob{Digest: d}); err == nil || IsNone(err) {
			t.Errorf("size: %v", err)
		}
		if _, err := s.Open(t.Context(), Blob{Digest: d}); err == nil || IsNone(err) {
			t.Errorf("open: %v", err)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReadProves: Read returns no wrong bytes.
func TestReadProves(t *testing.T) {
	d := layout.AnyDigest{Digest: layout.Sum([]byte("right"))}
	for _, body := range []string{"wrong", "righ", "right ", ""} {
		s, err := OfDirectory(put(t, map[string]string{"blobs/sha256/" + d.Digest.Hex(): body}))
		if err != nil {
			t.Fatal(err)
		}
		var wrong *backend.ContentError
		if _, err := Read(t.Context(), s, Blob{Digest: d}, 100); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", body, err)
		}
		if _, err := Read(t.Context(), s, Blob{Digest: d}, int64(len(body))-1); err == nil {
			t.Errorf("%q is larger than what was asked for", body)
		}
		s.Close()
	}
}

// silent is a source that returns half of the bytes and then blocks.
type silent struct {
	unavailable
	until chan struct{}
}

func (s *silent) Open(context.Context, Blob) (io.ReadCloser, error) {
	return &half{Reader: bytes.NewReader(make([]byte, 1000)), until: s.until}, nil
}

type half struct {
	io.Reader
	until chan struct{}
}

func (h *half) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err == io.EOF {
		<-h.until
	}
	return n, err
}

func (h *half) Close() error { return nil }

// hung is a source that never responds.
type hung struct {
	unavailable
	until chan struct{}
}

func (s *hung) Size(context.Context, Blob) (int64, error) { <-s.until; return 0, nil }

func (s *hung) Open(context.Context, Blob) (io.ReadCloser, error) {
	<-s.until
	return io.NopCloser(strings.NewReader("")), nil
}

// TestSilence: a read of a source that doesn't respond fails after the timeout, and ends with
// the context.
func TestSilence(t *testing.T) {
	until := make(chan struct{})
	defer close(until)
	d := layout.AnyDigest{Digest: layout.Sum(nil)}
	s := WithTimeout(&hung{until: until}, time.Millisecond)
	if _, err := s.Size(t.Context(), Blob{Digest: d}); !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
	if _, err := s.Open(t.Context(), Blob{Digest: d}); !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "was given up") {
		t.Error(err)
	}
	if _, err := WithTimeout(&hung{until: until}, time.Millisecond).Open(t.Context(), Blob{Digest: d}); !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := WithTimeout(&hung{until: until}, time.Hour).Size(ctx, Blob{Digest: d}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	half := WithTimeout(&silent{until: until}, time.Millisecond)
	f, err := half.Open(t.Context(), Blob{Digest: d})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(f); len(all) != 1000 || !errors.Is(err, ErrSilent) {
		t.Errorf("%d bytes, %v", len(all), err)
	}
	if _, err := half.Size(t.Context(), Blob{Digest: d}); !errors.Is(err, ErrSilent) {
		t.Error("a source that fell silent is asked again:", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestUnavailable: an unavailable source returns its error for each blob.
func TestUnavailable(t *testing.T) {
	s := Unavailable("old", fs.ErrPermission)
	d := layout.AnyDigest{}
	if _, err := s.Size(t.Context(), Blob{Digest: d}); !errors.Is(err, fs.ErrPermission) || s.String() != "old" {
		t.Error(err)
	}
	if _, err := s.Open(t.Context(), Blob{Digest: d}); !errors.Is(err, fs.ErrPermission) || s.Close() != nil {
		t.Error(err)
	}
}

// TestSmallBlobsShareBuffers: reading many small blobs allocates no buffer for each.
func TestSmallBlobsShareBuffers(t *testing.T) {
	files := map[string]string{}
	var all []layout.AnyDigest
	for i := range 200 {
		body := fmt.Sprint("blob ", i)
		d := layout.AnyDigest{Digest: layout.Sum([]byte(body))}
		_, hex, _ := strings.Cut(d.String(), ":")
		files["blobs/sha256/"+hex] = body
		all = append(all, d)
	}
	dir, err := OfDirectory(put(t, files))
	if err != nil {
		t.Fatal(err)
	}
	s := WithTimeout(dir, time.Hour)
	defer s.Close()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection frees the buffers
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, d := range all {
		contents(t, s, d)
	}
	runtime.ReadMemStats(&after)
	// Each blob uses two buffers, and the race detector makes a pool drop many of them.
	if is := (after.TotalAlloc - before.TotalAlloc) / uint64(len(all)); is > 3*uint64(len(buffer{}))/2 {
		t.Errorf("each blob takes %d bytes", is)
	}
}

// TestNothingIsReadOnceClosed: another reader may use the buffer by then.
func TestNothingIsReadOnceClosed(t *testing.T) {
	d := layout.AnyDigest{Digest: layout.Sum([]byte("a blob"))}
	_, hex, _ := strings.Cut(d.String(), ":")
	dir, err := OfDirectory(put(t, map[string]string{"blobs/sha256/" + hex: "a blob"}))
	if err != nil {
		t.Fatal(err)
	}
	s := WithTimeout(dir, time.Hour)
	defer s.Close()
	f, err := s.Open(t.Context(), Blob{Digest: d})
	if err != nil {
		t.Fatal(err)
	}
	some := make([]byte, 3)
	if _, err := io.ReadFull(f, some); err != nil || string(some) != "a b" {
		t.Fatalf("%q, %v", some, err)
	}
	f.Close()
	if n, err := f.Read(some); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

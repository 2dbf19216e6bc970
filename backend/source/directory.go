package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// containerd is the directory, below containerd's root, in which a node keeps the blobs
// of its images (github.com/containerd/containerd, plugins/content/local).
const containerd = "io.containerd.content.v1.content"

// ErrNone is a directory that is no source.
var ErrNone = errors.New("is neither a registry's storage nor a directory with blobs/sha256/<digest> in it, as an OCI layout, containerd's " +
	containerd + " and an unpacked docker save have it")

// OfDirectory returns a directory as a source that holds blobs by their digests:
// blobs/<algorithm>/<hex>, as the OCI image layout has them (opencontainers/image-spec,
// image-layout.md), containerd and an unpacked docker save; or a registry's own
// blobs/<algorithm>/<hex[:2]>/<hex>/data without its links. Nothing outside of the
// directory is ever read, whatever links are in it. Errors are sentences for the
// operator; that it is no such directory is ErrNone.
func OfDirectory(name string) (Source, error) {
	at := name
	if filepath.Base(at) == "blobs" {
		at = filepath.Dir(at)
	}
	for _, dir := range [...]string{at, filepath.Join(at, containerd)} {
		root, err := os.OpenRoot(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != at {
			continue
		}
		if err != nil {
			return nil, backend.Unusable(name, err)
		}
		if key := shapeOf(root); key != nil {
			return WithPatience(&directory{root, name, key}, patience), nil
		}
		root.Close()
	}
	if _, err := os.Stat(filepath.Join(at, "overlay2")); err == nil {
		return nil, fmt.Errorf("%s is Docker's own directory, which keeps layers unpacked: run docker save and name the directory in which its archive was unpacked", name)
	}
	return nil, fmt.Errorf("%s %w", name, ErrNone)
}

// shapeOf returns how the blobs of a directory are named; nil where it has none.
func shapeOf(root *os.Root) func(layout.AnyDigest) string {
	for _, algorithm := range someNames(root, "blobs") {
		if !layout.KnownAlgorithm(algorithm) {
			continue
		}
		for _, name := range someNames(root, path.Join("blobs", algorithm)) {
			if _, ok := layout.ParseAnyDigest(algorithm + ":" + name); ok {
				return flat
			}
			if len(name) == 2 {
				return func(d layout.AnyDigest) string { return path.Join("blobs", d.BlobKey()[len(layout.Blobs):]) }
			}
		}
	}
	return nil
}

// someNames returns some names of what is in a directory; none where it can't be read.
func someNames(root *os.Root, dir string) []string {
	d, err := root.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	const enough = 64
	names, _ := d.Readdirnames(enough)
	return names
}

// flat is the path of a blob in an OCI layout.
func flat(d layout.AnyDigest) string {
	algorithm, hex, _ := strings.Cut(d.String(), ":")
	return path.Join("blobs", algorithm, hex)
}

// directory is a directory of blobs as a source.
type directory struct {
	root *os.Root
	name string
	key  func(layout.AnyDigest) string
}

// String is Source's.
func (s *directory) String() string { return s.name }

// Size is Source's.
func (s *directory) Size(_ context.Context, b Blob) (int64, error) {
	info, err := s.root.Stat(s.key(b.Digest))
	if err == nil && !info.Mode().IsRegular() {
		err = backend.ErrIrregular
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Open is Source's. A pipe isn't waited for.
func (s *directory) Open(_ context.Context, b Blob) (io.ReadCloser, error) {
	f, err := s.root.OpenFile(s.key(b.Digest), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = backend.ErrIrregular
		}
		return nil, err
	}
	return f, nil
}

// Close is Source's.
func (s *directory) Close() error { return s.root.Close() }

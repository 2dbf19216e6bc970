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

// containerd is the directory, below containerd's root, that contains the blobs of a node's
// images (github.com/containerd/containerd, plugins/content/local).
const containerd = "io.containerd.content.v1.content"

// ErrNone is the error for a directory that has no blobs.
var ErrNone = errors.New("is neither a registry's storage nor a directory with blobs/sha256/<digest> in it, as an OCI layout, containerd's " +
	containerd + " and an unpacked docker save have it")

// OfDirectory returns a directory of blobs as a source. It accepts blobs/<algorithm>/<hex>,
// as in an OCI image layout (opencontainers/image-spec, image-layout.md), containerd's root
// and an unpacked docker save; and a registry's blobs/<algorithm>/<hex[:2]>/<hex>/data
// without its links. Nothing outside the directory is read, whatever links it contains.
// Errors are sentences for the operator; ErrNone if there are no blobs.
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
		if key := keysOf(root); key != nil {
			return WithTimeout(&directory{root, name, key}, defaultTimeout), nil
		}
		root.Close()
	}
	if _, err := os.Stat(filepath.Join(at, "overlay2")); err == nil {
		return nil, fmt.Errorf("%s is Docker's own directory, which keeps layers unpacked: run docker save and name the directory in which its archive was unpacked", name)
	}
	return nil, fmt.Errorf("%s %w", name, ErrNone)
}

// keysOf returns the function from a digest to the blob's path; nil if the directory has no
// blobs.
func keysOf(root *os.Root) func(layout.AnyDigest) string {
	for _, algorithm := range someNames(root, "blobs") {
		if !layout.KnownAlgorithm(algorithm) {
			continue
		}
		for _, name := range someNames(root, path.Join("blobs", algorithm)) {
			if _, ok := layout.ParseAnyDigest(algorithm + ":" + name); ok {
				return ociPath
			}
			if len(name) == 2 {
				return func(d layout.AnyDigest) string { return path.Join("blobs", d.BlobKey()[len(layout.Blobs):]) }
			}
		}
	}
	return nil
}

// someNames returns up to 64 names in a directory; none if it can't be read.
func someNames(root *os.Root, dir string) []string {
	d, err := root.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(64)
	return names
}

// ociPath returns the path of a blob in an OCI layout.
func ociPath(d layout.AnyDigest) string {
	algorithm, hex, _ := strings.Cut(d.String(), ":")
	return path.Join("blobs", algorithm, hex)
}

// directory is a directory of blobs as a source.
type directory struct {
	root *os.Root
	name string
	key  func(layout.AnyDigest) string
}

// String implements Source.
func (s *directory) String() string { return s.name }

// Size implements Source.
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

// Open implements Source. It doesn't block on a pipe.
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

// Close implements Source.
func (s *directory) Close() error { return s.root.Close() }

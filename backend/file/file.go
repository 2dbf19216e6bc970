// Package file keeps a registry's store in a directory.
//
// Its listing is told which file to expect below each child of a directory, and
// asks for "<child>/<leaf>" relative to the directory's descriptor, so that the
// child itself is opened only where the leaf isn't there. On a registry this
// reads every link and takes every blob's size in fewer system calls than find
// needs to name them: the floor is the kernel's cache misses, not the calls.
// Many workers go down the tree, last found first, so that memory and open
// descriptors follow the depth of the tree and not its size; what they find is
// handed over one batch at a time. This is the way of Linux; other systems take
// a plain one with the same policy, which passes the same suite.
//
// The policy is one for listing, opening and looking: a symbolic link or a
// mount below the root is not entered, whatever it points to, until
// Options.Follow names it; a pipe, a socket or a device is never read; times of
// access stay as they are where the system allows it. A Reader writes nothing; a
// Store, which is one too, changes under the same policy.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"regfsck/backend"
)

// Options says how a directory is to be read. The zero Options is good.
type Options struct {
	// Base is the key of the directory itself, where a part of a store was mounted
	// or copied without the directories above it; "" where it is the root.
	Base string
	// Workers is how many goroutines a listing may use; 0 is 4 for each core,
	// and at least 8.
	Workers int
	// Follow names symbolic links and mounts that belong to the store, as
	// absolute paths or as keys. Each is named by itself: a link inside a
	// followed directory is another one, so that following comes to an end.
	Follow []string
}

// Reader reads a store in a directory. It is safe for concurrent use.
type Reader struct {
	config
	system system
	counts counters
}

// system is what differs between systems. Keys are valid, ctx is the caller's
// to look at but for list.
type system interface {
	list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error
	open(key string) (io.ReadCloser, error)
	stat(key string) (backend.Item, error)
	close() error
}

// counters are what Cost tells.
type counters struct{ list, get, head, calls, bytes atomic.Int64 }

var errNotDir = errors.New("is not a directory")

// Open returns the store in the directory root, which may be reached through
// symbolic links. It fails where root isn't a directory, or where something of
// Options.Follow is not below root or isn't there.
func Open(root string, o Options) (*Reader, error) { return open(root, o, newSystem) }

// open is Open with a maker of systems, so that each can be tested.
func open(root string, o Options, maker func(config, *counters) (system, error)) (*Reader, error) {
	real, err := filepath.Abs(root)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, backend.Cause(err))
	}
	follow, err := followed(root, real, o.Base, o.Follow)
	if err != nil {
		return nil, err
	}
	c := config{given: root, real: real, base: o.Base, follow: follow, workers: o.Workers}
	if c.workers <= 0 {
		c.workers = max(8, 4*runtime.GOMAXPROCS(0))
	}
	s := &Reader{config: c}
	if s.system, err = maker(c, &s.counts); err != nil {
		return nil, err
	}
	return s, nil
}

// config is what a system has to know.
type config struct {
	given, real string   // the root as the caller names it, and without links
	base        string   // the key of the root, where that isn't ""
	follow      []string // keys, sorted
	workers     int
}

// List is backend.Reader's. A prefix that is a link, a mount, or that may not
// be read is a Fault like any other directory.
func (s *Reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	if prefix != "" {
		if err := checkKey("list", prefix); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.system.list(ctx, prefix, expect, each); err != nil {
		return err
	}
	return ctx.Err()
}

// Open is backend.Reader's. What it returns is not for concurrent use.
func (s *Reader) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey("open", key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.counts.get.Add(1)
	return s.system.open(key)
}

// Stat is backend.Reader's.
func (s *Reader) Stat(ctx context.Context, key string) (backend.Item, error) {
	if err := checkKey("stat", key); err != nil {
		return backend.Item{}, err
	}
	if err := ctx.Err(); err != nil {
		return backend.Item{}, err
	}
	s.counts.head.Add(1)
	return s.system.stat(key)
}

// Cost is backend.Reader's. A running listing adds to it batch by batch.
func (s *Reader) Cost() backend.Cost {
	c := &s.counts
	return backend.Cost{
		List: c.list.Load(), Get: c.get.Load(), Head: c.head.Load(),
		Calls: c.calls.Load(), BytesRead: c.bytes.Load(),
	}
}

// Close gives back what the store holds. Nothing may use it afterwards.
func (s *Reader) Close() error { return s.system.close() }

// Names is backend.Reader's. Symbolic links in the directory are files to it.
func (s *Reader) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	if err := checkKey("list", dir); err != nil {
		return nil, err
	}
	if s.aboveBase(dir) {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	s.counts.list.Add(1)
	rest := strings.TrimPrefix(strings.TrimPrefix(dir, s.base), "/")
	entries, err := os.ReadDir(filepath.Join(s.real, filepath.FromSlash(rest)))
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: backend.Cause(err)}
	}
	var items []backend.Item
	for _, e := range entries {
		info, err := e.Info()
		if err != nil { // it has vanished
			continue
		}
		it := backend.Item{Name: e.Name(), Modified: nanoseconds(info)}
		switch {
		case e.IsDir():
			it.Name += "/"
		case info.Mode().IsRegular():
			it.Size = info.Size()
		}
		items = append(items, it)
	}
	return items, ctx.Err()
}

// checkKey refuses keys that could lead anywhere but below the root.
func checkKey(op, key string) error {
	err := backend.CheckKey(op, key)
	if err == nil && filepath.Separator != '/' && !filepath.IsLocal(filepath.FromSlash(key)) {
		err = &fs.PathError{Op: op, Path: key, Err: backend.ErrKey}
	}
	return err
}

// grandparent returns the key of the directory that the directory of a file is in,
// where the root is in itself.
func grandparent(key string) string {
	dirKey, _ := backend.SplitKey(key)
	above, _ := backend.SplitKey(dirKey)
	return above
}

// below returns the part of path that is below the directory dir, both absolute.
func below(dir, p string) (string, bool) {
	rest, ok := strings.CutPrefix(p, dir)
	if !ok || rest == "" {
		return "", false
	}
	if rest[0] == filepath.Separator {
		return filepath.ToSlash(rest[1:]), true
	}
	return filepath.ToSlash(rest), strings.HasSuffix(dir, string(filepath.Separator))
}

// aboveBase reports whether a key is in none of the directories that there are:
// it is beside the base, or above it. The key "" is the root's own name, with a
// base too.
func (c *config) aboveBase(key string) bool {
	rest, ok := strings.CutPrefix(key, c.base)
	return c.base != "" && key != "" && (!ok || rest != "" && rest[0] != '/')
}

// followed returns what the user wants followed as keys, sorted, so that a
// directory stands before what is in it.
func followed(given, real, base string, paths []string) ([]string, error) {
	var keys []string
	for _, p := range paths {
		key, err := followKey(given, real, base, p)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", p, err)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// followKey turns an absolute path or a key into a key. A path may name the
// root as the caller does, or as it really is.
func followKey(given, real, base, p string) (string, error) {
	if !filepath.IsAbs(p) {
		key := path.Clean(filepath.ToSlash(p))
		return key, checkKey("follow", key)
	}
	given, err := filepath.Abs(given)
	if err != nil {
		return "", err
	}
	p = filepath.Clean(p)
	forms := []string{p}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil {
		forms = append(forms, filepath.Join(dir, filepath.Base(p)))
	}
	for _, form := range forms {
		for _, root := range []string{given, real} {
			if key, ok := below(root, form); ok {
				return backend.JoinKey(base, key), nil
			}
		}
	}
	return "", fmt.Errorf("is not below %s", real)
}

// batchSize is how many items or faults a batch has at most.
const batchSize = 512

// arena is how much room for bodies is made at once.
const arena = 64 << 10

// batch gathers items of one directory. Its memory is used again, but for the one
// string that holds the names.
type batch struct {
	dir    string
	names  []byte
	ends   []int // where each item's name ends in names
	items  []backend.Item
	faults []backend.Fault
	bodies []byte
}

func (b *batch) full() bool { return len(b.items) >= batchSize || len(b.faults) >= batchSize }

// add takes in an item, whose name is the parts put together.
func (b *batch) add(item backend.Item, name ...string) {
	for _, part := range name {
		b.names = append(b.names, part...)
	}
	b.ends = append(b.ends, len(b.names))
	b.items = append(b.items, item)
}

// space returns n bytes for a body. They are the batch's until it is reset.
func (b *batch) space(n int) []byte {
	if cap(b.bodies)-len(b.bodies) < n {
		b.bodies = make([]byte, 0, max(n, arena))
	}
	at := len(b.bodies)
	b.bodies = b.bodies[:at+n]
	return b.bodies[at : at+n : at+n]
}

// seal returns what was gathered.
func (b *batch) seal() backend.Batch {
	names, from := string(b.names), 0
	for i, end := range b.ends {
		b.items[i].Name = names[from:end]
		from = end
	}
	return backend.Batch{Dir: b.dir, Items: b.items, Faults: b.faults}
}

// reset forgets what was gathered.
func (b *batch) reset() {
	clear(b.items)
	clear(b.faults)
	b.names, b.ends, b.items, b.faults, b.bodies = b.names[:0], b.ends[:0], b.items[:0], b.faults[:0], b.bodies[:0]
}

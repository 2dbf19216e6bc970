// Package file keeps a registry's store in a directory.
//
// For each directory the caller of a listing gives the file to expect in its children. The
// listing opens "<child>/<file>" relative to the directory's descriptor, and opens the child
// itself only if the file doesn't exist. For a registry this reads every link and gets every
// blob's size in fewer system calls than find needs for the names. Several workers list
// directories, the last one found first, so that memory and open descriptors grow with the
// depth of the tree and not with its size. The caller gets one batch at a time. This is done
// on Linux; on other systems a simpler listing has the same rules and passes the same tests.
//
// The same rules apply to listing, opening, looking and changing: a symbolic link or a mount
// below the root is not followed unless Options.Follow names it; a pipe, a socket or a device
// is never read; access times don't change if the system allows that. A Reader writes nothing.
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

// Options are settings for reading a directory. The zero Options is valid.
type Options struct {
	// Base is the key of the directory itself, if a part of a store was mounted
	// or copied without the directories above it; "" if it is the root.
	Base string
	// Workers is how many goroutines a listing may use; 0 means 4 for each core,
	// and at least 8.
	Workers int
	// Follow names symbolic links and mounts that belong to the store, as
	// absolute paths or as keys. A link inside a followed directory must be named
	// too, so that following always ends.
	Follow []string
}

// Reader reads a store in a directory. It is safe for concurrent use.
type Reader struct {
	config
	system system
	counts counters
}

// system is what differs between systems. Its callers check keys and, except for list, ctx.
type system interface {
	list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error
	open(key string) (io.ReadCloser, error)
	stat(key string) (backend.Item, error)
	close() error
}

// counters are what Cost returns.
type counters struct{ list, get, head, calls, bytes atomic.Int64 }

var errNotDir = errors.New("is not a directory")

// Open returns the store in the directory root, whose path may have symbolic
// links. It fails if root isn't a directory, or if something in Options.Follow
// is not below root or doesn't exist.
func Open(root string, o Options) (*Reader, error) { return open(root, o, newSystem) }

// open is Open with a constructor of the system, so that each system can be tested.
func open(root string, o Options, maker func(config, *counters) (system, error)) (*Reader, error) {
	real, err := filepath.Abs(root)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", root, backend.Cause(err))
	}
	follow, err := followKeys(root, real, o.Base, o.Follow)
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

// config is what a system is made from.
type config struct {
	given, real string   // the root as the caller names it, and without symbolic links
	base        string   // the key of the root
	follow      []string // keys, sorted
	workers     int
}

// isFollowed reports whether a key is followed; such a key is never removed.
func (c *config) isFollowed(key string) bool {
	_, is := slices.BinarySearch(c.follow, key)
	return is
}

// List is backend.Reader's. A prefix that is a link or a mount, or that can't be
// read, is a Fault like any other directory.
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

// Cost is backend.Reader's. A running listing adds to it with each batch.
func (s *Reader) Cost() backend.Cost {
	c := &s.counts
	return backend.Cost{
		List: c.list.Load(), Get: c.get.Load(), Head: c.head.Load(),
		Calls: c.calls.Load(), BytesRead: c.bytes.Load(),
	}
}

// Close closes the store's descriptors. The store can't be used afterwards.
func (s *Reader) Close() error { return s.system.close() }

// Names is backend.Reader's. Symbolic links in the directory count as files.
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
		if err != nil { // it no longer exists
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

// checkKey refuses keys whose path could be outside the root.
func checkKey(op, key string) error {
	err := backend.CheckKey(op, key)
	if err == nil && filepath.Separator != '/' && !filepath.IsLocal(filepath.FromSlash(key)) {
		err = &fs.PathError{Op: op, Path: key, Err: backend.ErrKey}
	}
	return err
}

// grandparent returns the key of the directory two levels above a file. The parent of the
// root is the root.
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

// aboveBase reports whether a key is outside the directory: it is beside the base,
// or above it. The key "" is the directory itself, with a base too.
func (c *config) aboveBase(key string) bool {
	rest, ok := strings.CutPrefix(key, c.base)
	return c.base != "" && key != "" && (!ok || rest != "" && rest[0] != '/')
}

// followKeys returns the paths of Options.Follow as sorted keys, each directory
// before its content.
func followKeys(given, real, base string, paths []string) ([]string, error) {
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

// followKey returns the key of an absolute path or of a key. The path may begin with
// the root as the caller names it, or without symbolic links.
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

// arena is how many bytes for bodies are allocated at once.
const arena = 64 << 10

// batch collects items of directories, one directory after the other. Its memory is reused,
// except for the string that contains the names.
type batch struct {
	parts  []part // the last one is added to
	names  []byte
	ends   []int // the end of each item's name in names
	items  []backend.Item
	faults []backend.Fault
	bodies []byte
}

// part is a directory of a batch, with the indices of its first item and fault.
type part struct {
	dir           string
	items, faults int
}

func (b *batch) full() bool  { return len(b.items) >= batchSize || len(b.faults) >= batchSize }
func (b *batch) empty() bool { return len(b.items)+len(b.faults) == 0 }

// of sets the directory of what is added next.
func (b *batch) of(dir string) {
	next := part{dir, len(b.items), len(b.faults)}
	switch n := len(b.parts); {
	case n > 0 && b.parts[n-1].dir == dir:
	case n > 0 && b.parts[n-1].items == next.items && b.parts[n-1].faults == next.faults: // nothing was added
		b.parts[n-1] = next
	default:
		b.parts = append(b.parts, next)
	}
}

// add adds an item, whose name is the concatenated parts.
func (b *batch) add(item backend.Item, name ...string) {
	for _, part := range name {
		b.names = append(b.names, part...)
	}
	b.ends = append(b.ends, len(b.names))
	b.items = append(b.items, item)
}

// space returns n bytes for a body. They are valid until the batch is reset.
func (b *batch) space(n int) []byte {
	if cap(b.bodies)-len(b.bodies) < n {
		b.bodies = make([]byte, 0, max(n, arena))
	}
	at := len(b.bodies)
	b.bodies = b.bodies[:at+n]
	return b.bodies[at : at+n : at+n]
}

// deliver passes what was collected to each, by directory, until that returns an error or ctx
// ends, and resets the batch. It returns the error that ended it.
func (b *batch) deliver(ctx context.Context, each func(backend.Batch) error) error {
	names, from := string(b.names), 0
	for i, end := range b.ends {
		b.items[i].Name = names[from:end]
		from = end
	}
	var err error
	for i, p := range b.parts {
		items, faults := b.items[p.items:], b.faults[p.faults:]
		if i+1 < len(b.parts) {
			next := b.parts[i+1]
			items, faults = items[:next.items-p.items], faults[:next.faults-p.faults]
		}
		if len(items)+len(faults) == 0 || err != nil {
			continue
		}
		if err = ctx.Err(); err == nil {
			err = each(backend.Batch{Dir: p.dir, Items: items, Faults: faults})
		}
	}
	clear(b.parts)
	clear(b.items)
	clear(b.faults)
	b.parts, b.names, b.ends, b.items, b.faults, b.bodies = b.parts[:0], b.names[:0], b.ends[:0], b.items[:0], b.faults[:0], b.bodies[:0]
	return err
}

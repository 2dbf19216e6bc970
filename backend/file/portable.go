package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
)

// portable is the system for all other systems. It uses one goroutine, and recognises
// mounts by their devices.
type portable struct {
	config
	counts *counters
	root   fs.FileInfo
}

func newPortable(c config, counts *counters) (system, error) {
	p := &portable{config: c, counts: counts}
	var err error
	if p.root, err = os.Stat(c.real); err == nil && !p.root.IsDir() {
		err = errNotDir
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", c.given, backend.Cause(err))
	}
	for _, key := range c.follow {
		info, pe := p.resolve(key)
		if pe != nil {
			return nil, fmt.Errorf("follow %s: %w", key, pe.Err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("follow %s: %w", key, backend.ErrIrregular)
		}
	}
	return p, nil
}

func (p *portable) close() error { return nil }

// path returns the path of key in the filesystem.
func (p *portable) path(key string) string {
	return filepath.Join(p.real, filepath.FromSlash(strings.TrimPrefix(key, p.base)))
}

// resolve looks at each directory above key and then at key. The error has no Op; its
// Path is the component that can't be entered.
func (p *portable) resolve(key string) (fs.FileInfo, *fs.PathError) {
	if p.aboveBase(key) {
		return nil, &fs.PathError{Path: key, Err: fs.ErrNotExist}
	}
	info, at := p.root, ""
	if key != "" {
		at = p.base
	}
	rest := strings.TrimPrefix(key[len(at):], "/")
	for more := rest != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if !info.IsDir() {
			return nil, &fs.PathError{Path: at, Err: errNotDir}
		}
		at = backend.JoinKey(at, name)
		next, err := p.look(at, info)
		if err != nil {
			return nil, &fs.PathError{Path: at, Err: err}
		}
		info = next
	}
	return info, nil
}

// look looks at key in the directory parent. An error is without the path.
func (p *portable) look(key string, parent fs.FileInfo) (fs.FileInfo, error) {
	if p.isFollowed(key) {
		info, err := os.Stat(p.path(key))
		return info, backend.Cause(err)
	}
	info, err := os.Lstat(p.path(key))
	if err != nil {
		return nil, backend.Cause(err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, backend.ErrSymlink
	}
	here, known := device(info)
	if there, _ := device(parent); known && info.IsDir() && here != there {
		return nil, backend.ErrMount
	}
	return info, nil
}

func (p *portable) stat(key string) (backend.Item, error) {
	info, err := p.file("stat", key)
	if err != nil {
		return backend.Item{}, err
	}
	return backend.Item{Name: key, Size: info.Size(), Modified: nanoseconds(info)}, nil
}

func (p *portable) open(key string) (f io.ReadCloser, err error) {
	for range maxRechecks {
		if f, err = p.openOnce(key); !errors.Is(err, errChanged) {
			break
		}
	}
	return f, err
}

func (p *portable) openOnce(key string) (io.ReadCloser, error) {
	info, err := p.file("open", key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p.path(key))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: key, Err: backend.Cause(err)}
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return nil, backend.Join(&fs.PathError{Op: "open", Path: key, Err: errChanged}, err, f.Close())
	}
	return &counted{File: f, counts: p.counts}, nil
}

var errChanged = errors.New("was replaced while it was opened")

// file looks at key, which must be a file.
func (p *portable) file(op, key string) (fs.FileInfo, error) {
	info, pe := p.resolve(key)
	if pe == nil && !info.Mode().IsRegular() {
		pe = &fs.PathError{Path: key, Err: backend.ErrIrregular}
	}
	if pe != nil {
		pe.Op = op
		return nil, pe
	}
	return info, nil
}

// counted is a file that counts what is read from it.
type counted struct {
	*os.File
	counts *counters
}

// Read is io.Reader's.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.counts.bytes.Add(int64(n))
	return n, err
}

// nanoseconds returns a file's modification time as in an Item.
func nanoseconds(info fs.FileInfo) int64 {
	t := info.ModTime()
	return backend.Nanoseconds(t.Unix(), int64(t.Nanosecond()))
}

// portableListing is one call of List. It reads one directory after the other.
type portableListing struct {
	*portable
	ctx    context.Context
	expect backend.HintFunc
	each   func(backend.Batch) error
	prefix string
	batch  batch
}

// maxRechecks is how often a name that is listed and can't be found is rechecked.
const maxRechecks = 3

// pendingDir is a directory to be listed.
type pendingDir struct {
	key      string
	info     fs.FileInfo
	own      backend.Hint // the parent's leaf, expected in it
	leafDone bool         // own was already returned
	next     []pendingDir // directories in it
}

func (p *portable) list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	t := &portableListing{portable: p, ctx: ctx, expect: expect, each: each, prefix: prefix}
	info, pe := p.resolve(prefix)
	switch {
	case pe == nil && info.IsDir():
		found, err := t.visit(pendingDir{key: prefix, info: info})
		if err != nil {
			return err
		}
		if !found {
			return &fs.PathError{Op: "list", Path: prefix, Err: fs.ErrNotExist}
		}
	case pe == nil:
		return &fs.PathError{Op: "list", Path: prefix, Err: errNotDir}
	case errors.Is(pe, fs.ErrNotExist), errors.Is(pe, errNotDir):
		pe.Op = "list"
		return pe
	default:
		if err := t.fault(prefix, pe.Path, pe.Err); err != nil {
			return err
		}
	}
	return t.flush()
}

// visit lists one directory and everything below it. For names that are listed and can't
// be found the directory is listed again; after maxRechecks they are faults. It reports
// whether the directory itself was found.
func (t *portableListing) visit(s pendingDir) (found bool, err error) {
	leaf := t.expect(s.key)
	var missing map[string]bool
	for round := 0; round == 0 || len(missing) > 0; round++ {
		names, err := t.names(s)
		if errors.Is(err, fs.ErrNotExist) {
			return round > 0, t.ctx.Err()
		}
		t.counts.list.Add(1)
		if err != nil {
			err = t.fault(s.key, s.key, backend.Cause(err))
		} else if round == 0 && len(names) == 0 && s.key != t.prefix {
			return true, t.empty(s)
		}
		if round > 0 {
			names = slices.DeleteFunc(names, func(name string) bool { return !missing[name] })
		}
		if round > maxRechecks {
			return true, t.reportMissing(s.key, names)
		}
		if err == nil {
			missing, err = t.entries(&s, leaf, names)
		}
		if err != nil {
			return false, err
		}
	}
	return true, t.ctx.Err()
}

// reportMissing adds faults for names in dir that can't be found.
func (t *portableListing) reportMissing(dir string, names []string) error {
	for _, name := range names {
		if err := t.fault(dir, backend.JoinKey(dir, name), backend.ErrListed); err != nil {
			return err
		}
	}
	return nil
}

// entries adds the names of a directory and everything below them, and returns the names that
// can't be found.
func (t *portableListing) entries(s *pendingDir, leaf backend.Hint, names []string) (map[string]bool, error) {
	missing := map[string]bool{}
	for _, name := range names {
		found, err := t.entry(s, leaf, name)
		if err != nil {
			return nil, err
		}
		if !found {
			missing[name] = true
		}
	}
	if err := t.flush(); err != nil {
		return nil, err
	}
	next := s.next
	s.next = nil
	for _, child := range next {
		found, err := t.visit(child)
		if err != nil {
			return nil, err
		}
		if _, name := backend.SplitKey(child.key); !found {
			missing[name] = true
		}
	}
	return missing, nil
}

// names returns the sorted names in the directory s. If something else now has its path
// the error is fs.ErrNotExist.
func (t *portableListing) names(s pendingDir) ([]string, error) {
	f, err := os.Open(t.path(s.key))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !now.IsDir() || !os.SameFile(now, s.info) {
		return nil, cmp.Or(err, fs.ErrNotExist)
	}
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// entry adds the item, directory or fault for name in the directory s. It reports whether
// the name exists.
func (t *portableListing) entry(s *pendingDir, leaf backend.Hint, name string) (found bool, err error) {
	if err := t.batchFor(s.key); err != nil {
		return false, err
	}
	key := backend.JoinKey(s.key, name)
	t.counts.head.Add(1)
	info, err := t.look(key, s.info)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !t.isFollowed(key):
		return false, nil
	case err != nil:
		return true, t.fault(s.key, key, err)
	case info.IsDir():
		return true, t.child(s, leaf.In(name), key, info)
	case !info.Mode().IsRegular():
		return true, t.fault(s.key, key, backend.ErrIrregular)
	case name != s.own.Name:
		t.batch.add(item(info), name)
	case !s.leafDone:
		return t.leaf(s.key, s.own, info)
	}
	return true, nil
}

// empty adds an item for the empty directory s.
func (t *portableListing) empty(s pendingDir) error {
	dir, name := backend.SplitKey(s.key)
	err := t.batchFor(dir)
	t.batch.add(backend.Item{Modified: nanoseconds(s.info)}, name, "/")
	return err
}

// child adds the leaf of a directory in s, and lists the directory later if that is needed.
func (t *portableListing) child(s *pendingDir, leaf backend.Hint, key string, info fs.FileInfo) error {
	next := pendingDir{key: key, info: info, own: leaf}
	if leaf.Name != "" {
		t.counts.head.Add(1)
		file, err := t.look(backend.JoinKey(key, leaf.Name), info)
		switch {
		case err == nil && file.Mode().IsRegular():
			if next.leafDone, err = t.leaf(key, leaf, file); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrPermission):
			return t.fault(s.key, key, err)
		}
	}
	if !next.leafDone || leaf.Siblings != backend.SiblingsOptional {
		s.next = append(s.next, next)
	}
	return nil
}

// leaf adds the leaf of the directory dir, or a fault. It reports whether the leaf still
// exists.
func (t *portableListing) leaf(dir string, leaf backend.Hint, info fs.FileInfo) (found bool, err error) {
	parent, last := backend.SplitKey(dir)
	if err := t.batchFor(parent); err != nil {
		return false, err
	}
	it := item(info)
	if leaf.Read > 0 {
		key := backend.JoinKey(dir, leaf.Name)
		it.Body = t.batch.space(int(min(int64(leaf.Read), info.Size())))
		it.Body, err = t.content(key, it.Body)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return true, t.fault(parent, key, backend.Cause(err))
		}
	}
	t.batch.add(it, last, "/", leaf.Name)
	return true, nil
}

// content reads the first bytes of key into body and returns them.
func (t *portableListing) content(key string, body []byte) ([]byte, error) {
	f, err := os.Open(t.path(key))
	if err != nil {
		return nil, err
	}
	t.counts.get.Add(1)
	n, err := io.ReadFull(f, body)
	t.counts.bytes.Add(int64(n))
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return body[:n], backend.Join(err, f.Close())
}

func item(info fs.FileInfo) backend.Item {
	return backend.Item{Size: info.Size(), Modified: nanoseconds(info)}
}

// fault adds a fault to a batch of dir.
func (t *portableListing) fault(dir, key string, err error) error {
	full := t.batchFor(dir)
	t.batch.faults = append(t.batch.faults, backend.Fault{Key: key, Err: err})
	return full
}

// batchFor sets the directory of the next item, and ensures that the batch has space for it.
func (t *portableListing) batchFor(dir string) error {
	err := t.ctx.Err()
	if err == nil && t.batch.full() {
		err = t.flush()
	}
	t.batch.of(dir)
	return err
}

// flush delivers the batch.
func (t *portableListing) flush() error {
	err := t.batch.deliver(t.ctx, t.each)
	return cmp.Or(err, t.ctx.Err())
}

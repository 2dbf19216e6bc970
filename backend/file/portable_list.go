package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"regfsck/backend"
)

// tour is one call of List, folder after folder.
type tour struct {
	*portable
	ctx    context.Context
	expect backend.Expect
	each   func(backend.Batch) error
	prefix string
	batch  batch
}

// stop is a folder to be listed.
type stop struct {
	key  string
	info fs.FileInfo
	own  backend.Leaf // expected in it
	done bool         // that was handed over
	next []stop       // found in it
}

func (p *portable) list(ctx context.Context, prefix string, expect backend.Expect, each func(backend.Batch) error) error {
	t := &tour{portable: p, ctx: ctx, expect: expect, each: each, prefix: prefix}
	info, pe := p.resolve(prefix)
	switch {
	case pe == nil && info.IsDir():
		if err := t.visit(stop{key: prefix, info: info}); err != nil {
			return err
		}
	case pe == nil:
		return &fs.PathError{Op: "list", Path: prefix, Err: errNotFolder}
	case errors.Is(pe, fs.ErrNotExist), errors.Is(pe, errNotFolder):
		pe.Op = "list"
		return pe
	default:
		t.batch.dir = prefix
		t.fault(pe.Path, pe.Err)
	}
	return t.flush()
}

// visit lists one folder, and then those in it. What is named and can't be
// found is looked for again in a new listing of the folder.
func (t *tour) visit(s stop) error {
	leaf := t.expect(s.key)
	var lost map[string]bool
	for round := 0; round == 0 || len(lost) > 0; round++ {
		entries, err := os.ReadDir(t.path(s.key))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if round == 0 && err == nil && len(entries) == 0 && s.key != t.prefix {
			return t.empty(s)
		}
		again := map[string]bool{}
		for _, e := range entries {
			if round > 0 && !lost[e.Name()] {
				continue
			}
			found, err := t.entry(&s, leaf, e.Name(), round)
			if err != nil {
				return err
			}
			if !found {
				again[e.Name()] = true
			}
		}
		if err != nil {
			t.fault(s.key, reason(err))
		}
		t.counts.list.Add(1)
		lost = again
	}
	for _, next := range s.next {
		if err := t.visit(next); err != nil {
			return err
		}
	}
	return t.ctx.Err()
}

func (t *tour) empty(s stop) error {
	dir, name := split(s.key)
	err := t.room(dir)
	t.batch.add(backend.Item{Modified: s.info.ModTime().UnixNano()}, name, "/")
	return err
}

// looks is how often a name that is listed and can't be found is looked for
// again.
const looks = 3

// entry accounts for name in the folder s. It reports false where there is
// nothing under that name, and it may be looked for again.
func (t *tour) entry(s *stop, leaf backend.Leaf, name string, round int) (found bool, err error) {
	if err := t.room(s.key); err != nil {
		return false, err
	}
	key := join(s.key, name)
	t.counts.head.Add(1)
	info, err := t.look(key, s.info)
	switch {
	case errors.Is(err, fs.ErrNotExist) && round < looks && !t.follow[key]:
		return false, nil
	case errors.Is(err, fs.ErrNotExist) && !t.follow[key]:
		t.fault(key, backend.ErrListed)
	case err != nil:
		t.fault(key, err)
	case info.IsDir():
		return true, t.child(s, leaf, key, info)
	case !info.Mode().IsRegular():
		t.fault(key, backend.ErrIrregular)
	case name != s.own.Name:
		t.batch.add(backend.Item{Size: info.Size(), Modified: info.ModTime().UnixNano()}, name)
	case !s.done:
		dir, last := split(s.key)
		if err := t.room(dir); err != nil {
			return false, err
		}
		t.leaf(key, last+"/"+name, s.own.Read, info)
	}
	return true, nil
}

// child hands over the leaf of a folder in s, or leaves the folder for later.
func (t *tour) child(s *stop, leaf backend.Leaf, key string, info fs.FileInfo) error {
	next := stop{key: key, info: info, own: leaf}
	if leaf.Name != "" {
		t.counts.head.Add(1)
		file, err := t.look(join(key, leaf.Name), info)
		if err == nil && file.Mode().IsRegular() {
			_, last := split(key)
			t.leaf(join(key, leaf.Name), last+"/"+leaf.Name, leaf.Read, file)
			next.done = true
		} else if errors.Is(err, syscall.EACCES) {
			t.fault(key, err)
			return nil
		}
	}
	if !next.done || leaf.Beside {
		s.next = append(s.next, next)
	}
	return nil
}

// leaf hands over the file key with its first bytes, in the batch at hand.
func (t *tour) leaf(key, name string, read int, info fs.FileInfo) {
	item := backend.Item{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if read > 0 {
		t.counts.get.Add(1)
		f, err := os.Open(t.path(key))
		if err != nil {
			t.fault(key, reason(err))
			return
		}
		item.Body = t.batch.space(int(min(int64(read), info.Size())))
		n, err := io.ReadFull(f, item.Body)
		err = errors.Join(err, f.Close())
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.fault(key, err)
			return
		}
		item.Body = item.Body[:n]
		t.counts.bytes.Add(int64(n))
	}
	t.batch.add(item, name)
}

func (t *tour) fault(key string, err error) {
	t.batch.faults = append(t.batch.faults, backend.Fault{Key: key, Err: err})
}

// room makes the batch one of dir that takes one more.
func (t *tour) room(dir string) error {
	if t.batch.dir == dir && !t.batch.full() {
		return t.ctx.Err()
	}
	err := t.flush()
	t.batch.dir = dir
	return err
}

// flush hands over what was gathered.
func (t *tour) flush() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	b := t.batch.seal()
	if len(b.Items)+len(b.Faults) == 0 {
		return nil
	}
	err := t.each(b)
	t.batch.reset()
	return err
}

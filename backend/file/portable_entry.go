package file

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"regfsck/backend"
)

// entry accounts for name in the folder s. It reports false where there is
// nothing under that name.
func (t *tour) entry(s *stop, leaf backend.Hint, name string) (found bool, err error) {
	if err := t.room(s.key); err != nil {
		return false, err
	}
	key := join(s.key, name)
	t.counts.head.Add(1)
	info, err := t.look(key, s.info)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !t.follow[key]:
		return false, nil
	case err != nil:
		return true, t.fault(s.key, key, err)
	case info.IsDir():
		return true, t.child(s, leaf, key, info)
	case !info.Mode().IsRegular():
		return true, t.fault(s.key, key, backend.ErrIrregular)
	case name != s.own.Name:
		t.batch.add(item(info), name)
	case !s.done:
		return t.leaf(s.key, s.own, info)
	}
	return true, nil
}

func (t *tour) empty(s stop) error {
	dir, name := split(s.key)
	err := t.room(dir)
	t.batch.add(backend.Item{Modified: nanoseconds(s.info)}, name, "/")
	return err
}

// child hands over the leaf of a folder in s, or leaves the folder for later.
func (t *tour) child(s *stop, leaf backend.Hint, key string, info fs.FileInfo) error {
	next := stop{key: key, info: info, own: leaf}
	if leaf.Name != "" {
		t.counts.head.Add(1)
		file, err := t.look(join(key, leaf.Name), info)
		switch {
		case err == nil && file.Mode().IsRegular():
			if next.done, err = t.leaf(key, leaf, file); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrPermission):
			return t.fault(s.key, key, err)
		}
	}
	if !next.done || leaf.Siblings {
		s.next = append(s.next, next)
	}
	return nil
}

// leaf hands over the leaf of the folder dir, or why it can't. It reports false
// where the leaf isn't there any more.
func (t *tour) leaf(dir string, leaf backend.Hint, info fs.FileInfo) (found bool, err error) {
	parent, last := split(dir)
	if err := t.room(parent); err != nil {
		return false, err
	}
	it := item(info)
	if leaf.Read > 0 {
		key := join(dir, leaf.Name)
		it.Body = t.batch.space(int(min(int64(leaf.Read), info.Size())))
		it.Body, err = t.content(key, it.Body)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return true, t.fault(parent, key, reason(err))
		}
	}
	t.batch.add(it, last, "/", leaf.Name)
	return true, nil
}

// content reads the first bytes of key into body and returns what it read.
func (t *tour) content(key string, body []byte) ([]byte, error) {
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

// fault adds what is unknown, to a batch of dir.
func (t *tour) fault(dir, key string, err error) error {
	full := t.room(dir)
	t.batch.faults = append(t.batch.faults, backend.Fault{Key: key, Err: err})
	return full
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

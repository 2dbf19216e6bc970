//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// Put is backend.Store's. The bytes are written and synced under another name
// first, in the state folder if it is on the same filesystem, so that not even a
// crash leaves anything beside the file. What stands there gets a second name
// where it is kept before it loses its own; without hard links it is renamed, and
// for a moment nothing stands there.
func (w *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	receipt := backend.Receipt{Key: key}
	if receipt.Err = w.guard(ctx, "write", run, key); receipt.Err != nil {
		return receipt
	}
	p := put{Store: w, run: run, key: key, temp: dir{-1}}
	p.folder, p.name = split(key)
	err := p.do(body, modified)
	p.temp.close()
	if err != nil {
		receipt.Err = failed("write", key, err)
		return receipt
	}
	if p.old != nil && run.Keep {
		receipt.Undo, receipt.Kept = "file", space(p.old)
	} else if p.old != nil {
		receipt.Freed = space(p.old)
	}
	return receipt
}

// put is one call of Put.
type put struct {
	*Store
	run          backend.Run
	key          string
	folder, name string
	temp         dir          // where the new file is written
	as           string       // its name there
	old          *unix.Stat_t // what stands there, or nil
}

func (p *put) do(body []byte, modified int64) (err error) {
	d, made, err := p.folders("write", p.folder, makeLike)
	defer d.close()
	defer func() {
		if err != nil {
			p.unmake(made)
		}
	}()
	if err != nil {
		return err
	}
	if err = p.lookAtOld(d); err != nil {
		return err
	}
	like, err := p.neighbour(d)
	if err != nil {
		return err
	}
	if err = p.openTemp(d); err != nil {
		return err
	}
	if err = writeNew(p.temp, p.as, body, modified, like); err != nil {
		return err
	}
	if err = p.place(d); err != nil {
		_ = p.temp.remove(p.as)
	}
	return err
}

// lookAtOld learns what stands there. Only a file may be written over.
func (p *put) lookAtOld(d dir) error {
	st, err := d.look(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	p.old = &st
	return regular(&st)
}

// place gives the written file its name in the folder d, for good.
func (p *put) place(d dir) error {
	if p.old == nil {
		if err := p.move(p.temp, p.as, d, p.name); err != nil {
			return err
		}
		return d.sync()
	}
	kept := &second{name: p.name, of: d, in: dir{-1}}
	defer kept.close()
	var err error
	if p.run.Keep {
		err = p.keepOld(kept)
	}
	if err == nil {
		err = unix.Renameat(p.temp.fd, p.as, d.fd, p.name)
	}
	if err != nil {
		return backend.Join(err, kept.undo(p.move))
	}
	return d.sync()
}

// keepOld gives what is to be written over a second name where it is kept. One
// that a crash left there will do.
func (p *put) keepOld(s *second) error {
	kept, err := p.openKept(p.run, true)
	if err != nil {
		return err
	}
	defer kept.close()
	if s.in, err = p.enter(kept, true, pieces(p.folder)...); err != nil {
		return err
	}
	switch err = p.link(s.of, s.name, s.in, s.name); {
	case noLinks(err):
		err = p.move(s.of, s.name, s.in, s.name)
		s.renamed = err == nil
	case errors.Is(err, fs.ErrExist):
		if same, lookErr := s.same(); same || lookErr != nil {
			err = lookErr
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return errKept
	}
	s.made = err == nil
	return cmp.Or(err, s.in.sync(), kept.sync())
}

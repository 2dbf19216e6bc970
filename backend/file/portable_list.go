package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"regfsck/backend"
)

// tour is one call of List, folder after folder.
type tour struct {
	*portable
	ctx    context.Context
	expect backend.HintFunc
	each   func(backend.Batch) error
	prefix string
	batch  batch
}

// looks is how often a name that is listed and can't be found is looked for
// again.
const looks = 3

// stop is a folder to be listed.
type stop struct {
	key  string
	info fs.FileInfo
	own  backend.Hint // expected in it
	done bool         // that was handed over
	next []stop       // found in it
}

func (p *portable) list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	t := &tour{portable: p, ctx: ctx, expect: expect, each: each, prefix: prefix}
	info, pe := p.resolve(prefix)
	switch {
	case pe == nil && info.IsDir():
		found, err := t.visit(stop{key: prefix, info: info})
		if err != nil {
			return err
		}
		if !found {
			return &fs.PathError{Op: "list", Path: prefix, Err: fs.ErrNotExist}
		}
	case pe == nil:
		return &fs.PathError{Op: "list", Path: prefix, Err: errNotFolder}
	case errors.Is(pe, fs.ErrNotExist), errors.Is(pe, errNotFolder):
		pe.Op = "list"
		return pe
	default:
		if err := t.fault(prefix, pe.Path, pe.Err); err != nil {
			return err
		}
	}
	return t.flush()
}

// visit lists one folder with all that is below. What is named and can't be
// found is looked for again in a new listing of the folder; what is named again
// and again is a fault. It reports false where the folder itself can't be found.
func (t *tour) visit(s stop) (found bool, err error) {
	leaf := t.expect(s.key)
	var lost map[string]bool
	for round := 0; round == 0 || len(lost) > 0; round++ {
		names, err := t.names(s)
		if errors.Is(err, fs.ErrNotExist) {
			return round > 0, t.ctx.Err()
		}
		t.counts.list.Add(1)
		if err != nil {
			err = t.fault(s.key, s.key, reason(err))
		} else if round == 0 && len(names) == 0 && s.key != t.prefix {
			return true, t.empty(s)
		}
		if round > 0 {
			names = slices.DeleteFunc(names, func(name string) bool { return !lost[name] })
		}
		if round > looks {
			return true, t.giveUp(s.key, names)
		}
		if err == nil {
			lost, err = t.tell(&s, leaf, names)
		}
		if err != nil {
			return false, err
		}
	}
	return true, t.ctx.Err()
}

// giveUp accounts for names of dir that can't be found.
func (t *tour) giveUp(dir string, names []string) error {
	for _, name := range names {
		if err := t.fault(dir, join(dir, name), backend.ErrListed); err != nil {
			return err
		}
	}
	return nil
}

// tell accounts for names of a folder, and returns those that can't be found.
func (t *tour) tell(s *stop, leaf backend.Hint, names []string) (map[string]bool, error) {
	lost := map[string]bool{}
	for _, name := range names {
		found, err := t.entry(s, leaf, name)
		if err != nil {
			return nil, err
		}
		if !found {
			lost[name] = true
		}
	}
	if err := t.flush(); err != nil {
		return nil, err
	}
	next := s.next
	s.next = nil
	for _, kid := range next {
		found, err := t.visit(kid)
		if err != nil {
			return nil, err
		}
		if _, name := split(kid.key); !found {
			lost[name] = true
		}
	}
	return lost, nil
}

// names returns what is in the folder s, which is fs.ErrNotExist where
// something else has taken its place.
func (t *tour) names(s stop) ([]string, error) {
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

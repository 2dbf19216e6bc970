package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// listing is one call of List.
type listing struct {
	*Reader
	ctx    context.Context
	prefix string // what the keys begin with, as keys of the store: "" or "folder/"
	expect backend.Expect
	each   func(backend.Batch) error

	leaves leaves
	proofs proofs

	delivery sync.Mutex // held while each is called
	seen     bool       // something was delivered
}

// List is backend.Reader's. Keys that end in a slash, which consoles write to
// show folders, are markers where they are empty, and ErrIrregular where they
// aren't. A key that no other keeper could have comes as an item of
// the folder that its sound part names.
func (r *Reader) List(ctx context.Context, prefix string, expect backend.Expect, each func(backend.Batch) error) error {
	if prefix != "" {
		if err := checkKey("list", prefix); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listing{Reader: r, ctx: ctx, expect: expect, each: each}
	if prefix != "" {
		l.prefix = prefix + "/"
	}
	l.leaves.expect = expect
	err := l.run()
	if u, ok := errors.AsType[*unlistable](err); ok {
		return l.hand(prefix, nil, []backend.Fault{{Key: prefix, Err: u.err}})
	}
	if err == nil && !l.seen {
		return l.nothing(prefix)
	}
	return err
}

// unlistable says that the credentials may not list here.
type unlistable struct{ err error }

func (u *unlistable) Error() string { return u.err.Error() }

// run lists the first page alone, which is all of most listings, and then cuts
// the rest.
func (l *listing) run() error {
	first := &walk{l: l, span: &span{}}
	p := newPool(first.span, l.prefix, int(l.pageSize))
	l.leaves.pool = p
	more, err := first.next(p)
	switch {
	case err != nil:
		return err
	case more:
		err = l.rest(p, first)
	default:
		first.close()
	}
	if err != nil {
		return err
	}
	return l.settle()
}

// rest lists what the first page left, side by side.
func (l *listing) rest(p *pool, first *walk) error {
	group, ctx := errgroup.WithContext(l.ctx)
	whole := l.ctx
	l.ctx = ctx
	defer func() { l.ctx = whole }()
	defer context.AfterFunc(ctx, p.stop)()
	group.Go(func() error { return l.work(p, first) })
	for range l.workers - 1 {
		group.Go(func() error { return l.work(p, nil) })
	}
	return group.Wait()
}

// work takes spans to their ends, until there is none.
func (l *listing) work(p *pool, w *walk) error {
	for {
		if w == nil {
			s, ask := p.take()
			switch {
			case ask != nil:
				p.learn(ask, l.probe(ask, p))
				continue
			case s == nil:
				return l.ctx.Err()
			}
			w = &walk{l: l, span: s}
		}
		for more := true; more; {
			var err error
			if more, err = w.next(p); err != nil {
				return err
			}
		}
		w.close()
		w = nil
	}
}

// nothing says why nothing was found below prefix.
func (l *listing) nothing(prefix string) error {
	if prefix != "" {
		var p page
		if err := l.page(l.ctx, request{prefix: l.root + prefix, max: 1}, &p); err != nil {
			return err
		}
		if len(p.objects) > 0 && p.objects[0].name() == l.root+prefix {
			return &fs.PathError{Op: "list", Path: prefix, Err: errNotFolder}
		}
	}
	return &fs.PathError{Op: "list", Path: prefix, Err: fmt.Errorf("%w: %s holds no such keys", fs.ErrNotExist, l.name)}
}

package lister

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// listing is one call of List.
type listing struct {
	*Lister
	ctx    context.Context
	prefix string // of all keys: "" or "directory/"
	each   func(backend.Batch) error

	hints  hints
	proofs proofs

	delivery sync.Mutex // held while each is called
	seen     bool       // something was delivered
}

// List implements backend.Reader. A key that ends in a slash, which consoles write to show a
// directory, is a Marker if it is empty, else a Fault of ErrIrregular. A key that no
// filesystem could have is an item of the directory that its valid components name.
func (l *Lister) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	if prefix != "" {
		if err := backend.CheckKey("list", prefix); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &listing{Lister: l, ctx: ctx, each: each}
	if prefix != "" {
		r.prefix = prefix + "/"
	}
	r.hints.expect = expect
	err := r.run()
	if u, ok := errors.AsType[*unlistable](err); ok {
		return r.deliver(prefix, nil, []backend.Fault{{Key: prefix, Err: u.err}})
	}
	if err == nil && !r.seen {
		return r.empty(prefix)
	}
	return err
}

// unlistable is the error for credentials that may not list this prefix.
type unlistable struct{ err error }

func (u *unlistable) Error() string { return u.err.Error() }

// run lists the first page alone, which is all of most listings, then the rest in parallel.
func (l *listing) run() error {
	first := &walk{l: l, keys: &keyRange{}}
	sched := newScheduler(first.keys, l.prefix, int(l.PageSize))
	l.hints.sched = sched
	more, err := first.next(sched)
	switch {
	case err != nil:
		return err
	case more:
		err = l.parallel(sched, first)
	default:
		first.close()
	}
	if err != nil {
		return err
	}
	return l.deliverDeferred()
}

// parallel lists the ranges after the first page, by all workers.
func (l *listing) parallel(sched *scheduler, first *walk) error {
	group, ctx := errgroup.WithContext(l.ctx)
	whole := l.ctx
	l.ctx = ctx
	defer func() { l.ctx = whole }()
	defer context.AfterFunc(ctx, sched.stop)()
	group.Go(func() error { return l.work(sched, first) })
	for range l.Workers - 1 {
		group.Go(func() error { return l.work(sched, nil) })
	}
	return group.Wait()
}

// work lists ranges to their ends until none is left.
func (l *listing) work(sched *scheduler, w *walk) error {
	for {
		if w == nil {
			s, ask := sched.take()
			switch {
			case ask != nil:
				sched.setNames(ask, l.listNames(ask, sched))
				continue
			case s == nil:
				return l.ctx.Err()
			}
			w = &walk{l: l, keys: s}
		}
		for more := true; more; {
			var err error
			if more, err = w.next(sched); err != nil {
				return err
			}
		}
		w.close()
		w = nil
	}
}

// empty returns why no key was found below prefix.
func (l *listing) empty(prefix string) error {
	if prefix != "" {
		var p Page
		if err := l.Page(l.ctx, Request{Prefix: prefix, Max: 1}, &p); err != nil {
			return err
		}
		if len(p.Objects) > 0 && p.Objects[0].name() == prefix {
			return &fs.PathError{Op: "list", Path: prefix, Err: errNotDir}
		}
	}
	return &fs.PathError{Op: "list", Path: prefix, Err: fmt.Errorf("%w: %s holds no such keys", fs.ErrNotExist, l.Name)}
}

var errNotDir = errors.New("is a file, not a directory")

// walk lists one range, page by page. One goroutine at a time uses it.
type walk struct {
	l     *listing
	keys  *keyRange
	page  Page
	group grouping
	empty int // consecutive empty pages
}

// maxEmpty is the number of consecutive empty pages that are accepted: servers send some for
// deleted keys.
const maxEmpty = 100

// next lists one page and delivers it. more reports whether the range has more pages.
func (w *walk) next(sched *scheduler) (more bool, err error) {
	l, s := w.l, w.keys
	q := Request{Prefix: l.prefix, Token: s.token, Max: l.PageSize}
	if s.pos != "" {
		q.After = s.pos
	}
	err = l.Page(l.ctx, q, &w.page)
	if err != nil && s.splitFrom != nil && l.ctx.Err() == nil {
		sched.giveUp(s)
		return false, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, &unlistable{err}
	}
	if err != nil {
		return false, err
	}
	if w.empty++; len(w.page.Objects) > 0 {
		w.empty = 0
	}
	if w.empty > maxEmpty {
		return false, Distrust("%d pages in a row are empty, and the last one announces more", w.empty)
	}
	more = sched.advance(s, &w.page)
	if err := w.group.page(l, s, w.page.Objects); err != nil {
		return false, err
	}
	return more, nil
}

// close ends a range that was listed to its end.
func (w *walk) close() {
	w.group.deferPending(w.l)
	w.group.leave(w.l, w.keys, "")
}

// upTo removes the objects above key, and reports whether there were any.
func (p *Page) upTo(key string) bool {
	n := len(p.Objects)
	if key == "" || n == 0 || string(p.Objects[n-1].Key) <= key {
		return false
	}
	p.Objects = p.Objects[:sort.Search(n, func(i int) bool { return string(p.Objects[i].Key) > key })]
	return true
}

// hints caches the hint of each directory, so that several walks in one directory request it once. It
// contains the directories that a walk is in, and those that contain the end of a range.
type hints struct {
	expect backend.HintFunc
	sched  *scheduler

	mu   sync.Mutex
	open map[string]backend.Hint
}

// of returns the hint of a directory.
func (l *hints) of(dir string) backend.Hint {
	l.mu.Lock()
	defer l.mu.Unlock()
	hint, ok := l.open[dir]
	if !ok {
		if l.open == nil {
			l.open = map[string]backend.Hint{}
		}
		hint = l.expect(dir)
		l.open[dir] = hint
	}
	return hint
}

// drop drops a directory that a walk has left, unless it contains an end of the walk's range.
func (l *hints) drop(s *keyRange, dir string) {
	after, until := l.sched.bounds(s)
	if backend.Inside(after, dir) || backend.Inside(until, dir) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, dir)
}

// deliver calls each, as often as necessary. The caller holds the delivery lock, or is alone.
func (l *listing) deliver(dir string, items []backend.Item, faults []backend.Fault) error {
	for len(items)+len(faults) > 0 {
		n, m := min(len(items), maxBatch), min(len(faults), maxBatch)
		if err := l.ctx.Err(); err != nil {
			return err
		}
		l.seen = true
		if err := l.each(backend.Batch{Dir: dir, Items: items[:n:n], Faults: faults[:m:m]}); err != nil {
			return err
		}
		items, faults = items[n:], faults[m:]
	}
	return nil
}

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
	prefix string // what the keys begin with, as keys of the store: "" or "directory/"
	each   func(backend.Batch) error

	leaves leaves
	proofs proofs

	delivery sync.Mutex // held while each is called
	seen     bool       // something was delivered
}

// List is backend.Reader's. Keys that end in a slash, which consoles write to
// show directories, are markers where they are empty, and ErrIrregular where they
// aren't. A key that no other driver could have comes as an item of
// the directory that its sound part names.
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
	r.leaves.expect = expect
	err := r.run()
	if u, ok := errors.AsType[*unlistable](err); ok {
		return r.hand(prefix, nil, []backend.Fault{{Key: prefix, Err: u.err}})
	}
	if err == nil && !r.seen {
		return r.nothing(prefix)
	}
	return err
}

// unlistable says that the credentials may not list here.
type unlistable struct{ err error }

func (u *unlistable) Error() string { return u.err.Error() }

// run lists the first page alone, which is all of most listings, and then splits
// the rest.
func (l *listing) run() error {
	first := &walk{l: l, keys: &keyRange{}}
	sched := newScheduler(first.keys, l.prefix, int(l.PageSize))
	l.leaves.sched = sched
	more, err := first.next(sched)
	switch {
	case err != nil:
		return err
	case more:
		err = l.rest(sched, first)
	default:
		first.close()
	}
	if err != nil {
		return err
	}
	return l.handWaiting()
}

// rest lists what the first page left, side by side.
func (l *listing) rest(sched *scheduler, first *walk) error {
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

// work takes ranges to their ends, until there is none.
func (l *listing) work(sched *scheduler, w *walk) error {
	for {
		if w == nil {
			s, ask := sched.take()
			switch {
			case ask != nil:
				sched.learn(ask, l.probe(ask, sched))
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

// nothing says why nothing was found below prefix.
func (l *listing) nothing(prefix string) error {
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

// walk takes one range to its end, page by page. All of it is done by one
// goroutine at a time.
type walk struct {
	l     *listing
	keys  *keyRange
	page  Page
	group grouping
	empty int // pages in a row that held nothing
}

// maxEmpty is how many empty pages in a row are borne: servers send some where
// they have skipped what was deleted.
const maxEmpty = 100

// next takes one page and hands over what is in it. more reports whether the
// range goes on.
func (w *walk) next(sched *scheduler) (more bool, err error) {
	l, s := w.l, w.keys
	q := Request{Prefix: l.prefix, Token: s.token, Max: l.PageSize}
	if s.pos != "" {
		q.After = s.pos
	}
	err = l.Page(l.ctx, q, &w.page)
	if err != nil && s.unproven != nil && l.ctx.Err() == nil {
		sched.refuse(s)
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
		return false, Distrust("%d pages in a row hold nothing, and more is said to follow", w.empty)
	}
	more = sched.advance(s, &w.page)
	if err := w.group.page(l, s, w.page.Objects); err != nil {
		return false, err
	}
	return more, nil
}

// close is to be called when the range is at its end.
func (w *walk) close() {
	w.group.putAside(w.l)
	w.group.leave(w.l, w.keys, "")
}

// upTo cuts off the objects above key, and reports whether there were any.
func (p *Page) upTo(key string) bool {
	n := len(p.Objects)
	if key == "" || n == 0 || string(p.Objects[n-1].Key) <= key {
		return false
	}
	p.Objects = p.Objects[:sort.Search(n, func(i int) bool { return string(p.Objects[i].Key) > key })]
	return true
}

// leaves asks what to expect in each directory, once, however many walks take a
// part of it. It remembers the directories that some walk is in, and those that lie
// across the end of a range.
type leaves struct {
	expect backend.HintFunc
	sched  *scheduler

	mu   sync.Mutex
	open map[string]backend.Hint
}

// of returns the leaf of a directory.
func (l *leaves) of(dir string) backend.Hint {
	l.mu.Lock()
	defer l.mu.Unlock()
	leaf, ok := l.open[dir]
	if !ok {
		if l.open == nil {
			l.open = map[string]backend.Hint{}
		}
		leaf = l.expect(dir)
		l.open[dir] = leaf
	}
	return leaf
}

// forget drops a directory behind which a walk has gone, unless it reaches into
// another range.
func (l *leaves) forget(s *keyRange, dir string) {
	after, until := l.sched.bounds(s)
	if backend.Inside(after, dir) || backend.Inside(until, dir) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, dir)
}

// hand calls each, as often as it takes. The caller sees to it that nobody else
// does.
func (l *listing) hand(dir string, items []backend.Item, faults []backend.Fault) error {
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

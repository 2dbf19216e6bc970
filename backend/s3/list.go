package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// listing is one call of List.
type listing struct {
	*Reader
	ctx    context.Context
	prefix string // what the keys begin with, as keys of the store: "" or "directory/"
	expect backend.HintFunc
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
func (r *Reader) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
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

// run lists the first page alone, which is all of most listings, and then splits
// the rest.
func (l *listing) run() error {
	first := &walk{l: l, keys: &keyRange{}}
	sched := newScheduler(first.keys, l.prefix, int(l.pageSize))
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
	for range l.workers - 1 {
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
		var p page
		if err := l.page(l.ctx, request{prefix: l.root + prefix, max: 1}, &p); err != nil {
			return err
		}
		if len(p.objects) > 0 && p.objects[0].name() == l.root+prefix {
			return &fs.PathError{Op: "list", Path: prefix, Err: errNotDir}
		}
	}
	return &fs.PathError{Op: "list", Path: prefix, Err: fmt.Errorf("%w: %s holds no such keys", fs.ErrNotExist, l.name)}
}

var errNotDir = errors.New("is a file, not a directory")

// walk takes one range to its end, page by page. All of it is done by one
// goroutine at a time.
type walk struct {
	l     *listing
	keys  *keyRange
	page  page
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
	q := request{prefix: l.root + l.prefix, token: s.token, max: l.pageSize}
	if s.pos != "" {
		q.after = l.root + s.pos
	}
	err = l.Reader.page(l.ctx, q, &w.page)
	if err != nil && s.unproven != nil && l.ctx.Err() == nil {
		sched.refuse(s)
		return false, nil
	}
	if isDenied(err) {
		return false, &unlistable{err}
	}
	if err != nil {
		return false, err
	}
	if w.empty++; len(w.page.objects) > 0 {
		w.empty = 0
	}
	if w.empty > maxEmpty {
		return false, distrust("%d pages in a row hold nothing, and more is said to follow", w.empty)
	}
	for i := range w.page.objects {
		w.page.objects[i].key = w.page.objects[i].key[len(l.root):]
	}
	more = sched.advance(s, &w.page)
	if err := w.group.page(l, s, w.page.objects); err != nil {
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
func (p *page) upTo(key string) bool {
	n := len(p.objects)
	if key == "" || n == 0 || string(p.objects[n-1].key) <= key {
		return false
	}
	p.objects = p.objects[:sort.Search(n, func(i int) bool { return string(p.objects[i].key) > key })]
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
	if inside(after, dir) || inside(until, dir) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, dir)
}

// entered is a directory that a walk is in.
type entered struct {
	dir  string
	leaf backend.Hint
}

// leaf returns the leaf of the directory dir, which key is in.
func (g *grouping) leaf(l *listing, s *keyRange, dir, key string) backend.Hint {
	g.leave(l, s, key)
	at := len(g.entered)
	for at > 0 && len(g.entered[at-1].dir) > len(dir) {
		at--
	}
	if at > 0 && len(g.entered[at-1].dir) == len(dir) {
		return g.entered[at-1].leaf
	}
	dir = strings.Clone(dir)
	leaf := l.leaves.of(dir)
	g.entered = slices.Insert(g.entered, at, entered{dir, leaf})
	return leaf
}

// leave forgets the directories that key isn't in; "" is in none. Keys rise, so no
// later one is in them.
func (g *grouping) leave(l *listing, s *keyRange, key string) {
	for n := len(g.entered); n > 0; n = len(g.entered) {
		if key != "" && inside(key, g.entered[n-1].dir) {
			return
		}
		l.leaves.forget(s, g.entered[n-1].dir)
		g.entered = g.entered[:n-1]
	}
}

// grouping turns keys into items by directory. Its slices are used again for each
// page.
type grouping struct {
	entered  []entered // the directories that the last key is in, each inside the one before
	items    []backend.Item
	gone     []bool // items that aren't handed over, at least not yet
	batches  []batch
	todo     []todo     // items to be fetched
	lent     []byte     // backs the bodies that were proven
	targets  [][32]byte // digests of leaves that others are likely to point to
	prefix   string     // what stands before such a digest in a content
	pending  pending    // a leaf that waits for a neighbour
	proven   int        // bodies of this page that weren't read
	hopeless bool       // ETags are no MD5s here
}

// batch is consecutive items of one directory.
type batch struct {
	dir      string
	from, to int
	faults   []backend.Fault
}

const maxBatch = 512

// page takes in the objects of one page and hands over what they are.
func (g *grouping) page(l *listing, s *keyRange, objects []object) error {
	g.reset(l)
	for i := range objects {
		g.add(l, s, &objects[i])
	}
	g.keepPending()
	return g.flush(l)
}

func (g *grouping) reset(l *listing) {
	clear(g.items)
	g.items, g.gone, g.batches, g.todo = g.items[:0], g.gone[:0], g.batches[:0], g.todo[:0]
	g.lent, g.targets, g.proven = g.lent[:0], g.targets[:0], 0
	g.hopeless = l.proofs.hopeless()
}

// add takes in one object.
func (g *grouping) add(l *listing, s *keyRange, o *object) {
	key := o.name()
	rel := key[len(l.prefix):]
	if at := backend.BadComponent(rel); at >= 0 {
		g.odd(l, key, rel, at, o)
		return
	}
	dir := above(key)
	if len(dir) < len(l.prefix) || dir == "" {
		g.item(dir, rel, o)
		return
	}
	outer := above(dir)
	leaf := g.leaf(l, s, outer, key)
	if name := key[len(dir)+1:]; name != leaf.Name {
		g.item(dir, name, o)
		return
	}
	name := strings.TrimPrefix(key[len(outer):], "/")
	at := g.item(outer, name, o)
	if leaf.Read > 0 {
		g.body(l, at, leaf, name[:len(name)-len(leaf.Name)-1])
	}
}

// odd takes in a key with a component that begins at rel[at] and that no directory
// could have.
func (g *grouping) odd(l *listing, key, rel string, at int, o *object) {
	dir := strings.TrimSuffix(key[:len(key)-len(rel)+at], "/")
	switch slash := strings.HasSuffix(key, "/"); {
	case !slash:
		g.item(dir, rel[at:], o)
	case o.size == 0 && at == len(rel):
		g.marker(l, key, o)
	case o.size > 0:
		g.fault(dir, backend.Fault{Key: strings.Clone(key), Err: backend.ErrIrregular})
	}
}

// item adds an item to the batch of its directory, and returns its index.
func (g *grouping) item(dir, name string, o *object) int {
	g.put(dir, backend.Item{
		Name: name, Size: o.size, Modified: o.modified,
		ETag: unsafe.String(unsafe.SliceData(o.etag), len(o.etag)), Archived: o.archived,
	})
	return len(g.items) - 1
}

func (g *grouping) put(dir string, item backend.Item) {
	g.items = append(g.items, item)
	g.gone = append(g.gone, false)
	g.batch(dir).to = len(g.items)
}

func (g *grouping) fault(dir string, f backend.Fault) {
	b := g.batch(dir)
	b.faults = append(b.faults, f)
}

// batch returns the last batch, if it is the directory's, or a new one.
func (g *grouping) batch(dir string) *batch {
	if n := len(g.batches); n == 0 || g.batches[n-1].dir != dir {
		at := 0
		if n > 0 {
			at = g.batches[n-1].to
		}
		g.batches = append(g.batches, batch{dir: dir, from: at, to: at})
	}
	return &g.batches[len(g.batches)-1]
}

// flush fetches what has to be, and hands over all batches.
func (g *grouping) flush(l *listing) error {
	l.proofs.note(g)
	l.counts.proven.Add(int64(g.proven))
	if err := g.fetch(l); err != nil {
		return err
	}
	l.delivery.Lock()
	defer l.delivery.Unlock()
	for _, b := range g.batches {
		n := b.from
		for i := b.from; i < b.to; i++ {
			if !g.gone[i] {
				g.items[n] = g.items[i]
				n++
			}
		}
		if err := l.hand(b.dir, g.items[b.from:n], b.faults); err != nil {
			return err
		}
	}
	return nil
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

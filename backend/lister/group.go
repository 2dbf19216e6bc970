package lister

import (
	"slices"
	"strings"
	"unsafe"

	"regfsck/backend"
)

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
		if key != "" && backend.Inside(key, g.entered[n-1].dir) {
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
func (g *grouping) page(l *listing, s *keyRange, objects []Object) error {
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
func (g *grouping) add(l *listing, s *keyRange, o *Object) {
	key := o.name()
	rel := key[len(l.prefix):]
	if at := backend.BadComponent(rel); at >= 0 {
		g.odd(l, key, rel, at, o)
		return
	}
	dir, _ := backend.SplitKey(key)
	if len(dir) < len(l.prefix) || dir == "" {
		g.item(dir, rel, o)
		return
	}
	outer, _ := backend.SplitKey(dir)
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
func (g *grouping) odd(l *listing, key, rel string, at int, o *Object) {
	dir := strings.TrimSuffix(key[:len(key)-len(rel)+at], "/")
	switch slash := strings.HasSuffix(key, "/"); {
	case !slash:
		g.item(dir, rel[at:], o)
	case o.Size == 0 && at == len(rel):
		g.marker(l, key, o)
	case o.Size > 0:
		g.fault(dir, backend.Fault{Key: strings.Clone(key), Err: backend.ErrIrregular})
	}
}

// item adds an item to the batch of its directory, and returns its index.
func (g *grouping) item(dir, name string, o *Object) int {
	g.put(dir, backend.Item{
		Name: name, Size: o.Size, Modified: o.Modified,
		ETag: unsafe.String(unsafe.SliceData(o.ETag), len(o.ETag)), Archived: o.Archived,
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
	l.Proven(g.proven)
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

// marker adds the marker of a directory to the batch of the directory above.
func (g *grouping) marker(l *listing, key string, o *Object) {
	l.Marker(key)
	path := strings.TrimSuffix(key, "/")
	dir, _ := backend.SplitKey(path)
	at := g.item(dir, strings.TrimPrefix(key[len(dir):], "/"), o)
	g.items[at].Marker = true
}

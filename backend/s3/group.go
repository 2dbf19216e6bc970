package s3

import (
	"strings"
	"unsafe"

	"regfsck/backend"
)

// grouping turns keys into items by folder. Its slices are used again for each
// page.
type grouping struct {
	entered  []entered // the folders that the last key is in, each inside the one before
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

// batch is consecutive items of one folder.
type batch struct {
	dir      string
	from, to int
	faults   []backend.Fault
}

const maxBatch = 512

// page takes in the objects of one page and hands over what they are.
func (g *grouping) page(l *listing, s *span, objects []object) error {
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
func (g *grouping) add(l *listing, s *span, o *object) {
	key := o.name()
	rel := key[len(l.prefix):]
	if at := badComponent(rel); at >= 0 {
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

// odd takes in a key with a component that begins at rel[at] and that no folder
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

// item adds an item to the batch of its folder, and returns its index.
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

// batch returns the last batch, if it is the folder's, or a new one.
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

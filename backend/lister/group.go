package lister

import (
	"slices"
	"strings"
	"unsafe"

	"regfsck/backend"
)

// openDir is a directory that contains the walk's last key.
type openDir struct {
	dir  string
	hint backend.Hint
}

// hint returns the hint for the directory dir, which contains key.
func (g *grouping) hint(l *listing, s *keyRange, dir, key string) backend.Hint {
	g.leave(l, s, key)
	at := len(g.openDirs)
	for at > 0 && len(g.openDirs[at-1].dir) > len(dir) {
		at--
	}
	if at > 0 && len(g.openDirs[at-1].dir) == len(dir) {
		return g.openDirs[at-1].hint
	}
	dir = strings.Clone(dir)
	hint := l.hints.of(dir)
	g.openDirs = slices.Insert(g.openDirs, at, openDir{dir, hint})
	return hint
}

// leave drops the directories that don't contain key; "" drops all. Keys are sorted, so no
// later key is in them.
func (g *grouping) leave(l *listing, s *keyRange, key string) {
	for n := len(g.openDirs); n > 0; n = len(g.openDirs) {
		if key != "" && backend.Inside(key, g.openDirs[n-1].dir) {
			return
		}
		l.hints.drop(s, g.openDirs[n-1].dir)
		g.openDirs = g.openDirs[:n-1]
	}
}

// grouping groups keys into items by directory. Its slices are reused for each page.
type grouping struct {
	openDirs []openDir // the directories that contain the last key, outermost first
	items    []backend.Item
	omitted  []bool // by item: not delivered with this page
	batches  []batch
	todo     []todo     // items to be fetched
	lent     []byte     // memory of the proven bodies
	targets  [][32]byte // digests in proven files that other files may repeat
	prefix   string     // of these files, before the digest
	pending  pending    // an expected file that a following one may prove
	proven   int        // bodies of this page that were proven
	hopeless bool       // this store's ETags aren't MD5s
}

// batch is consecutive items of one directory.
type batch struct {
	dir      string
	from, to int
	faults   []backend.Fault
}

const maxBatch = 512

// page groups the objects of one page and delivers their items.
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
	g.items, g.omitted, g.batches, g.todo = g.items[:0], g.omitted[:0], g.batches[:0], g.todo[:0]
	g.lent, g.targets, g.proven = g.lent[:0], g.targets[:0], 0
	g.hopeless = l.proofs.hopeless()
}

// add adds one object.
func (g *grouping) add(l *listing, s *keyRange, o *Object) {
	key := o.name()
	rel := key[len(l.prefix):]
	if at := backend.BadComponent(rel); at >= 0 {
		g.addInvalid(l, key, rel, at, o)
		return
	}
	dir, _ := backend.SplitKey(key)
	if len(dir) < len(l.prefix) || dir == "" {
		g.item(dir, rel, o)
		return
	}
	outer, _ := backend.SplitKey(dir)
	hint := g.hint(l, s, outer, key)
	if name := key[len(dir)+1:]; name != hint.Name {
		g.item(dir, name, o)
		return
	}
	name := strings.TrimPrefix(key[len(outer):], "/")
	at := g.item(outer, name, o)
	if hint.Read > 0 {
		g.body(l, at, o, hint, name[:len(name)-len(hint.Name)-1])
	}
}

// addInvalid adds a key whose component at rel[at] is invalid in a filesystem.
func (g *grouping) addInvalid(l *listing, key, rel string, at int, o *Object) {
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
	g.omitted = append(g.omitted, false)
	g.batch(dir).to = len(g.items)
}

func (g *grouping) fault(dir string, f backend.Fault) {
	b := g.batch(dir)
	b.faults = append(b.faults, f)
}

// batch returns the last batch if it is of that directory, else a new one.
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

// flush reads the files that weren't proven, and delivers all batches.
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
			if !g.omitted[i] {
				g.items[n] = g.items[i]
				n++
			}
		}
		if err := l.deliver(b.dir, g.items[b.from:n], b.faults); err != nil {
			return err
		}
	}
	return nil
}

// marker adds a directory's marker to the batch of its parent.
func (g *grouping) marker(l *listing, key string, o *Object) {
	l.Marker(key)
	path := strings.TrimSuffix(key, "/")
	dir, _ := backend.SplitKey(path)
	at := g.item(dir, strings.TrimPrefix(key[len(dir):], "/"), o)
	g.items[at].Marker = true
}

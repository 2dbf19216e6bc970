package s3

import (
	"slices"
	"strings"
	"sync"

	"regfsck/backend"
)

// leaves asks what to expect in each folder, once, however many walks take a
// part of it. It remembers the folders that some walk is in, and those that lie
// across the end of a span.
type leaves struct {
	expect backend.Expect
	pool   *pool

	mu   sync.Mutex
	open map[string]backend.Leaf
}

// of returns the leaf of a folder.
func (l *leaves) of(dir string) backend.Leaf {
	l.mu.Lock()
	defer l.mu.Unlock()
	leaf, ok := l.open[dir]
	if !ok {
		if l.open == nil {
			l.open = map[string]backend.Leaf{}
		}
		leaf = l.expect(dir)
		l.open[dir] = leaf
	}
	return leaf
}

// forget drops a folder behind which a walk has gone, unless it reaches into
// another span.
func (l *leaves) forget(s *span, dir string) {
	after, until := l.pool.bounds(s)
	if inside(after, dir) || inside(until, dir) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, dir)
}

// entered is a folder that a walk is in.
type entered struct {
	dir  string
	leaf backend.Leaf
}

// leaf returns the leaf of the folder dir, which key is in.
func (g *grouping) leaf(l *listing, s *span, dir, key string) backend.Leaf {
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

// leave forgets the folders that key isn't in; "" is in none. Keys rise, so no
// later one is in them.
func (g *grouping) leave(l *listing, s *span, key string) {
	for n := len(g.entered); n > 0; n = len(g.entered) {
		if key != "" && inside(key, g.entered[n-1].dir) {
			return
		}
		l.leaves.forget(s, g.entered[n-1].dir)
		g.entered = g.entered[:n-1]
	}
}

package lister

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// proofs is what one listing knows of contents that weren't read.
type proofs struct {
	mu      sync.Mutex
	proven  bool         // some ETag was the MD5 of a content
	misses  int          // contents that were sound though their ETags are something else
	targets [][][32]byte // digests of leaves that others are likely to point to
	prefix  string       // what stands before such a digest in a content
	waiting []aside      // leaves that no neighbour proves, for the end
}

// aside is a leaf that waits, with memory of its own.
type aside struct {
	dir  string
	item backend.Item
	read int
}

func (a aside) clone() aside {
	a.dir, a.item.Name, a.item.ETag = strings.Clone(a.dir), strings.Clone(a.item.Name), strings.Clone(a.item.ETag)
	return a
}

const (
	// enoughMisses is how many sound contents must have other ETags than MD5s,
	// and none an MD5, before no more MD5s are made.
	enoughMisses = 64
	// mostWaiting bounds what waits for the end of a listing; the rest is fetched.
	mostWaiting = 1 << 16
)

// hopeless tells that ETags are no MD5s here.
func (p *proofs) hopeless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.misses >= enoughMisses && !p.proven
}

// missed notes a sound content whose ETag is something else.
func (p *proofs) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses++
}

// note takes in what a page has proven.
func (p *proofs) note(g *grouping) {
	if g.proven == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proven = true
	if p.prefix == "" {
		p.prefix = g.prefix
	}
	if len(g.targets) > 0 && p.prefix == g.prefix {
		p.targets = append(p.targets, slices.Clone(g.targets))
	}
}

// wait takes in a leaf for the end, unless too many wait.
func (p *proofs) wait(a aside) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= mostWaiting {
		return false
	}
	p.waiting = append(p.waiting, a)
	return true
}

// handWaiting hands over the leaves that wait, when all else was listed: with what
// some target holds, if that has their ETag, else with what a GET brings.
func (l *listing) handWaiting() error {
	waiting := l.proofs.waiting
	l.proofs.match(waiting)
	slices.SortFunc(waiting, func(a, b aside) int { return cmp.Compare(a.dir, b.dir) })
	var g grouping
	for part := range slices.Chunk(waiting, maxBatch) {
		g.reset(l)
		for _, a := range part {
			if g.put(a.dir, a.item); a.item.Body != nil {
				g.proven++
				continue
			}
			g.todo = append(g.todo, todo{at: len(g.items) - 1, batch: len(g.batches) - 1, read: a.read})
		}
		if err := g.flush(l); err != nil {
			return err
		}
	}
	return nil
}

// match gives those that wait the contents of the targets that have their ETags.
func (p *proofs) match(waiting []aside) {
	if len(waiting) == 0 {
		return
	}
	byTag := map[string][]int{}
	for i, a := range waiting {
		tag := strings.ToLower(a.item.ETag)
		byTag[tag] = append(byTag[tag], i)
	}
	content := append([]byte(p.prefix), make([]byte, 64)...)
	var tag [2 * md5.Size]byte
	for _, chunk := range p.targets {
		for _, digest := range chunk {
			hex.Encode(content[len(p.prefix):], digest[:])
			sum := md5.Sum(content)
			hex.Encode(tag[:], sum[:])
			for _, i := range byTag[string(tag[:])] {
				if a := &waiting[i]; a.item.Size == int64(len(content)) {
					a.item.Body = slices.Clone(content[:min(len(content), a.read)])
				}
			}
		}
	}
}

// pending is the last leaf whose path doesn't tell its content. It waits for a
// proven neighbour with the same ETag: what a tag means now is most often in its
// history, which comes right behind in the order of keys.
type pending struct {
	aside
	on        bool
	at, batch int // its indices in the page; at is -1 if it came with one before
}

// body fills in the body of the leaf items[at], or sees to it that somebody does.
func (g *grouping) body(l *listing, at int, leaf backend.Hint, child string) {
	item, last := &g.items[at], len(g.batches)-1
	switch {
	case item.Archived: // only a read reports whether it was restored, whatever it holds
		g.todo = append(g.todo, todo{at: at, batch: last, read: leaf.Read})
		return
	case len(item.ETag) != hex.EncodedLen(md5.Size) || g.hopeless:
	case leaf.Content == "":
		g.putAside(l)
		g.pending = pending{aside{g.batches[last].dir, *item, leaf.Read}, true, at, last}
		return
	case item.Size == int64(len(leaf.Content)+len(child)):
		content := g.lend(leaf.Content, child)
		if !isSum(item.ETag, content) {
			break
		}
		item.Body = content[:min(len(content), leaf.Read)]
		g.proven++
		if leaf.Repeated {
			g.target(leaf.Content, child, item.ETag, content)
		}
		return
	}
	g.todo = append(g.todo, todo{at: at, batch: last, read: leaf.Read, prefix: leaf.Content, child: child})
}

// lend returns a content in memory of the page's.
func (g *grouping) lend(prefix, name string) []byte {
	from := len(g.lent)
	g.lent = append(append(g.lent, prefix...), name...)
	return g.lent[from:len(g.lent):len(g.lent)]
}

// isSum reports whether an ETag is the MD5 of a content, in either case.
func isSum(etag string, content []byte) bool {
	var text [2 * md5.Size]byte
	sum := md5.Sum(content)
	hex.Encode(text[:], sum[:])
	return etag == string(text[:]) || strings.EqualFold(etag, string(text[:]))
}

// target notes a proven content that others are likely to have, and gives it to
// the leaf that waits, if it has it.
func (g *grouping) target(prefix, child, etag string, content []byte) {
	var digest [32]byte
	if len(child) == 2*len(digest) && (g.prefix == prefix || g.prefix == "") {
		if n, err := hex.Decode(digest[:], []byte(child)); err == nil && n == len(digest) && strings.ToLower(child) == child {
			g.prefix = strings.Clone(prefix)
			g.targets = append(g.targets, digest)
		}
	}
	w := &g.pending
	if !w.on || !strings.EqualFold(w.item.ETag, etag) || w.item.Size != int64(len(content)) {
		return
	}
	w.on = false
	w.item.Body = content[:min(len(content), w.read)]
	g.proven++
	if w.at >= 0 {
		g.items[w.at].Body = w.item.Body
		return
	}
	g.put(w.dir, w.item)
}

// keepPending takes the leaf that waits out of the page, which is about to be
// handed over.
func (g *grouping) keepPending() {
	if w := &g.pending; w.on && w.at >= 0 {
		g.gone[w.at] = true
		w.aside = w.clone()
		w.at = -1
	}
}

// putAside gives up waiting for a neighbour: the end of the listing sees to the
// leaf, or else it is fetched.
func (g *grouping) putAside(l *listing) {
	w := &g.pending
	if !w.on {
		return
	}
	w.on = false
	if l.proofs.wait(w.clone()) {
		if w.at >= 0 {
			g.gone[w.at] = true
		}
		return
	}
	if w.at < 0 {
		g.put(w.dir, w.item)
		w.at, w.batch = len(g.items)-1, len(g.batches)-1
	}
	g.todo = append(g.todo, todo{at: w.at, batch: w.batch, read: w.read})
}

// todo is a leaf of a page that has to be read.
type todo struct {
	at, batch     int    // indices of its item and of that one's batch
	read          int    // bytes wanted
	prefix, child string // what its content should consist of; "" where nobody knows

	fault error
}

// fetch reads what is to be read, many at a time. An item that has vanished is
// left out; one that can't be read becomes a fault.
func (g *grouping) fetch(l *listing) error {
	if len(g.todo) == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(l.ctx)
	var next atomic.Int64
	for range min(len(g.todo), l.Readers) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(g.todo); i = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				t := &g.todo[i]
				t.fault = g.fetchOne(ctx, l, t)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := l.ctx.Err(); err != nil {
		return err
	}
	g.sort(l)
	return nil
}

// sort takes out what vanished and what is a fault. What lies in an archive is
// there, and known not to be readable.
func (g *grouping) sort(l *listing) {
	for i := range g.todo {
		t := &g.todo[i]
		if t.fault == nil {
			continue
		}
		if errors.Is(t.fault, backend.ErrArchived) {
			g.items[t.at].Archived, g.items[t.at].Body = true, nil
			continue
		}
		g.gone[t.at] = true
		if errors.Is(t.fault, fs.ErrNotExist) {
			continue
		}
		b := &g.batches[t.batch]
		b.faults = append(b.faults, backend.Fault{Key: strings.Clone(backend.JoinKey(b.dir, g.items[t.at].Name)), Err: backend.Cause(t.fault)})
	}
}

// maxRechecks is how often a key that is listed and can't be found is rechecked.
const maxRechecks = 3

// fetchOne reads one leaf and corrects its item by what the answer says. A key
// that can't be found is looked up in the listing again: gone from there too, it
// has vanished.
func (g *grouping) fetchOne(ctx context.Context, l *listing, t *todo) error {
	item := &g.items[t.at]
	key := backend.JoinKey(g.batches[t.batch].dir, item.Name)
	for range maxRechecks {
		err := g.read(ctx, l, key, item, t)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var p Page
		if err := l.Page(ctx, Request{Prefix: key, Max: 1}, &p); err != nil {
			return err
		}
		if len(p.Objects) == 0 || p.Objects[0].name() != key {
			return err
		}
	}
	return backend.ErrListed
}

func (g *grouping) read(ctx context.Context, l *listing, key string, item *backend.Item, t *todo) error {
	n := 0
	if item.Size > int64(t.read) {
		n = t.read
	}
	b, now, err := l.Read(ctx, strings.Clone(key), n)
	if err != nil {
		return err
	}
	defer b.Close()
	text, err := io.ReadAll(io.LimitReader(b, int64(t.read)))
	if err != nil {
		return err
	}
	if t.prefix != "" && now.ETag == item.ETag && len(text) == len(t.prefix)+len(t.child) && string(text) == t.prefix+t.child {
		l.proofs.missed()
	}
	item.Archived = false
	item.Body, item.Size, item.Modified, item.ETag = text, now.Size, now.Modified, now.ETag
	return nil
}

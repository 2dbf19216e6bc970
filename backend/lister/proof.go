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

// proofs are one listing's data about files that weren't read.
type proofs struct {
	mu      sync.Mutex
	proven  bool         // some ETag was the MD5 of the content
	misses  int          // valid files whose ETag isn't the MD5 of the content
	targets [][][32]byte // digests in proven files that other files may repeat
	prefix  string       // of these files, before the digest
	waiting []deferred   // files that are left for the end of the listing
}

// deferred is an expected file that is proven or read later. It owns its memory.
type deferred struct {
	dir  string
	item backend.Item
	read int
}

func (a deferred) clone() deferred {
	a.dir, a.item.Name, a.item.ETag = strings.Clone(a.dir), strings.Clone(a.item.Name), strings.Clone(a.item.ETag)
	return a
}

const (
	// enoughMisses is how many valid files must have an ETag that isn't the MD5, and none one
	// that is, before no more MD5s are computed.
	enoughMisses = 64
	// maxDeferred limits the files that are left for the end of a listing; the rest is read.
	maxDeferred = 1 << 16
)

// hopeless reports whether this store's ETags aren't MD5s.
func (p *proofs) hopeless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.misses >= enoughMisses && !p.proven
}

// miss counts a valid file whose ETag isn't its MD5.
func (p *proofs) miss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses++
}

// note records what a page proved.
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

// wait leaves a file for the end of the listing. It reports false if there are too many.
func (p *proofs) wait(a deferred) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= maxDeferred {
		return false
	}
	p.waiting = append(p.waiting, a)
	return true
}

// deliverDeferred delivers the files that were left for the end, after all others: with the
// content of a proven file with the same ETag, else with what a read returns.
func (l *listing) deliverDeferred() error {
	waiting := l.proofs.waiting
	l.proofs.match(waiting)
	slices.SortFunc(waiting, func(a, b deferred) int { return cmp.Compare(a.dir, b.dir) })
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

// match sets the bodies of files whose ETag is the MD5 of a recorded target.
func (p *proofs) match(waiting []deferred) {
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

// pending is the last expected file whose key doesn't imply its content. A following proven
// file with the same ETag proves it: a tag's current link mostly repeats an entry of the tag's
// index, which follows in the order of keys.
type pending struct {
	deferred
	set       bool
	at, batch int // its indexes in the page; at is -1 if it is of an earlier page
}

// body sets the body of the expected file items[at], or has it proven or read later.
func (g *grouping) body(l *listing, at int, o *Object, hint backend.Hint, child string) {
	item, last := &g.items[at], len(g.batches)-1
	switch {
	case o.Archived || o.NoMD5: // only a read shows whether it was restored, or what is in it
		g.todo = append(g.todo, todo{at: at, batch: last, read: hint.Read})
		return
	case len(item.ETag) != hex.EncodedLen(md5.Size) || g.hopeless:
	case hint.Content == "":
		g.deferPending(l)
		g.pending = pending{deferred{g.batches[last].dir, *item, hint.Read}, true, at, last}
		return
	case item.Size == int64(len(hint.Content)+len(child)):
		content := g.lend(hint.Content, child)
		if !isSum(item.ETag, content) {
			break
		}
		item.Body = content[:min(len(content), hint.Read)]
		g.proven++
		if hint.Repeated {
			g.target(hint.Content, child, item.ETag, content)
		}
		return
	}
	g.todo = append(g.todo, todo{at: at, batch: last, read: hint.Read, prefix: hint.Content, child: child})
}

// lend returns a content in the page's memory.
func (g *grouping) lend(prefix, name string) []byte {
	from := len(g.lent)
	g.lent = append(append(g.lent, prefix...), name...)
	return g.lent[from:len(g.lent):len(g.lent)]
}

// isSum reports whether an ETag is the MD5 of a content, in upper or lower case.
func isSum(etag string, content []byte) bool {
	var text [2 * md5.Size]byte
	sum := md5.Sum(content)
	hex.Encode(text[:], sum[:])
	return etag == string(text[:]) || strings.EqualFold(etag, string(text[:]))
}

// target records a proven content that other files may repeat, and proves the pending file if
// that has the same ETag.
func (g *grouping) target(prefix, child, etag string, content []byte) {
	var digest [32]byte
	if len(child) == 2*len(digest) && (g.prefix == prefix || g.prefix == "") {
		if n, err := hex.Decode(digest[:], []byte(child)); err == nil && n == len(digest) && strings.ToLower(child) == child {
			g.prefix = strings.Clone(prefix)
			g.targets = append(g.targets, digest)
		}
	}
	w := &g.pending
	if !w.set || !strings.EqualFold(w.item.ETag, etag) || w.item.Size != int64(len(content)) {
		return
	}
	w.set = false
	w.item.Body = content[:min(len(content), w.read)]
	g.proven++
	if w.at >= 0 {
		g.items[w.at].Body = w.item.Body
		return
	}
	g.put(w.dir, w.item)
}

// keepPending takes the pending file out of the page before the page is delivered.
func (g *grouping) keepPending() {
	if w := &g.pending; w.set && w.at >= 0 {
		g.omitted[w.at] = true
		w.deferred = w.clone()
		w.at = -1
	}
}

// deferPending leaves the pending file for the end of the listing, or has it read if there are
// too many.
func (g *grouping) deferPending(l *listing) {
	w := &g.pending
	if !w.set {
		return
	}
	w.set = false
	if l.proofs.wait(w.clone()) {
		if w.at >= 0 {
			g.omitted[w.at] = true
		}
		return
	}
	if w.at < 0 {
		g.put(w.dir, w.item)
		w.at, w.batch = len(g.items)-1, len(g.batches)-1
	}
	g.todo = append(g.todo, todo{at: w.at, batch: w.batch, read: w.read})
}

// todo is a file of a page that has to be read.
type todo struct {
	at, batch     int    // indexes of its item and batch
	read          int    // bytes to read
	prefix, child string // the expected content; "" if unknown

	fault error
}

// fetch reads the files of todo, in parallel. A file that vanished is left out; one that can't
// be read becomes a Fault.
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
	g.sort()
	return nil
}

// sort applies the errors of fetch. An archived file exists and can't be read.
func (g *grouping) sort() {
	for i := range g.todo {
		t := &g.todo[i]
		if t.fault == nil {
			continue
		}
		if errors.Is(t.fault, backend.ErrArchived) {
			g.items[t.at].Archived, g.items[t.at].Body = true, nil
			continue
		}
		g.omitted[t.at] = true
		if errors.Is(t.fault, fs.ErrNotExist) {
			continue
		}
		b := &g.batches[t.batch]
		b.faults = append(b.faults, backend.Fault{Key: strings.Clone(backend.JoinKey(b.dir, g.items[t.at].Name)), Err: backend.Cause(t.fault)})
	}
}

// maxRechecks is how often a key that is listed and can't be found is rechecked.
const maxRechecks = 3

// fetchOne reads one file and updates its item from the response. A key that can't be found is
// looked up in the listing again: it vanished if it isn't there either.
func (g *grouping) fetchOne(ctx context.Context, l *listing, t *todo) error {
	item := &g.items[t.at]
	key := backend.JoinKey(g.batches[t.batch].dir, item.Name)
	for range maxRechecks {
		err := g.read(ctx, l, key, item, t)
		if l.Old || !errors.Is(err, fs.ErrNotExist) {
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
		l.proofs.miss()
	}
	item.Archived = false
	item.Body, item.Size, item.Modified, item.ETag = text, now.Size, now.Modified, now.ETag
	return nil
}

package s3

import (
	"crypto/md5"
	"encoding/hex"
	"strings"

	"regfsck/backend"
)

// pending is the last leaf whose path doesn't tell its content. It waits for a
// proven neighbour with the same ETag: what a tag means now is most often in its
// history, which comes right behind in the order of keys.
type pending struct {
	aside
	on        bool
	at, batch int // its indices in the page; at is -1 if it came with one before
}

// body fills in the body of the leaf items[at], or sees to it that somebody does.
func (g *grouping) body(l *listing, at int, leaf backend.Leaf, child string) {
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
		if leaf.Target {
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

package graph

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"

	"regfsck/backend"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Unchanged lists all links again, from r, which replaces the scan's reader, and reports
// whether they and all else below repositories/ are unchanged: sizes and times too, and
// contents that differ from the path. If so, what was unreferenced still is. Some blobs are
// rechecked, which shows a disk that is no longer mounted, and so are all missing ones: a
// restored blob must be served. It requires Options.Fingerprint. After a recheck that found a
// change, the result is always false.
func (c *Scan) Unchanged(ctx context.Context, r backend.Reader) (same bool, err error) {
	proven := c.w.Reader.Cost().LinksProven > 0 // reading links would cost what this saves
	c.w.Reader = r
	if !c.Fingerprint || !c.Confirmed() {
		return false, nil
	}
	now := fingerprint{seed: c.links.seed}
	err = c.Phase(ctx, "links again", "links", func(ctx context.Context) error {
		c.more(-1, "links")
		w := *c.w
		w.Unread = !proven
		return w.ListLinks(ctx, recount{&now, c})
	})
	if err != nil || now.sum != c.links.sum {
		return false, err
	}
	if same, err = stillThere(ctx, c.Graph, r); !same || err != nil {
		return false, err
	}
	return stillMissing(ctx, c.Graph, r)
}

// stillMissing reports whether all missing blobs are still missing.
func stillMissing(ctx context.Context, g *Graph, r backend.Reader) (bool, error) {
	var keys []string
	alias := aliasIDs(g)
	for i := range g.Unlisted {
		if id := uint32(g.Len() + i); !alias[id] && !g.isTarsum(id) {
			keys = append(keys, g.BlobKey(id))
		}
	}
	_, errs := backend.Stats(ctx, r, keys)
	for _, err := range errs {
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

// Confirmed reports whether no recheck has found a change.
func (c *Scan) Confirmed() bool {
	return len(c.Graph.Changed)+len(c.Graph.late)+len(c.Graph.Unconfirmed) == 0
}

// samples is how many blobs are rechecked.
const samples = 16

// stillThere reports whether a sample of the blobs is as listed.
func stillThere(ctx context.Context, g *Graph, r backend.Reader) (bool, error) {
	var keys []string
	var sizes []int64
	for id := 0; id < g.Len(); id += max(1, g.Len()/samples) {
		keys, sizes = append(keys, g.BlobKey(uint32(id))), append(sizes, g.Sizes[id])
	}
	items, errs := backend.Stats(ctx, r, keys)
	for i, it := range items {
		if errs[i] != nil || it.Size != sizes[i] {
			return false, errs[i]
		}
	}
	return true, nil
}

// fingerprint is a hash of a listing of links that doesn't depend on its order.
type fingerprint struct {
	seed maphash.Seed
	sum  uint64
	hash maphash.Hash
}

func (f *fingerprint) links(repository string, links []walker.Link) {
	for i := range links {
		l := &links[i]
		f.begin(repository, l.Tag, l.Alias, l.Version)
		f.hash.Write(l.Path[:])
		maphash.WriteComparable(&f.hash, [3]int64{int64(l.Kind), l.Size, l.Modified})
		if l.Kind == layout.TagCurrent || l.Alias != "" {
			f.hash.Write(l.Body)
		}
		f.sum += f.hash.Sum64()
	}
}

func (f *fingerprint) entry(e *walker.Entry) {
	f.begin(e.Key, fmt.Sprint(e.Err))
	maphash.WriteComparable(&f.hash, [3]int64{int64(e.Kind), e.Size, e.Modified})
	f.sum += f.hash.Sum64()
}

// begin starts the hash of one item with its names, each with its length.
func (f *fingerprint) begin(names ...string) {
	f.hash.SetSeed(f.seed)
	for _, name := range names {
		maphash.WriteComparable(&f.hash, name)
	}
}

// recount computes the fingerprint of a listing of links.
type recount struct {
	*fingerprint
	c *Scan
}

func (r recount) Blobs([]walker.Blob) error { return nil }

func (r recount) Links(repository string, links []walker.Link) error {
	r.c.add(int64(len(links)))
	r.links(repository, links)
	return nil
}

func (r recount) Entry(e walker.Entry) error {
	r.entry(&e)
	return nil
}

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

// Unchanged lists all links once more, from r, which the scan goes on with, and reports
// whether they, and all else below repositories/, are what they were when the
// store was read: their sizes and times too, and the contents of those whose
// paths don't say what they hold. If so, whatever nothing
// referred to then still has nothing that refers to it. A few blobs are looked
// at as well, so that a disk which is no longer mounted shows, and all that were
// missing: what somebody has put back is to be served again. The scan must have
// been made with Options.Fingerprint, and of one in which a second look showed
// anything other than the first nothing is ever the same.
func (c *Scan) Unchanged(ctx context.Context, r backend.Reader) (same bool, err error) {
	proven := c.w.Reader.Cost().LinksProven > 0 // not to read what links hold would spare nothing
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

// stillMissing reports whether nothing is there by now of what was missing.
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

// Confirmed reports whether no second look so far, judgements' included, showed
// anything other than the first.
func (c *Scan) Confirmed() bool {
	return len(c.Graph.Changed)+len(c.Graph.late)+len(c.Graph.Unconfirmed) == 0
}

// samples is how many blobs are looked at.
const samples = 16

// stillThere reports whether some of the blobs are as they were listed.
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

// fingerprint sums up what a listing of links brings, whatever its order.
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

// begin begins one thing's hash with its names, each with its length.
func (f *fingerprint) begin(names ...string) {
	f.hash.SetSeed(f.seed)
	for _, name := range names {
		maphash.WriteComparable(&f.hash, name)
	}
}

// recount reads a listing of links for nothing but its fingerprint.
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

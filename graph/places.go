package graph

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// Place is a file that is about a digest: the blob itself, or a link to it.
type Place struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// Places returns the files of the store that are about a digest, the newest first.
// It looks at each, since a graph has no times of layer links.
func (c *Scan) Places(ctx context.Context, digest string) ([]Place, error) {
	d, ok := layout.ParseAnyDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Place{{Key: d.BlobKey()}}
	if id := c.g.knownIDOf(digest); id != none {
		for i := range c.g.repos {
			for _, s := range c.g.spotsOf(uint32(i), id) {
				places = append(places, Place{Key: c.g.keyOf(s), Repository: c.g.repos[i].name})
			}
		}
	}
	there := places[:0:0]
	err := c.w.Look(ctx, len(places), func(i int) string { return places[i].Key }, func(i int, l walker.Look) error {
		if !l.Absent && l.Err == nil {
			places[i].Modified = timeOf(seconds(l.Modified))
			there = append(there, places[i])
		}
		return nil
	})
	slices.SortFunc(there, func(a, b Place) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Key, b.Key))
	})
	return there, err
}

// spotsOf returns the links of a repository that name id by their paths, or, of
// tags, that mean it.
func (g *graph) spotsOf(repository, id uint32) (spots []spot) {
	r := &g.repos[repository]
	add := func(kind layout.Kind, tag uint32) {
		spots = append(spots, spot{repository, place{kind: kind, tag: tag, id: id}})
	}
	if r.hasLayer(id) {
		add(layout.LayerLink, 0)
	}
	if r.hasRevision(id) {
		add(layout.Revision, 0)
	}
	for t := range r.tags {
		if r.tags[t].target == id {
			add(layout.TagCurrent, uint32(t))
		}
	}
	for _, h := range r.history {
		if h.id == id {
			add(layout.TagHistory, h.tag)
		}
	}
	return spots
}

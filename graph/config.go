package graph

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// configs finds the configs of manifests of a repository.
type configs struct {
	g     *Graph
	r     *Repository
	found map[uint32]uint32 // by manifest
}

// ConfigsOf returns a finder of the configs of a repository's manifests.
func ConfigsOf(g *Graph, r *Repository) *configs {
	return &configs{g, r, map[uint32]uint32{}}
}

// Of returns the id of an image's config, of an index that of its first image; None for none.
func (c *configs) Of(id uint32) uint32 {
	config, ok := c.found[id]
	if ok {
		return config
	}
	c.found[id] = None // ends cycles
	config = None
	for s := range c.g.In(c.r, id).Serves {
		switch {
		case s.Role() == manifest.Config:
			config = s.ID()
		case s.Child:
			config = c.Of(s.To)
		}
		if config != None {
			break
		}
	}
	c.found[id] = config
	return config
}

// Configs reads the configs with those digests. Errors are in their States; "" is missing.
func (c *Scan) Configs(ctx context.Context, digests []string) ([]walker.Config, error) {
	return details(ctx, digests, walker.Config{State: walker.ManifestMissing}, c.w.Configs)
}

// Describe reads the manifests with those digests again, with the result as in Configs.
func (c *Scan) Describe(ctx context.Context, digests []string) ([]walker.Details, error) {
	return details(ctx, digests, walker.Details{State: walker.ManifestMissing}, c.w.Describe)
}

// details reads each digest once.
func details[T any](
	ctx context.Context, digests []string, missing T,
	read func(ctx context.Context, n int, digest func(int) layout.AnyDigest, each func(int, T) error) error,
) ([]T, error) {
	at := map[layout.AnyDigest][]int{}
	var once []layout.AnyDigest
	all := make([]T, len(digests))
	for i, text := range digests {
		d, ok := layout.ParseAnyDigest(text)
		if all[i] = missing; !ok {
			continue
		}
		if _, known := at[d]; !known {
			once = append(once, d)
		}
		at[d] = append(at[d], i)
	}
	err := read(ctx, len(once), func(i int) layout.AnyDigest { return once[i] }, func(i int, v T) error {
		for _, place := range at[once[i]] {
			all[place] = v
		}
		return nil
	})
	return all, err
}

// Object is a blob or a link to it.
type Object struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// ObjectsOf returns the files of a digest, newest first. It rechecks each, since a graph has
// no times of layer links.
func (c *Scan) ObjectsOf(ctx context.Context, digest string) ([]Object, error) {
	d, ok := layout.ParseAnyDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Object{{Key: d.BlobKey()}}
	if id := c.Graph.KnownIDOf(digest); id != None {
		for i := range c.Graph.Repos {
			for _, s := range refsTo(c.Graph, uint32(i), id) {
				places = append(places, Object{Key: c.Graph.KeyOf(s), Repository: c.Graph.Repos[i].Name})
			}
		}
	}
	there := places[:0:0]
	err := c.w.Recheck(ctx, len(places), func(i int) string { return places[i].Key }, func(i int, l walker.Recheck) error {
		if !l.Absent && l.Err == nil {
			places[i].Modified = TimeOf(Seconds(l.Modified))
			there = append(there, places[i])
		}
		return nil
	})
	slices.SortFunc(there, func(a, b Object) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Key, b.Key))
	})
	return there, err
}

// refsTo returns the links of a repository whose path contains id, and the tags with this
// target.
func refsTo(g *Graph, repository, id uint32) (refs []Ref) {
	r := &g.Repos[repository]
	add := func(kind layout.Kind, tag uint32) {
		refs = append(refs, Ref{repository, Link{Kind: kind, Tag: tag, ID: id}})
	}
	if r.HasLayer(id) {
		add(layout.LayerLink, 0)
	}
	if r.HasRevision(id) {
		add(layout.Revision, 0)
	}
	for t := range r.Tags {
		if r.Tags[t].Target == id {
			add(layout.TagCurrent, uint32(t))
		}
	}
	for _, h := range r.History {
		if h.ID == id {
			add(layout.TagHistory, h.Tag)
		}
	}
	return refs
}

// Package replica compares a store with a copy of it, a backup or a replica in another
// place: what the tags of both mean, by their links, and whether the copy has the blobs
// that the tags of the store need, by name and size. Bytes are not read; what can be pulled
// from the copy is told by a check of the copy.
package replica

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// Tag is a tag that two stores don't have alike.
type Tag struct {
	Ref   string `json:"ref"`   // "repository:tag"
	Here  string `json:"here"`  // the digest that it means in the store; "" where it has no such tag
	There string `json:"there"` // the same, of the copy
}

// Comparison is how the tags of a store and of a copy differ. Lists are sorted by
// repository, then by tag.
type Comparison struct {
	Source       string `json:"source"`
	Compared     bool   `json:"compared"` // false: nothing else is known
	Why          string `json:"why"`      // why it wasn't compared; a clause
	Here         int    `json:"tags"`     // of the store
	There        int    `json:"tags_in_source"`
	Same         int    `json:"tags_same"`
	Unknown      int    `json:"tags_unknown"`      // what they mean could not be read on one of the sides
	MissingHere  []Tag  `json:"missing_here"`      // the copy has them, and the store hasn't
	MissingThere []Tag  `json:"missing_in_source"` // the store has them, and the copy hasn't
	Elsewhere    []Tag  `json:"point_elsewhere"`   // both have them, and they mean different images

	Lacked      int   `json:"blobs_missing_in_source"` // blobs that the store has and its tags need, and the copy hasn't, or not of that size
	LackedBytes int64 `json:"blobs_missing_in_source_bytes"`
	Unlisted    int   `json:"blobs_unknown"`        // blobs of which nobody knows whether the copy has them: a directory there can't be read
	Incomplete  []Tag `json:"incomplete_in_source"` // tags that both have alike, and that need a blob which the copy lacks
}

// NotCompared is the answer where the tags of a copy can't be listed.
func NotCompared(source, why string) Comparison {
	return Comparison{Source: source, Why: why, MissingHere: []Tag{}, MissingThere: []Tag{}, Elsewhere: []Tag{}, Incomplete: []Tag{}}
}

// tags are the tags of a copy as they are read, and which of the blobs asked for it has.
type tags struct {
	of     map[string]map[string]string // by repository and tag: the digest, "" where the link can't be read
	faults map[string]bool              // keys below which all is unknown
	taken  *taken                       // what is to be brought back of it; nil for nothing
	blobs  *blobs                       // what it has of the store's blobs; nil where nobody asks
}

// blobs are the blobs of a store that a copy has too, of the same size.
type blobs struct {
	*graph.Graph
	has graph.Bitset // by id
}

// taken is what is to be brought back of copies.
type taken struct {
	*graph.Copied
	wants func(repository string) bool
	fault error // why not all is known
}

// Blobs is walker.Sink's.
func (t *tags) Blobs(all []walker.Blob) error {
	if t.blobs == nil {
		return nil
	}
	g := t.blobs.Graph
	for i := range all {
		id := g.KnownIDOf(all[i].String())
		if id != graph.None && g.Present(id) && g.SizeOf(id) == all[i].Size {
			t.blobs.has.Add(id)
		}
	}
	return nil
}

// Links is walker.Sink's.
func (t *tags) Links(repository string, links []walker.Link) error {
	for i := range links {
		l := &links[i]
		if t.taken != nil {
			t.taken.link(repository, l)
			continue
		}
		if l.Kind != layout.TagCurrent {
			continue
		}
		of := t.of[repository]
		if of == nil {
			of = map[string]string{}
			t.of[strings.Clone(repository)] = of
		}
		digest := ""
		if l.State == walker.LinkGood {
			digest = l.Target.String()
		}
		of[strings.Clone(l.Tag)] = digest
	}
	return nil
}

// Entry is walker.Sink's.
func (t *tags) Entry(e walker.Entry) error {
	if e.Kind == walker.EntryFault {
		t.faults[strings.Clone(e.Key)] = true
		if t.taken != nil && t.taken.fault == nil {
			t.taken.fault = fmt.Errorf("%s: %w", strings.Clone(e.Key), e.Err)
		}
	}
	return nil
}

// link adds a link of a copy.
func (t *taken) link(repository string, l *walker.Link) {
	if !t.wants(repository) {
		return
	}
	switch {
	case l.Kind == layout.TagCurrent && l.State == walker.LinkGood:
		t.Tags = append(t.Tags, graph.CopiedTag{Repository: strings.Clone(repository), Tag: strings.Clone(l.Tag), Digest: l.Target, Modified: l.Modified})
	case l.Kind == layout.Revision && l.Size > 0:
		of := t.Revisions[repository]
		if of == nil {
			of = map[layout.AnyDigest]int64{}
			t.Revisions[strings.Clone(repository)] = of
		}
		of[layout.AnyDigest{Digest: l.Path, Other: strings.Clone(l.Alias)}] = l.Modified
	case t.Whole && l.Kind == layout.LayerLink && l.Size > 0 && l.Alias == "":
		of := t.Layers[repository]
		if of == nil {
			of = map[layout.AnyDigest]bool{}
			t.Layers[strings.Clone(repository)] = of
		}
		of[layout.AnyDigest{Digest: l.Path}] = true
	}
}

// Take lists the links of copies, in the order in which one is preferred, and returns the
// tags of repositories, with all of their revision links. A tag whose
// revision link no copy has isn't pulled from there: the next copy's counts, and where
// there is none the tag is left out. repositories are those that are wanted, whole; none
// stands for the tags of all. Not to know all of a copy is an error.
func Take(ctx context.Context, copies []backend.Reader, names []string, workers int, repositories []string) (*graph.Copied, error) {
	all := &taken{
		Copied: &graph.Copied{
			Whole:     len(repositories) > 0,
			Revisions: map[string]map[layout.AnyDigest]int64{}, Layers: map[string]map[layout.AnyDigest]bool{},
		},
		wants: func(repository string) bool {
			return len(repositories) == 0 || slices.Contains(repositories, repository)
		},
	}
	for i, r := range copies {
		w := &walker.Walker{Reader: r, Workers: workers, Unread: true}
		err := w.ListLinks(ctx, &tags{faults: map[string]bool{}, taken: all})
		if err == nil {
			err = all.fault
		}
		if err != nil {
			return nil, fmt.Errorf("%s: not all of its tags can be read: %w", names[i], err)
		}
	}
	all.Tags = slices.DeleteFunc(all.Tags, func(t graph.CopiedTag) bool {
		_, linked := all.Links(t.Repository, t.Digest)
		return !linked
	})
	tagged := map[string]bool{}
	for i := range all.Tags {
		tagged[all.Tags[i].Repository] = true
	}
	// What has no tag comes back with what has.
	maps.DeleteFunc(all.Revisions, func(repository string, _ map[layout.AnyDigest]int64) bool { return !tagged[repository] })
	name := func(a, b graph.CopiedTag) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), strings.Compare(a.Tag, b.Tag))
	}
	slices.SortStableFunc(all.Tags, name)
	all.Tags = slices.CompactFunc(all.Tags, func(a, b graph.CopiedTag) bool { return name(a, b) == 0 })
	return all.Copied, nil
}

// covered reports whether nobody knows if there is anything under a key.
func (t *tags) covered(key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if t.faults[key] {
			return true
		}
	}
	return false
}

// lacks looks for what a tag needs, and the copy lacks. Counted are the blobs that no tag
// was seen to lack before.
func (c *Comparison) lacks(t *tags, r *graph.Repository, target uint32, counted *graph.Bitset) (lacks bool) {
	g := t.blobs.Graph
	check := func(id uint32) {
		if !g.Present(id) || t.blobs.has.Has(id) {
			return
		}
		unknown := t.covered(g.BlobKey(id))
		lacks = lacks || !unknown
		switch {
		case counted.Has(id):
			return
		case unknown:
			c.Unlisted++
		default:
			c.Lacked++
			c.LackedBytes += g.SizeOf(id)
		}
		counted.Add(id)
	}
	for id := range graph.ReachableFrom(g, r, []uint32{target, r.Resolve(target)}) {
		check(id)
		for e, to := range g.In(r, id).Needs {
			if e.Read() {
				check(to)
			}
		}
	}
	return lacks
}

// Compare lists a copy, and compares it with the store that was read. workers is
// graph.Options's.
func Compare(ctx context.Context, g *graph.Graph, source string, copied backend.Reader, workers int) (Comparison, error) {
	there := &tags{of: map[string]map[string]string{}, faults: map[string]bool{}, blobs: &blobs{g, graph.NewBitset(g.Len() + len(g.Unlisted))}}
	w := &walker.Walker{Reader: copied, Workers: workers, Unread: true}
	c := NotCompared(source, "")
	if err := w.ListLinks(ctx, there); err != nil {
		return c, err
	}
	if err := w.ListBlobs(ctx, there); err != nil {
		return c, err
	}
	counted := graph.NewBitset(g.Len() + len(g.Unlisted))
	c.Compared = true
	for i := range g.Repos {
		r := &g.Repos[i]
		of := there.of[r.Name]
		for t := range r.Tags {
			tag := &r.Tags[t]
			if tag.Current {
				c.Here++
			}
			digest, both := of[tag.Name]
			delete(of, tag.Name)
			if both {
				c.There++
			}
			d := Tag{Ref: r.Name + ":" + tag.Name, There: digest}
			if tag.Target != graph.None {
				d.Here = g.NameOf(tag.Target)
			}
			key := layout.CurrentKey(r.Name, tag.Name)
			if err := ctx.Err(); err != nil {
				return c, err
			}
			lacks := tag.Target != graph.None && c.lacks(there, r, tag.Target, &counted)
			switch {
			case !tag.Current && both && !g.Covered(key):
				c.MissingHere = append(c.MissingHere, d)
			case !tag.Current && !both:
			case d.Here == "", both && digest == "", !both && there.covered(key):
				c.Unknown++
			case !both:
				c.MissingThere = append(c.MissingThere, d)
			case d.Here == digest:
				c.Same++
				if lacks {
					c.Incomplete = append(c.Incomplete, d)
				}
			default:
				c.Elsewhere = append(c.Elsewhere, d)
			}
		}
	}
	for repository, of := range there.of { // what is left is in no repository of the store
		for tag, digest := range of {
			c.There++
			if digest == "" || g.Covered(layout.CurrentKey(repository, tag)) {
				c.Unknown++
				continue
			}
			c.MissingHere = append(c.MissingHere, Tag{Ref: repository + ":" + tag, There: digest})
		}
	}
	for _, list := range [][]Tag{c.MissingHere, c.MissingThere, c.Elsewhere, c.Incomplete} {
		slices.SortFunc(list, func(a, b Tag) int {
			repositoryA, tagA, _ := strings.Cut(a.Ref, ":")
			repositoryB, tagB, _ := strings.Cut(b.Ref, ":")
			return cmp.Or(strings.Compare(repositoryA, repositoryB), strings.Compare(tagA, tagB))
		})
	}
	return c, nil
}

// Package replica compares a store with a copy of it, such as a backup: the targets of tags
// by their links, and whether the copy has the blobs that the store's tags need, by name and
// size. It reads no blobs; a check of the copy shows what can be pulled from it.
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

// Tag is a tag that differs between two stores.
type Tag struct {
	Ref   string `json:"ref"`   // "repository:tag"
	Here  string `json:"here"`  // its target in the store; "" if there is none
	There string `json:"there"` // its target in the copy; "" if there is none
}

// Comparison is how the tags of a store and of a copy differ. Lists are sorted by
// repository, then by tag.
type Comparison struct {
	Source       string `json:"source"`
	Compared     bool   `json:"compared"` // false: the other fields are unknown
	Why          string `json:"why"`      // why it wasn't compared; a clause
	Here         int    `json:"tags"`     // of the store
	There        int    `json:"tags_in_source"`
	Same         int    `json:"tags_same"`
	Unknown      int    `json:"tags_unknown"`      // whose target could not be read in one of them
	MissingHere  []Tag  `json:"missing_here"`      // tags that only the copy has
	MissingThere []Tag  `json:"missing_in_source"` // tags that only the store has
	Elsewhere    []Tag  `json:"point_elsewhere"`   // tags with different targets

	Lacked      int   `json:"blobs_missing_in_source"` // blobs that the store has and its tags need, and the copy lacks or has in another size
	LackedBytes int64 `json:"blobs_missing_in_source_bytes"`
	Unlisted    int   `json:"blobs_unknown"`        // blobs of a directory of the copy that can't be read
	Incomplete  []Tag `json:"incomplete_in_source"` // equal tags that need a blob which the copy lacks
}

// NotCompared returns the result for a copy whose tags can't be listed.
func NotCompared(source, why string) Comparison {
	return Comparison{Source: source, Why: why, MissingHere: []Tag{}, MissingThere: []Tag{}, Elsewhere: []Tag{}, Incomplete: []Tag{}}
}

// tags collects the tags of a copy, and which of the store's blobs it has.
type tags struct {
	of     map[string]map[string]string // by repository and tag: the digest, "" if the link can't be read
	faults map[string]bool              // keys that can't be read, with all below them
	taken  *taken                       // what is restored from it; nil for nothing
	blobs  *blobs                       // which of the store's blobs it has; nil if not needed
}

// blobs are the blobs of a store that a copy has with the same size.
type blobs struct {
	*graph.Graph
	has graph.Bitset // by id
}

// taken collects what is restored from copies.
type taken struct {
	*graph.Copied
	wants func(repository string) bool
	fault error // why it is incomplete
}

// Blobs implements walker.Sink.
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

// Links implements walker.Sink.
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

// Entry implements walker.Sink.
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

// Take lists the links of copies, in order of preference, and returns the tags of
// repositories, with all of their revision links. A tag whose revision link a copy lacks is
// taken from the next copy, or left out. repositories are the ones to restore whole; none:
// the tags of all. It is an error if a copy can't be read completely.
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
	// untagged manifests are restored with tagged ones
	maps.DeleteFunc(all.Revisions, func(repository string, _ map[layout.AnyDigest]int64) bool { return !tagged[repository] })
	name := func(a, b graph.CopiedTag) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), strings.Compare(a.Tag, b.Tag))
	}
	slices.SortStableFunc(all.Tags, name)
	all.Tags = slices.CompactFunc(all.Tags, func(a, b graph.CopiedTag) bool { return name(a, b) == 0 })
	return all.Copied, nil
}

// covered reports whether a key can't be read.
func (t *tags) covered(key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if t.faults[key] {
			return true
		}
	}
	return false
}

// lacks reports whether the copy lacks a blob that a tag needs. counted are the blobs that
// were counted as lacking.
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

// Compare lists a copy and compares it with a store. workers is as in graph.Options.
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
	for repository, of := range there.of { // the rest are repositories that the store lacks
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

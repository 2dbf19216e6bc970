package graph

import (
	"context"
	"slices"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// links tells of the links of the repository that keep the digest for themselves,
// where no manifest does.
func (p *paths) links() (more bool) {
	j, r := p.j, p.r
	pinned := j.usage.pinned.has(p.ri)
	if p.found {
		return true
	}
	at, ok := slices.BinarySearchFunc(r.layers, p.id, func(l layer, id uint32) int { return int(int64(l.id()) - int64(id)) })
	switch {
	case ok && r.layers[at].young():
		return p.alone(HoldYoung, "")
	case ok && linkMismatches(r, p.id):
		return p.alone(HoldMismatch, "")
	case ok && !j.spare.has(j.firstLink[p.ri]+uint32(at)):
		return p.alone(HoldPinned, "")
	}
	for _, a := range r.aliases {
		young := int64(a.modified)*1e9 > j.youngAfter
		if a.target != p.id || !pinned && !young {
			continue
		}
		return p.alone(map[bool]Hold{true: HoldYoung, false: HoldPinned}[young], "")
	}
	for _, h := range r.history {
		if h.id == p.id && j.keepsHistory(r, h) {
			return p.alone(HoldHistory, r.tags[h.tag].name)
		}
	}
	if slices.ContainsFunc(j.signed[p.ri], func(s signed) bool { return s.by == p.id }) {
		return p.alone(HoldSignature, "")
	}
	return true
}

// keepsHistory tells whether an entry of a tag's history, whose digest nothing else
// of the repository keeps, keeps it: it is young, or isn't called stale.
func (j *judgement) keepsHistory(r *repo, h history) bool {
	t := &r.tags[h.tag]
	stale := t.target != none && t.target != h.id && (!r.hasRevision(h.id) || j.Untagged && j.stateAt(h.id) == walker.ManifestGood)
	return int64(h.modified)*1e9 > j.youngAfter || !stale || r.badName || t.badName
}

// Place is a file that is about a digest: the blob itself, or a link to it.
type Place struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// Places returns the files of the store that are about a digest, the newest first.
// It looks at each, since a graph has no times of layer links.
func (c *Scan) Places(ctx context.Context, digest string) ([]Place, error) {
	d, ok := layout.ParseDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Place{{Key: layout.BlobKey(d)}}
	if id := c.g.knownID(d); id != none {
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
		if n := b.Modified.Compare(a.Modified); n != 0 {
			return n
		}
		return slices.Compare([]byte(a.Key), []byte(b.Key))
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

// Known is what a store has of a digest.
type Known struct {
	Stored   bool
	Manifest bool  // it was read as a manifest
	Corrupt  bool  // its bytes don't hash to the digest, as far as they were hashed
	Size     int64 // bytes of what is stored
	Kept     bool  // something needs it, or keeps it
	Young    bool  // it, or a link to it, is within the grace period
}

// Known tells what the store has of a digest. It is false where nothing speaks of
// it.
func (u *Usage) Known(digest string) (k Known, ok bool) {
	d, ok := layout.ParseDigest(digest)
	if !ok {
		return k, false
	}
	id := u.j.knownID(d)
	if id == none {
		return k, false
	}
	k = Known{
		Stored: u.j.present(id), Manifest: u.j.stateAt(id) == walker.ManifestGood, Corrupt: u.j.wrong(id),
		Kept: u.j.referenced.has(id) || u.j.noOrphans, Young: u.j.young.has(id),
	}
	if k.Stored {
		k.Size = u.j.sizeOf(id)
	}
	return k, true
}

// Own returns how many bytes are freed if a manifest of a repository goes, with
// what only it leads to; pinned says why nothing would. It is false where the
// repository has no such manifest.
func (u *Usage) Own(repository, digest string) (bytes int64, pinned string, ok bool) {
	i, known := u.j.repoID[repository]
	d, parsed := layout.ParseDigest(digest)
	if !known || !parsed {
		return 0, "", false
	}
	f := u.j.flowOf(i)
	v, ok := f.number[vertex{manifestVertex, u.j.knownID(d)}]
	if !ok {
		return 0, "", false
	}
	if pinned = u.j.pinnedBy(i); pinned != "" {
		return 0, pinned, true
	}
	return f.behind()[v], "", true
}

package check

import (
	"context"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// cures finds which missing or corrupt objects can be written again, and from what.
type cures struct{ *checker }

// inArchive reports a blob that is kept and archived, so that no registry can serve it.
func (j cures) inArchive(id uint32, by citation) {
	j.global(problem{id: finding.BlobArchived, obj: id, by: by, cure: finding.CureNone})
}

// layersUnread reports archived blobs with layer links that may be manifests: their
// references are unknown.
func (j cures) layersUnread() {
	if j.Removed.All() {
		return
	}
	for _, id := range j.Current.LayersUnread {
		j.global(problem{
			id: finding.BlobArchived, obj: id, cure: finding.CureNone,
			detail: "no manifest of " + j.Current.Name + " uses it as a layer, so it may be a manifest itself, and what it references is kept",
		})
	}
}

// rebuilds reports whether a fix rebuilds a missing or corrupt blob.
func (j cures) rebuilds(id uint32) bool {
	_, proven := j.ProvenBytes(id)
	return proven && !j.Cache
}

// cureOfBlob returns the cure of a missing or corrupt blob; otherwise if its bytes are
// unknown.
func (j cures) cureOfBlob(id uint32, otherwise finding.Cure) finding.Cure {
	switch {
	case j.rebuilds(id):
		return finding.CureRebuild
	case j.IsHealed(id):
		return finding.CureHeal
	}
	return otherwise
}

// readInline reads the bytes of missing or corrupt blobs from the kept manifests that contain
// them, and reports whether it found any.
func (j cures) readInline(ctx context.Context, s *graph.Scan) (found bool, err error) {
	lacking := map[uint32]bool{}
	for i := range j.problems {
		if p := &j.problems[i]; (p.id == finding.BlobMissing || p.id == finding.BlobCorrupt) && p.repo == graph.None && p.cure != finding.CureRebuild {
			lacking[p.obj] = true
		}
	}
	if len(lacking) == 0 || j.Cache || j.Removal != nil {
		return false, nil
	}
	var ids []uint32
	for id := range j.Carriers {
		if j.Reached[j.NodeOf[id]-1] == 0 {
			continue
		}
		for e := range j.In(nil, id).References {
			if lacking[e.ID()] {
				ids = append(ids, id)
				break
			}
		}
	}
	return s.ReadInline(ctx, ids, lacking)
}

// reportHealed reports a manifest that the repository serves after it is copied from a
// source.
func (j cures) reportHealed(id uint32) {
	h := j.Heals[id]
	switch {
	case h == nil || !h.Active || h.Node == nil:
	case h.Stored.State == walker.ManifestCorrupt:
		j.global(problem{id: finding.ManifestCorrupt, obj: id, cure: finding.CureHeal})
	default:
		j.local(problem{id: finding.ManifestMissing, kind: layout.Revision, obj: id, cure: finding.CureHeal})
	}
}

// spares reports whether the problem is a lack of bytes that a source has but a fix doesn't
// copy, since no tag is known to need them.
func (j cures) spares(p *problem) bool {
	return p.obj != graph.None && j.IsSpare(p.obj) && j.copies.Has(p.obj) && (p.lacksBytes() || p.id == finding.IndexChildMissing)
}

// copied returns, by id, the blobs that a fix copies.
func (j cures) copied() graph.Bitset {
	all := graph.NewBitset(j.Len() + len(j.Unlisted))
	for i := range j.problems {
		if p := &j.problems[i]; p.cure == finding.CureHeal {
			all.Add(p.obj)
		}
	}
	return all
}

// countSpare returns how many more blobs a fix could copy from the sources.
func (j cures) countSpare() (n int) {
	now := j.copied()
	for id, h := range j.Heals {
		if (h.Spare || h.Active) && j.copies.Has(id) && !now.Has(id) {
			n++
		}
	}
	return n
}

// lacks returns the missing blobs that can't be rebuilt and for which no source was asked.
func (j cures) lacks(s *graph.Scan) (all []graph.Lack) {
	for i := range j.problems {
		p := &j.problems[i]
		is := false
		switch p.id {
		case finding.BlobMissing, finding.BlobCorrupt:
			if p.repo != graph.None { // a digest of another algorithm that isn't stored
				continue
			}
			is = j.StoredState(p.obj) == walker.ManifestCorrupt
		case finding.ManifestMissing, finding.ManifestCorrupt, finding.TagDangling:
			is = true
		case finding.IndexChildMissing:
			is = p.kind == layout.Revision && j.StateAt(p.obj) == walker.ManifestMissing
			if !is || len(s.From) == 0 {
				continue
			}
		default:
			continue
		}
		if p.cure == finding.CureRebuild || p.cure == finding.CureHeal || !j.Provable(p.obj) || !j.Sought.Add(p.obj) {
			continue
		}
		all = append(all, graph.Lack{ID: p.obj, Manifest: is, By: p.neededIn(), Legal: p.id == finding.IndexChildMissing})
	}
	return all
}

// neededIn returns the repository of a problem, or of its citation; none for none.
func (p *problem) neededIn() uint32 {
	if p.repo == graph.None && p.by.repo > 0 {
		return p.by.repo - 1
	}
	return p.repo
}

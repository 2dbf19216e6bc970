package graph

import (
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// unsettled reports whether nothing is to be said of the problem's place, and
// has its tags counted as unknown then.
func (j *judgement) unsettled(p *problem) bool {
	if len(j.unsure) == 0 {
		return false
	}
	for _, s := range j.spots(p) {
		if j.unsure[s] {
			if p.obj != none && p.id.Severity() == finding.Error {
				j.bad[p.obj] = append(j.bad[p.obj], unknown)
				j.unjudged[p.obj] = j.pathOf(p)
			}
			return true
		}
	}
	return false
}

// spots returns the places that a problem speaks of.
func (j *judgement) spots(p *problem) []spot {
	at := func(kind layout.Kind, tag, id uint32) spot { return spot{p.repo, place{kind, tag, id}} }
	switch p.id {
	case finding.BlobMissing:
		if p.repo != none { // what an alias stands for
			return []spot{at(layout.LayerLink, 0, p.obj)}
		}
	case finding.RevisionLinkMissing: // a delete takes this link before the tags, and where there are no directories nothing tells
		all := []spot{at(layout.Revision, 0, p.obj)}
		for _, tag := range j.tagsOn(p.repo, p.obj) {
			all = append(all, at(layout.TagCurrent, tag, 0))
		}
		return all
	case finding.IndexChildMissing:
		return []spot{at(p.kind, 0, p.obj)}
	case finding.ManifestMissing:
		return []spot{at(layout.Revision, 0, p.obj)}
	case finding.SignatureOrphaned:
		d, _ := layout.SubjectOf(j.repos[p.repo].tags[p.tag].name)
		return []spot{at(layout.Revision, 0, j.idOf(d)), at(layout.TagCurrent, p.tag, 0)}
	case finding.LayerLinkMissing:
		return []spot{at(layout.LayerLink, 0, p.obj)}
	case finding.TagTargetForeign:
		return []spot{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagDangling:
		return []spot{at(layout.Revision, 0, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagWithoutCurrent:
		return []spot{at(layout.TagCurrent, p.tag, 0)}
	case finding.ManifestLost:
		if p.repo != none {
			return []spot{at(layout.Revision, 0, p.obj)}
		}
	case finding.TagHistoryStale:
		return []spot{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj)}
	case finding.LinkInvalid, finding.LinkMismatch, finding.BlobArchived:
		if p.kind == 0 {
			return nil
		}
		if p.kind == layout.TagCurrent {
			return []spot{at(p.kind, p.tag, 0)}
		}
		return []spot{at(p.kind, p.tag, p.obj)}
	case finding.RepoEmpty:
		return []spot{at(0, 0, 0)}
	}
	return nil
}

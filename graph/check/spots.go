package check

import (
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// unsettled reports whether nothing is to be said of the problem's place, and
// has its tags counted as unknown then.
func (j *checker) unsettled(p *problem) bool {
	if len(j.Unconfirmed) == 0 {
		return false
	}
	for _, s := range j.spots(p) {
		if j.Unconfirmed[s] {
			if p.obj != graph.None && p.id.Severity() == finding.Error {
				j.bad[p.obj] = append(j.bad[p.obj], unknown)
				j.unjudged[p.obj] = j.pathOf(p)
			}
			return true
		}
	}
	return false
}

// spots returns the places that a problem speaks of.
func (j *checker) spots(p *problem) []graph.Ref {
	at := func(kind layout.Kind, tag, id uint32) graph.Ref {
		return graph.Ref{Repo: p.repo, Link: graph.Link{Kind: kind, Tag: tag, ID: id}}
	}
	switch p.id {
	case finding.BlobMissing:
		if p.repo != graph.None { // what an alias stands for
			return []graph.Ref{at(layout.LayerLink, 0, p.obj)}
		}
	case finding.RevisionLinkMissing: // a delete takes this link before the tags, and where there are no directories nothing tells
		all := []graph.Ref{at(layout.Revision, 0, p.obj)}
		for _, tag := range j.TagsOn(p.repo, p.obj) {
			all = append(all, at(layout.TagCurrent, tag, 0))
		}
		return all
	case finding.IndexChildMissing:
		return []graph.Ref{at(p.kind, 0, p.obj)}
	case finding.ManifestMissing:
		return []graph.Ref{at(layout.Revision, 0, p.obj)}
	case finding.SignatureOrphaned:
		d, _ := layout.SubjectOf(j.Repos[p.repo].Tags[p.tag].Name)
		return []graph.Ref{at(layout.Revision, 0, j.IDOf(d)), at(layout.TagCurrent, p.tag, 0)}
	case finding.LayerLinkMissing:
		return []graph.Ref{at(layout.LayerLink, 0, p.obj)}
	case finding.TagTargetForeign:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagDangling:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagWithoutCurrent:
		return []graph.Ref{at(layout.TagCurrent, p.tag, 0)}
	case finding.ManifestLost:
		if p.repo != graph.None {
			return []graph.Ref{at(layout.Revision, 0, p.obj)}
		}
	case finding.TagHistoryStale:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj)}
	case finding.LinkInvalid, finding.LinkMismatch, finding.BlobArchived:
		if p.kind == 0 {
			return nil
		}
		if p.kind == layout.TagCurrent {
			return []graph.Ref{at(p.kind, p.tag, 0)}
		}
		return []graph.Ref{at(p.kind, p.tag, p.obj)}
	case finding.RepoEmpty:
		return []graph.Ref{at(0, 0, 0)}
	}
	return nil
}

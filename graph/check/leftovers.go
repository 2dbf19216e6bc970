package check

import (
	"maps"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// leftoverRules find the garbage of a repository.
type leftoverRules struct{ *checker }

// leftovers reports the garbage of the current repository.
func (j leftoverRules) leftovers() {
	r := j.Current
	if r.BadName && r.Exists {
		j.local(problem{id: finding.NameInvalid, name: layout.RepositoryKey(r.Name), obj: graph.None, cure: finding.CureNone})
	}
	removalRules(j).removed()
	j.badLayerLinks()
	j.aliases()
	j.staleHistory()
	j.untaggedRevisions()
	kept := j.uploads()
	j.totals.Revisions += len(r.Revisions)
	j.totals.LayerLinks += len(r.Layers) + len(r.Aliases)
	if !r.Exists {
		return
	}
	j.totals.Repositories++
	if len(r.Tags)+len(j.Found) == 0 && !j.revisionKept() && !j.Pinned && !kept && !j.KeptLink && r.OwnParts() != 0 {
		j.local(problem{id: finding.RepoEmpty, name: layout.RepositoryKey(r.Name), obj: graph.None, cure: finding.CureRemove, inGrace: r.InGrace})
	}
}

// revisionKept reports whether a revision remains in the repository after the plan.
func (j leftoverRules) revisionKept() bool {
	for v := range j.Current.Manifests() {
		if !j.RemovesUntagged() || j.Pinned || j.IsReached(v.ID) {
			return true
		}
	}
	return false
}

// badLayerLinks reports the kept layer links whose content differs from their path.
func (j leftoverRules) badLayerLinks() {
	for p, o := range j.Current.Bad {
		if p.Kind == layout.LayerLink && j.Current.AliasOf(p.ID) == nil && !j.IsUnreferenced(j.CurrentID, p.ID) {
			j.badLink(p, o, j.Present(p.ID))
		}
	}
}

// aliases reports bad and unreferenced aliases.
func (j leftoverRules) aliases() {
	for _, a := range j.Current.Aliases {
		p := graph.Link{Kind: layout.LayerLink, ID: a.ID}
		if o, ok := j.Current.Bad[p]; ok {
			j.badLink(p, o, false)
		}
		if !j.UnreferencedAlias(a) {
			continue
		}
		id := finding.LayerLinkUnreferenced
		if j.Removed.All() {
			id = finding.RepositoryRemoved
		}
		j.local(problem{id: id, kind: layout.LayerLink, obj: a.ID, cure: finding.CureRemove, inGrace: j.AliasInGrace(a), bytes: graph.LinkBytes})
	}
}

// staleHistory reports history entries whose manifest is missing, and bad links among them.
func (j leftoverRules) staleHistory() {
	for _, h := range j.Current.History {
		p := graph.Link{Kind: layout.TagHistory, Tag: h.Tag, ID: h.ID}
		o, isOdd := j.Current.Bad[p]
		switch {
		case j.RemovesTag(h.Tag):
		case j.StaleEntry(h):
			j.local(problem{
				id: finding.TagHistoryStale, kind: layout.TagHistory, tag: h.Tag, obj: h.ID, cure: finding.CureRemove, bytes: j.BytesOfLink(h.ID),
				inGrace: j.EntryInGrace(h), modified: int64(h.Modified) * 1e9,
			})
		case isOdd:
			j.badLink(p, o, j.Present(h.ID))
		}
	}
}

// untaggedRevisions reports the untagged revisions that are removed.
func (j leftoverRules) untaggedRevisions() {
	for _, v := range j.Current.Revisions {
		if j.IsUntaggedGarbage(v.ID) {
			j.local(problem{
				id: finding.ManifestUntagged, kind: layout.Revision, obj: v.ID, cure: finding.CureRemove,
				bytes: j.BytesOfLink(v.ID), modified: int64(v.Modified) * 1e9,
			})
		}
	}
}

// uploads reports stale uploads, and returns whether any is kept.
func (j leftoverRules) uploads() (kept bool) {
	for _, id := range slices.Sorted(maps.Keys(j.Current.Uploads)) {
		u := j.Current.Uploads[id]
		if !u.Own && !layout.ValidUpload(id) { // a foreign directory
			continue
		}
		j.totals.Uploads++
		if j.Removed.All() {
			removalRules(j).removedUpload(id, u)
			continue
		}
		if u.Touched() > j.uploadsAfter {
			kept = true
			continue
		}
		p := problem{
			id: finding.UploadStale, name: layout.UploadKey(j.Current.Name, id), obj: graph.None, cure: finding.CureRemove,
			bytes: u.Bytes, modified: u.Newest(),
		}
		if u.Foreign { // it is kept, and so is its upload
			p.cure, kept = finding.CureNone, true
		}
		j.local(p)
	}
	return kept
}

package check

import (
	"maps"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// leftoverRules are about what nothing of a repository needs.
type leftoverRules struct{ *checker }

// leftovers reports what nothing of the repository needs.
func (j leftoverRules) leftovers() {
	r := j.Current
	if r.BadName && r.Exists {
		j.local(problem{id: finding.NameInvalid, name: layout.RepositoryKey(r.Name), obj: graph.None, cure: finding.CureNone})
	}
	removalRules(j).removed()
	j.oddLayers()
	j.aliases()
	j.staleHistory()
	j.untaggedRevisions()
	stays := j.uploads()
	j.totals.Revisions += len(r.Revisions)
	j.totals.LayerLinks += len(r.Layers) + len(r.Aliases)
	if !r.Exists {
		return
	}
	j.totals.Repositories++
	if len(r.Tags)+len(j.Found) == 0 && !j.revisionStays() && !j.Pinned && !stays && !j.KeptLink && r.OwnParts() != 0 {
		j.local(problem{id: finding.RepoEmpty, name: layout.RepositoryKey(r.Name), obj: graph.None, cure: finding.CureRemove, inGrace: r.InGrace})
	}
}

// revisionStays reports whether the repository has a revision that doesn't go with
// the same plan.
func (j leftoverRules) revisionStays() bool {
	for v := range j.Current.Manifests() {
		if !j.RemovesUntagged() || j.Pinned || j.IsReached(v.ID) {
			return true
		}
	}
	return false
}

// oddLayers reports the layer links that are kept and whose content isn't what
// their path says.
func (j leftoverRules) oddLayers() {
	for p, o := range j.Current.Bad {
		if p.Kind == layout.LayerLink && j.Current.AliasOf(p.ID) == nil && !j.IsUnreferenced(j.CurrentID, p.ID) {
			j.oddLink(p, o, j.Present(p.ID))
		}
	}
}

// aliases reports the aliases that are bad, and those that nothing needs.
func (j leftoverRules) aliases() {
	for _, a := range j.Current.Aliases {
		p := graph.Link{Kind: layout.LayerLink, ID: a.ID}
		if o, ok := j.Current.Bad[p]; ok {
			j.oddLink(p, o, false)
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

// staleHistory reports the entries of tags' histories whose manifest is gone, and
// those that are bad links.
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
			j.oddLink(p, o, j.Present(h.ID))
		}
	}
}

// untaggedRevisions reports the revisions that are removed because no tag leads to them.
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

// uploads reports stale uploads, and whether any is kept.
func (j leftoverRules) uploads() (stays bool) {
	for _, id := range slices.Sorted(maps.Keys(j.Current.Uploads)) {
		u := j.Current.Uploads[id]
		if !u.Own && !layout.ValidUpload(id) { // a directory of something else
			continue
		}
		j.totals.Uploads++
		if j.Removed.All() {
			removalRules(j).removedUpload(id, u)
			continue
		}
		if u.Touched() > j.uploadsAfter {
			stays = true
			continue
		}
		p := problem{
			id: finding.UploadStale, name: layout.UploadKey(j.Current.Name, id), obj: graph.None, cure: finding.CureRemove,
			bytes: u.Bytes, modified: u.Newest(),
		}
		if u.Foreign { // it is kept, and with it the upload
			p.cure, stays = finding.CureNone, true
		}
		j.local(p)
	}
	return stays
}

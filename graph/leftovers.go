package graph

import (
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// leftovers reports what nothing of the repository needs.
func (j *judgement) leftovers() {
	r := j.r
	if r.badName && r.exists {
		j.local(problem{id: finding.NameInvalid, name: layout.RepositoryKey(r.name), obj: none, cure: finding.CureNone})
	}
	j.removed()
	j.oddLayers()
	j.aliases()
	j.staleHistory()
	j.untaggedRevisions()
	stays := j.uploads()
	j.totals.Revisions += len(r.revisions)
	j.totals.LayerLinks += len(r.layers) + len(r.aliases)
	if !r.exists {
		return
	}
	j.totals.Repositories++
	if len(r.tags)+len(j.found) == 0 && !j.revisionStays() && !j.pinned && !stays && !j.keptLink && r.goes() != 0 {
		j.local(problem{id: finding.RepoEmpty, name: layout.RepositoryKey(r.name), obj: none, cure: finding.CureRemove, young: r.young})
	}
}

// revisionStays reports whether the repository has a revision that doesn't go with
// the same plan.
func (j *judgement) revisionStays() bool {
	for v := range j.r.manifests() {
		if !j.untagged() || j.pinned || j.isReached(v.id) {
			return true
		}
	}
	return false
}

// oddLayers reports the layer links that stay and whose content isn't what
// their path says.
func (j *judgement) oddLayers() {
	for p, o := range j.r.odd {
		if p.kind == layout.LayerLink && j.r.aliasOf(p.id) == nil && !j.isSpare(j.ri, p.id) {
			j.oddLink(p, o, j.present(p.id))
		}
	}
}

// aliases reports the aliases that are bad, and those that nothing needs.
func (j *judgement) aliases() {
	for _, a := range j.r.aliases {
		p := place{kind: layout.LayerLink, id: a.id}
		if o, ok := j.r.odd[p]; ok {
			j.oddLink(p, o, false)
		}
		if !j.spareAlias(a) {
			continue
		}
		id := finding.LayerLinkUnreferenced
		if j.cut.all() {
			id = finding.RepositoryRemoved
		}
		j.local(problem{id: id, kind: layout.LayerLink, obj: a.id, cure: finding.CureRemove, young: j.youngAlias(a), bytes: linkBytes})
	}
}

// staleHistory reports the entries of tags' histories whose manifest is gone, and
// those that are bad links.
func (j *judgement) staleHistory() {
	for _, h := range j.r.history {
		p := place{kind: layout.TagHistory, tag: h.tag, id: h.id}
		o, isOdd := j.r.odd[p]
		switch {
		case j.tagGoes(h.tag):
		case j.staleEntry(h):
			j.local(problem{
				id: finding.TagHistoryStale, kind: layout.TagHistory, tag: h.tag, obj: h.id, cure: finding.CureRemove, bytes: j.bytesOfLink(h.id),
				young: j.youngEntry(h), modified: int64(h.modified) * 1e9,
			})
		case isOdd:
			j.oddLink(p, o, j.present(h.id))
		}
	}
}

// untaggedRevisions reports the revisions that go because no tag leads to them.
func (j *judgement) untaggedRevisions() {
	for _, v := range j.r.revisions {
		if j.untaggedGoes(v.id) {
			j.local(problem{
				id: finding.ManifestUntagged, kind: layout.Revision, obj: v.id, cure: finding.CureRemove,
				bytes: j.bytesOfLink(v.id), modified: int64(v.modified) * 1e9,
			})
		}
	}
}

// uploads reports stale uploads and reports whether any stays.
func (j *judgement) uploads() (stays bool) {
	for _, id := range slices.Sorted(maps.Keys(j.r.uploads)) {
		u := j.r.uploads[id]
		if !u.own && !layout.ValidUpload(id) { // somebody else's directory
			continue
		}
		j.totals.Uploads++
		if j.cut.all() {
			j.removedUpload(id, u)
			continue
		}
		if u.touched() > j.uploadsAfter {
			stays = true
			continue
		}
		p := problem{
			id: finding.UploadStale, name: layout.UploadKey(j.r.name, id), obj: none, cure: finding.CureRemove,
			bytes: u.bytes, modified: u.newest(),
		}
		if u.foreign { // it stays, and with it the upload
			p.cure, stays = finding.CureNone, true
		}
		j.local(p)
	}
	return stays
}

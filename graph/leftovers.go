package graph

import (
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// leftovers finds what nothing of the repository needs, once it is known what
// is needed.
func (j *judgement) leftovers(pinned bool) {
	r := j.r
	if r.badName && r.exists {
		j.local(problem{id: finding.NameInvalid, name: layout.RepositoryKey(r.name), obj: none, cure: finding.CureNone})
	}
	j.removed(pinned)
	for _, a := range r.aliases {
		if a.target != none && j.youngAlias(a) {
			j.need(a.target)
		}
	}
	kept := j.layers(pinned)
	j.oddLayers()
	kept = j.aliases(pinned) || kept
	j.staleHistory()
	if j.untagged() && !pinned {
		j.untaggedRevisions()
	}
	stays := j.uploads()
	j.totals.Revisions += len(r.revisions)
	j.totals.LayerLinks += len(r.layers) + len(r.aliases)
	if !r.exists {
		return
	}
	j.totals.Repositories++
	if len(r.tags)+len(j.revived) == 0 && !j.revisionStays(pinned) && !pinned && !stays && !kept && r.goes() != 0 {
		j.local(problem{id: finding.RepoEmpty, name: layout.RepositoryKey(r.name), obj: none, cure: finding.CureRemove, young: r.young})
	}
}

// revisionStays reports whether the repository has a revision that doesn't go with
// the same plan.
func (j *judgement) revisionStays(pinned bool) bool {
	for v := range j.r.manifests() {
		if !j.untagged() || pinned || j.isReached(v.id) {
			return true
		}
	}
	return false
}

// layers marks the layer links that nothing needs. It reports whether any link
// is kept for itself.
func (j *judgement) layers(pinned bool) (kept bool) {
	at := j.firstLink[j.ri]
	for _, l := range j.r.layers {
		id := l.id()
		switch {
		case j.needed[id] == j.mark:
		case j.fixed(place{kind: layout.LayerLink, id: id}) || !j.cut.all() && (pinned || j.holds(id)):
			kept = true
			j.refer(id)
		default:
			j.spare.add(at)
			if l.young() && j.freesHere(id) {
				j.ripe.add(at)
			} else if l.young() {
				j.refer(id)
			}
		}
		at++
	}
	j.firstLink = append(j.firstLink, at)
	return kept
}

// holds reports whether a layer link stays though nothing needs it.
func (j *judgement) holds(id uint32) bool {
	return j.mismatches(id) || !j.present(id) && j.uncertain(id) || j.Left[j.spareID(id)]
}

// spareID tells which finding a layer link is that nothing needs.
func (j *judgement) spareID(id uint32) finding.Kind {
	if j.present(id) {
		return finding.LayerLinkUnreferenced
	}
	return finding.LayerLinkDangling
}

// mismatches reports whether a layer link holds another digest than its path
// says: it stays until that is put right.
func (j *judgement) mismatches(id uint32) bool { return linkMismatches(j.r, id) }

func linkMismatches(r *repo, id uint32) bool {
	o, ok := r.odd[place{kind: layout.LayerLink, id: id}]
	return ok && o.state == walker.LinkMismatch
}

// oddLayers reports the layer links that stay and whose content isn't what
// their path says.
func (j *judgement) oddLayers() {
	for p, o := range j.r.odd {
		if p.kind != layout.LayerLink || j.r.aliasOf(p.id) != nil {
			continue
		}
		at, _ := slices.BinarySearch(j.r.layers, newLayer(p.id, false))
		if !j.spare.has(j.firstLink[j.ri] + uint32(at)) {
			j.oddLink(p, o, j.present(p.id))
		}
	}
}

func (j *judgement) aliases(pinned bool) (kept bool) {
	for _, a := range j.r.aliases {
		p := place{kind: layout.LayerLink, id: a.id}
		young := j.youngAlias(a)
		wanted := j.needed[a.id] == j.mark || a.target != none && j.needed[a.target] == j.mark
		if o, ok := j.r.odd[p]; ok {
			j.oddLink(p, o, false)
		}
		if !wanted && !j.fixed(p) && (j.cut.all() || !pinned && !j.Left[finding.LayerLinkUnreferenced]) {
			id := finding.LayerLinkUnreferenced
			if j.cut.all() {
				id = finding.RepositoryRemoved
			}
			j.local(problem{id: id, kind: layout.LayerLink, obj: a.id, cure: finding.CureRemove, young: young, bytes: linkBytes})
			if !young {
				continue
			}
		}
		kept = true
		j.refer(a.id) // what is stored by that name itself, if anything is
		if a.target != none {
			j.refer(a.target)
		}
	}
	return kept
}

// linkBytes is what a link to a sha256 digest takes.
const linkBytes = 71

// bytesOfLink is what a link takes whose content is the digest of its path.
func (g *graph) bytesOfLink(id uint32) int64 {
	if name, foreign := g.names[id]; foreign {
		return int64(len(name))
	}
	return linkBytes
}

func (j *judgement) staleHistory() {
	for _, h := range j.r.history {
		t := &j.r.tags[h.tag]
		p := place{kind: layout.TagHistory, tag: h.tag, id: h.id}
		if j.tagGoes(h.tag) {
			continue
		}
		young := newer(h.modified, j.youngAfter) && !j.goes(h.id)
		fixed := j.fixed(p) || j.r.odd[p].state == walker.LinkArchived
		if young || j.Left[finding.TagHistoryStale] || fixed {
			j.refer(h.id)
		}
		if !fixed && t.target != none && !j.strays[tagRef{j.ri, h.tag}] && t.target != h.id && j.gone(h.id) && !j.r.badName && !t.badName {
			j.local(problem{
				id: finding.TagHistoryStale, kind: layout.TagHistory, tag: h.tag, obj: h.id, cure: finding.CureRemove, bytes: j.bytesOfLink(h.id),
				young: young, modified: int64(h.modified) * 1e9,
			})
			continue
		}
		j.refer(h.id)
		if o, ok := j.r.odd[p]; ok {
			j.oddLink(p, o, j.present(h.id))
		}
	}
}

// gone reports whether the repository hasn't got the revision, or won't have it
// once the plan is carried out.
func (j *judgement) gone(id uint32) bool {
	if j.isReached(id) {
		return false
	}
	if j.revived[id] != nil {
		return false
	}
	return !j.r.hasRevision(id) || j.goes(id) || j.untagged() && j.stateAt(id) == walker.ManifestGood
}

func (j *judgement) untaggedRevisions() {
	for _, v := range j.r.revisions {
		if j.isReached(v.id) || j.cut.has(v.id) {
			continue
		}
		j.local(problem{
			id: finding.ManifestUntagged, kind: layout.Revision, obj: v.id, cure: finding.CureRemove,
			bytes: j.bytesOfLink(v.id), modified: int64(v.modified) * 1e9,
		})
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

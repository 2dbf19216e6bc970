package graph

import (
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// root keeps the manifest under id in the repository, and what it leads to
// once reach is called.
func (j *judgement) root(id uint32) {
	j.refer(id)
	j.needLink(id)
	if n := j.nodeOf[id]; n != 0 && j.reached[n-1] != j.mark {
		j.reached[n-1] = j.mark
		j.todo = append(j.todo, n-1)
	}
}

// isReached reports whether the manifest under id is kept in the repository.
func (j *judgement) isReached(id uint32) bool {
	n := j.nodeOf[id]
	return n != 0 && j.reached[n-1] == j.mark
}

// reach follows the references of all roots: an index's children in this
// repository, config and layers, and whatever has a reached manifest as its
// subject. It reports whether something on the way pins the repository.
func (j *judgement) reach() (pinned bool) {
	for len(j.todo) > 0 {
		j.at = j.todo[len(j.todo)-1]
		j.todo = j.todo[:len(j.todo)-1]
		n := &j.nodes[j.at]
		uploaded := j.uploaded(n.id)
		for e := range j.in(j.r, n.id).references {
			if !e.read() {
				j.unread(e)
				continue
			}
			switch role := e.role(); {
			case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
				pinned = j.claimed(e.id()) || pinned
			case role == manifest.Config, role == manifest.Layer:
				pinned = j.blob(e.id()) || pinned
			case role == manifest.MayBeAbsent: // kept if it is there
				j.needHere(e.id())
			case e.isEntry():
				pinned = j.child(e) || pinned
			}
		}
		pinned = j.referrers(n.id) || pinned
	}
	return pinned
}

// referrers keeps the repository's manifests that have id as their subject, and
// what its tags sha256-<hex>… mean. It reports whether what such a tag means pins
// the repository.
func (j *judgement) referrers(id uint32) (pinned bool) {
	for m := range j.in(j.r, id).referrers {
		if !j.cut.names(m) {
			j.root(m)
		}
	}
	if j.cut != nil {
		for _, t := range j.cut.tied[id] {
			pinned = j.tagTarget(t, &j.r.tags[t]) || pinned
		}
	}
	return pinned
}

// by names the manifest whose references are being followed.
func (j *judgement) by() citation {
	if j.r == nil {
		return citation{}
	}
	return citation{j.ri + 1, j.nodes[j.at].id}
}

// need marks id as referred to by a kept manifest of the repository.
func (j *judgement) need(id uint32) {
	j.needed[id] = j.mark
	j.refer(id)
}

// needHere marks id and what it stands for in the repository.
func (j *judgement) needHere(id uint32) {
	j.need(id)
	j.need(j.r.resolve(id))
}

// first reports whether id is examined for the first time in the repository.
func (j *judgement) first(id uint32) bool {
	was := j.examined[id]
	j.examined[id] = j.mark
	return was != j.mark
}

// doubt notes that nobody can say whether what needs id can be pulled.
func (j *judgement) doubt(id uint32) {
	j.bad[id] = append(j.bad[id], unknown)
	j.unjudged[id] = j.blobKey(id)
	j.hurt = true
}

// blob keeps a config or layer, and reports what keeps it from being served.
// It reports whether that pins the repository.
func (j *judgement) blob(id uint32) (pinned bool) {
	j.need(id)
	if !j.first(id) {
		return false
	}
	if j.standsFor(j.r, id) {
		return j.aliased(id)
	}
	if j.cache && (!j.present(id) || !j.r.hasLayer(id)) {
		j.totals.CacheAbsent++
		return false
	}
	p := place{kind: layout.LayerLink, id: id}
	switch {
	case j.uncertain(id):
		j.doubt(id)
	case !j.present(id):
		j.global(problem{id: finding.BlobMissing, obj: id, by: j.by(), cure: j.cureOfBlob(id, finding.CureWithdrawAsk)})
	case j.isArchived(id):
		j.inArchive(id, j.by())
	case j.wrong(id):
		j.corrupt(id)
	}
	stands := j.present(id) || j.rebuilds(id)
	if o, ok := j.r.odd[p]; ok {
		j.oddLink(p, o, stands)
	} else if stands && !j.r.hasLayer(id) {
		j.local(problem{id: finding.LayerLinkMissing, kind: p.kind, obj: id, by: j.by(), cure: finding.CureRebuild})
	}
	return false
}

// claimed keeps a blob that no registry looks for when a manifest is pushed that
// refers to it, or uploaded as a blob. Only a link proves that it was pushed here: without one it is another
// repository's, for all that is known, and is never linked.
func (j *judgement) claimed(id uint32) (pinned bool) {
	_, foreign := j.names[id]
	if j.r.links(id) {
		return j.blob(id)
	}
	j.needHere(id)
	switch {
	case foreign: // it may be any blob that the repository links
		return !j.cache
	case j.cache:
		j.totals.CacheAbsent++
	case j.uncertain(id) || j.r.blind:
		j.doubt(id)
	case j.nodes[j.at].kind == manifest.Index:
		p := problem{id: finding.IndexChildMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone}
		if j.present(id) && !j.uploaded(j.nodes[j.at].id) {
			p.cure = finding.CureWriteAsk
		}
		j.local(p)
	default:
		j.local(problem{
			id: finding.LayerLinkMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone,
			detail: "no registry looked for it when its manifest came here, so nothing proves that it belongs here",
		})
	}
	return false
}

// wrong reports whether the blob's bytes are known not to hash to its digest.
func (g *graph) wrong(id uint32) bool {
	return g.verified[id].State == walker.HashWrong || g.stateAt(id) == walker.ManifestCorrupt
}

// uncertain reports whether nobody can say of a blob whether it is there and what
// it holds: it could not be read, or was listed and then not found.
func (g *graph) uncertain(id uint32) bool {
	state := g.stateAt(id)
	return state == walker.ManifestUnreadable || state == walker.ManifestMissing && int(id) < g.len() ||
		g.verified[id].State == walker.HashUnreadable || g.unsure[spot{none, place{kind: layout.Blob, id: id}}]
}

func (j *judgement) corrupt(id uint32) {
	detail := ""
	if j.sizeOf(id) == 0 {
		detail = "the stored file is empty"
	}
	j.global(problem{id: finding.BlobCorrupt, obj: id, by: j.by(), cure: j.cureOfBlob(id, finding.CureMoveAsk), detail: detail})
}

// aliased keeps what a digest of another algorithm stands for here. A registry
// serves it if that has a link of its own. Where no link says what the digest
// stands for, it may be any blob that the repository links: that pins.
func (j *judgement) aliased(id uint32) (pinned bool) {
	a := j.r.aliasOf(id)
	switch {
	case a == nil && j.cache:
		j.totals.CacheAbsent++
	case a == nil:
		j.local(problem{id: finding.BlobMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone, detail: "no link says what this digest stands for"})
		return true
	case a.target != none: // else it is reported with the aliases, and pins
		return j.blob(a.target)
	}
	return false
}

// child follows an index's entry. Without a revision link here it can't be
// served; what it refers to is kept all the same as long as the index is. An
// entry that may be either is a blob only if its bytes were read and are no
// manifest, or if the repository links it as a blob.
func (j *judgement) child(e edge) (pinned bool) {
	id, state := e.id(), j.stateAt(e.id())
	switch j.in(j.r, j.nodes[j.at].id).entry(e) {
	case entryAliased:
		pinned = j.blob(id)
		return j.aliasedChild(j.r.aliasOf(id)) || pinned
	case entryUnexplained: // nothing here can be known of it, nor of what it needs
		j.need(id)
		return true
	case entryServed:
		j.root(id)
		if e.role() == manifest.Either && j.r.hasLayer(id) {
			j.need(id)
		}
		return false
	case entryUncertain:
		j.need(id)
		j.doubt(id)
		return true
	case entryLayer:
		j.keepDim(id)
		pinned = j.blob(id)
		return pinned || state == walker.ManifestCorrupt || state == walker.ManifestArchived
	case entryBlob:
		return j.claimed(id)
	case entryProven:
		j.rebuildRevision(id, j.by())
		j.root(id)
		return false
	}
	j.sparse(id)
	return brokenState(state)
}

// aliasedChild keeps what a child that is named by another algorithm's digest
// needs, if it is a manifest. A revision of the repository is served by that name too.
func (j *judgement) aliasedChild(a *alias) (pinned bool) {
	if a.target == none {
		return false
	}
	j.keepHere(a.target)
	state := j.stateAt(a.target)
	return j.uncertain(a.target) || brokenState(state) && state != walker.ManifestUnparsable
}

// brokenState reports whether a manifest is there and can't be understood, so
// that nobody knows what it needs.
func brokenState(s walker.ManifestState) bool {
	return s == walker.ManifestCorrupt || s == walker.ManifestUnparsable || s == walker.ManifestArchived || s == walker.ManifestUnreadable
}

// sparse reports a child that the repository hasn't got, and keeps what is
// there of it.
func (j *judgement) sparse(id uint32) {
	j.keepDim(id)
	if !j.first(id) {
		return
	}
	if j.cache {
		j.totals.CacheAbsent++
		return
	}
	if j.r.blind { // the links that could prove it may be among what wasn't read
		j.doubt(id)
		return
	}
	p := problem{id: finding.IndexChildMissing, kind: layout.Revision, obj: id, by: j.by(), cure: finding.CureNone}
	if j.stateAt(id) == walker.ManifestGood && !j.uploaded(j.nodes[j.at].id) {
		p.cure = finding.CureWriteAsk
	}
	j.local(p)
}

// keepDim keeps what a manifest refers to without asking whether the
// repository can serve it.
func (j *judgement) keepDim(id uint32) {
	j.refer(id)
	j.needLink(id)
	if n := j.nodeOf[id]; n != 0 && j.dimmed[n-1] != j.mark {
		j.dimmed[n-1] = j.mark
		j.dim = append(j.dim, n-1)
	}
}

// keepHere keeps a manifest that nothing proves to be the repository's: it is a
// root if the repository has it, and else kept with all that it refers to.
func (j *judgement) keepHere(id uint32) {
	if j.r.serves(id) {
		j.root(id)
	}
	j.keepDim(id)
}

// unread keeps what could be meant by a reference that no registry reads. Nothing
// of it is missed, and what is broken of it pins nothing: whoever may push could
// have put any digest there.
func (j *judgement) unread(e edge) {
	id := e.id()
	j.needHere(id)
	if !e.isEntry() {
		return
	}
	j.keepHere(id)
	j.keepHere(j.r.resolve(id))
}

// reachAll follows all roots, and then what is kept without being served, until
// neither brings up anything new. What of that the repository could serve is a
// root again. It reports whether something on the way pins the repository.
func (j *judgement) reachAll() (pinned bool) {
	for len(j.todo)+len(j.dim) > 0 {
		pinned = j.reach() || pinned
		for len(j.dim) > 0 {
			n := &j.nodes[j.dim[len(j.dim)-1]]
			j.dim = j.dim[:len(j.dim)-1]
			for e := range j.in(j.r, n.id).references {
				pinned = j.dimmer(e) || pinned
			}
			pinned = j.referrers(n.id) || pinned
		}
	}
	return pinned
}

// dimmer keeps one reference of a manifest that is kept without being served.
func (j *judgement) dimmer(e edge) (pinned bool) {
	id := e.id()
	if !e.read() {
		j.unread(e)
		return false
	}
	j.needHere(id)
	if j.standsFor(j.r, id) && !j.r.hasRevision(id) { // as in aliased and child
		a := j.r.aliasOf(id)
		if a != nil && e.isEntry() {
			return j.aliasedChild(a)
		}
		return a == nil && e.role() != manifest.MayBeAbsent
	}
	if !e.isEntry() {
		return false
	}
	j.keepHere(id)
	return brokenState(j.stateAt(id)) && (e.role() == manifest.Child || j.stateAt(id) != walker.ManifestUnparsable)
}

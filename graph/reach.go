package graph

import (
	"cmp"
	"iter"
	"slices"

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
		for _, e := range j.refs(n) {
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
	for m := range j.about(id) {
		if j.r.serves(m) && !j.cut.names(m) {
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

// about are the manifests of the whole store that have id as their subject.
func (j *judgement) about(id uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		of := func(s subject, id uint32) int { return cmp.Compare(s.of, id) }
		from, _ := slices.BinarySearchFunc(j.subjects, id, of)
		for _, s := range j.subjects[from:] {
			if s.of != id || !yield(j.nodes[s.node].id) {
				return
			}
		}
	}
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
	if a := j.r.aliasOf(id); a != nil && a.target != none {
		j.need(a.target)
	}
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
		if j.present(id) {
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
func (j *judgement) wrong(id uint32) bool {
	return j.verified[id].State == walker.HashWrong || j.stateAt(id) == walker.ManifestCorrupt
}

// uncertain reports whether nobody can say of a blob whether it is there and what
// it holds: it could not be read, or was listed and then not found.
func (j *judgement) uncertain(id uint32) bool {
	state := j.stateAt(id)
	return state == walker.ManifestUnreadable || state == walker.ManifestMissing && int(id) < j.len() ||
		j.verified[id].State == walker.HashUnreadable || j.unsure[spot{none, place{kind: layout.Blob, id: id}}]
}

func (j *judgement) corrupt(id uint32) {
	detail := ""
	if j.sizeOf(id) == 0 {
		detail = "the stored file is empty"
	}
	j.global(problem{id: finding.BlobCorrupt, obj: id, by: j.by(), cure: j.cureOfBlob(id, finding.CureMoveAsk), detail: detail})
}

// standsFor reports whether a digest of another algorithm is, in the repository,
// only a name for another: an alias, or nothing that is stored by itself.
func (g *graph) standsFor(r *repo, id uint32) bool {
	return g.isForeign(id) && !r.hasLayer(id) && (r.aliasOf(id) != nil || !g.present(id))
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
	id := e.id()
	state := j.stateAt(id)
	either := e.role() == manifest.Either
	switch {
	case j.r.aliasOf(id) != nil:
		pinned = j.blob(id)
		return j.aliasedChild(j.r.aliasOf(id)) || pinned
	case j.standsFor(j.r, id) && !j.r.hasRevision(id): // nothing here can be known of it, nor of what it needs
		j.need(id)
		return true
	case j.r.hasRevision(id):
		j.root(id)
		if either && j.r.hasLayer(id) {
			j.need(id)
		}
		return false
	case j.uncertain(id):
		j.need(id)
		j.doubt(id)
		return true
	case either && j.r.hasLayer(id):
		j.keepDim(id)
		pinned = j.blob(id)
		return pinned || state == walker.ManifestCorrupt || state == walker.ManifestArchived
	case either && j.present(id) && (state == walker.ManifestUnparsable || state == walker.ManifestUnread):
		return j.claimed(id)
	case state == walker.ManifestGood && j.proven(id):
		j.rebuildRevision(id, j.by())
		j.root(id)
		return false
	}
	j.sparse(id)
	return brokenState(state)
}

// aliasedChild keeps what a child that is named by another algorithm's digest
// needs, if it is a manifest.
func (j *judgement) aliasedChild(a *alias) (pinned bool) {
	if a.target == none {
		return false
	}
	j.keepDim(a.target)
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
	if j.stateAt(id) == walker.ManifestGood {
		p.cure = finding.CureWriteAsk
	}
	j.local(p)
}

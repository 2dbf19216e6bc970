package graph

import (
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// root keeps the manifest under id in the repository, and what it leads to
// once reach is called.
func (j *judgement) root(id uint32) {
	j.referenced.add(id)
	if n := j.nodeOf[id]; n != 0 && j.reached[n-1] != j.mark {
		j.reached[n-1] = j.mark
		j.todo = append(j.todo, n-1)
	}
}

// reach follows the references of all roots: an index's children in this
// repository, config and layers, and whatever has a reached manifest as its
// subject. It tells whether something on the way pins the repository.
func (j *judgement) reach() (pinned bool) {
	for len(j.todo) > 0 {
		j.at = j.todo[len(j.todo)-1]
		n := &j.nodes[j.at]
		j.todo = j.todo[:len(j.todo)-1]
		for _, e := range j.refs(n) {
			switch e.role() {
			case manifest.Config, manifest.Layer:
				pinned = j.blob(e.id()) || pinned
			case manifest.MayBeAbsent:
				j.optional(e.id())
			case manifest.Child, manifest.Either:
				pinned = j.child(e) || pinned
			}
		}
		j.referrers(n.id)
	}
	return pinned
}

// referrers keeps the repository's manifests that have id as their subject.
func (j *judgement) referrers(id uint32) {
	from, _ := slices.BinarySearchFunc(j.subjects, id, func(s subject, id uint32) int { return int(int64(s.of) - int64(id)) })
	for _, s := range j.subjects[from:] {
		if s.of != id {
			return
		}
		if j.r.hasRevision(j.nodes[s.node].id) {
			j.root(j.nodes[s.node].id)
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

// need marks id as referred to by a kept manifest of the repository and tells
// whether it is the first time.
func (j *judgement) need(id uint32) bool {
	if j.needed[id] == j.mark {
		return false
	}
	j.needed[id] = j.mark
	j.referenced.add(id)
	return true
}

// optional keeps a layer that may legally be absent, if it is there.
func (j *judgement) optional(id uint32) { j.need(id) }

// blob keeps a config or layer, and reports what keeps it from being served.
// It tells whether that pins the repository.
func (j *judgement) blob(id uint32) (pinned bool) {
	if !j.need(id) {
		return false
	}
	if _, ok := j.names[id]; ok {
		return j.aliased(id)
	}
	if j.cache && (!j.present(id) || !j.r.hasLayer(id)) {
		j.totals.CacheAbsent++
		return false
	}
	p := place{kind: layout.LayerLink, id: id}
	o, isOdd := j.r.odd[p]
	switch {
	case !j.present(id):
		j.global(problem{id: BlobMissing, obj: id, by: j.by(), cure: CureNone})
	case j.verified[id].State == walker.HashWrong:
		j.corrupt(id)
	case !j.r.hasLayer(id):
		j.local(problem{id: LayerLinkMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: CureRebuild})
	}
	if isOdd {
		j.oddLink(p, o, j.present(id))
	}
	return false
}

func (j *judgement) corrupt(id uint32) {
	detail := ""
	if j.sizeOf(id) == 0 {
		detail = "the stored file is empty"
	}
	j.global(problem{id: BlobCorrupt, obj: id, by: j.by(), cure: CureMoveAsk, detail: detail})
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
		j.local(problem{id: BlobMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: CureNone, detail: "no link says what this digest stands for"})
		return true
	case a.target != none: // else it is reported with the aliases, and pins
		return j.blob(a.target)
	}
	return false
}

// child follows an index's entry. Without a revision link here it can't be
// served; what it refers to is kept all the same as long as the index is.
func (j *judgement) child(e edge) (pinned bool) {
	id := e.id()
	state := j.stateAt(id)
	switch {
	case j.r.hasRevision(id):
		j.root(id)
		if e.role() == manifest.Either && j.r.hasLayer(id) {
			j.need(id)
		}
	case e.role() == manifest.Either && state != walker.ManifestGood && (j.present(id) || j.r.hasLayer(id)):
		return j.blob(id)
	case e.role() == manifest.Either && j.r.hasLayer(id):
		j.keepDim(id)
		return j.blob(id)
	case state == walker.ManifestGood && j.proven(id):
		j.rebuildRevision(id, j.by())
		j.root(id)
	default:
		j.sparse(id)
		return state == walker.ManifestCorrupt || state == walker.ManifestUnparsable || state == walker.ManifestUnreadable
	}
	return false
}

// sparse reports a child that the repository hasn't got, and keeps what is
// there of it.
func (j *judgement) sparse(id uint32) {
	j.keepDim(id)
	if j.cache {
		j.totals.CacheAbsent++
		return
	}
	if j.r.blind { // the links that could prove it may be among what wasn't read
		j.bad[id] = append(j.bad[id], unknown)
		j.hurt = true
		return
	}
	p := problem{id: IndexChildMissing, kind: layout.Revision, obj: id, by: j.by(), cure: CureNone}
	if j.stateAt(id) == walker.ManifestGood {
		p.cure = CureWriteAsk
	}
	j.local(p)
}

// maxProof bounds how many references are followed to prove one manifest.
const maxProof = 10_000

// proven tells whether the repository's own links prove that the manifest
// under id was pushed to it: every blob it refers to is linked here, and every
// child of an index is served here or proven likewise.
func (j *judgement) proven(id uint32) bool {
	rest := maxProof
	return j.provenWithin(id, &rest)
}

func (j *judgement) provenWithin(id uint32, rest *int) bool {
	n := j.nodeAt(id)
	if n == nil || n.state != walker.ManifestGood {
		return false
	}
	evidence := false
	for _, e := range j.refs(n) {
		if *rest--; *rest < 0 {
			return false
		}
		switch e.role() {
		case manifest.Config, manifest.Layer:
			if !j.r.hasLayer(e.id()) && j.r.aliasOf(e.id()) == nil {
				return false
			}
			evidence = true
		case manifest.Child, manifest.Either:
			if !j.r.hasRevision(e.id()) && !j.r.hasLayer(e.id()) && !j.provenWithin(e.id(), rest) {
				return false
			}
			evidence = true
		}
	}
	return evidence
}

// keepDim keeps what a manifest refers to without asking whether the
// repository can serve it.
func (j *judgement) keepDim(id uint32) {
	j.referenced.add(id)
	if int(id) >= len(j.nodeOf) || j.nodeOf[id] == 0 {
		return
	}
	n := j.nodeOf[id] - 1
	if j.reached[n] != j.mark && j.dimmed[n] != j.mark {
		j.dimmed[n] = j.mark
		j.dim = append(j.dim, n)
	}
}

func (j *judgement) reachDim() {
	for len(j.dim) > 0 {
		n := j.dim[len(j.dim)-1]
		j.dim = j.dim[:len(j.dim)-1]
		for _, e := range j.refs(&j.nodes[n]) {
			if e.role() == manifest.Subject {
				continue
			}
			j.need(e.id())
			if a := j.r.aliasOf(e.id()); a != nil && a.target != none {
				j.need(a.target)
			}
			if r := e.role(); r == manifest.Child || r == manifest.Either {
				j.keepDim(e.id())
			}
		}
	}
}

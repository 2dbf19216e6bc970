package graph

import (
	"regfsck/walker"
	"regfsck/walker/manifest"
)

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
			if !j.r.hasRevision(e.id()) && !j.r.hasLayer(e.id()) && j.r.aliasOf(e.id()) == nil && !j.provenWithin(e.id(), rest) {
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
	j.refer(id)
	j.needLink(id)
	if n := j.nodeOf[id]; n != 0 && j.dimmed[n-1] != j.mark {
		j.dimmed[n-1] = j.mark
		j.dim = append(j.dim, n-1)
	}
}

// reachAll follows all roots, and then what is kept without being served, until
// neither brings up anything new. What of that the repository could serve is a
// root again. It tells whether something on the way pins the repository.
func (j *judgement) reachAll() (pinned bool) {
	for len(j.todo)+len(j.dim) > 0 {
		pinned = j.reach() || pinned
		for len(j.dim) > 0 {
			n := &j.nodes[j.dim[len(j.dim)-1]]
			j.dim = j.dim[:len(j.dim)-1]
			for _, e := range j.refs(n) {
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
	if e.role() == manifest.Subject {
		return false
	}
	j.needHere(id)
	if j.standsFor(j.r, id) && !j.r.hasRevision(id) { // as in aliased and child
		a := j.r.aliasOf(id)
		if a != nil && (e.role() == manifest.Child || e.role() == manifest.Either) {
			return j.aliasedChild(a)
		}
		return a == nil && e.role() != manifest.MayBeAbsent
	}
	if e.role() != manifest.Child && e.role() != manifest.Either {
		return false
	}
	if j.r.hasRevision(id) {
		j.root(id)
	}
	j.keepDim(id)
	return brokenState(j.stateAt(id)) && (e.role() == manifest.Child || j.stateAt(id) != walker.ManifestUnparsable)
}

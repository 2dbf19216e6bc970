package graph

import (
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// maxProof bounds how many references are followed to prove one manifest.
const maxProof = 10_000

// proven reports whether the repository's own links prove that the manifest
// under id was pushed to it: every blob that a registry finds referred to in it is
// linked here, and every child of an index is served here or proven likewise. What
// anybody can push, as it is in every second image, proves nothing.
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
		if !e.read() {
			continue
		}
		switch e.role() {
		case manifest.Config, manifest.Layer, manifest.Claimed:
			if !j.r.links(e.id()) {
				return false
			}
			stands := e.id()
			if a := j.r.aliasOf(stands); a != nil && a.target != none {
				stands = a.target
			}
			_, common := wellKnown[j.anyOf(stands)]
			evidence = evidence || !common
		case manifest.Child, manifest.Either:
			if !j.r.hasRevision(e.id()) && !j.r.links(e.id()) && !j.provenWithin(e.id(), rest) {
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

// keepHere keeps a manifest that nothing proves to be the repository's: it is a
// root if the repository has it, and else kept with all that it refers to.
func (j *judgement) keepHere(id uint32) {
	if j.r.hasRevision(id) {
		j.root(id)
	}
	j.keepDim(id)
}

// unread keeps what could be meant by a reference that no registry reads. Nothing
// of it is missed, and what is broken of it pins nothing: whoever may push could
// have put any digest there.
func (j *judgement) unread(e edge) {
	id := e.id()
	if e.role() == manifest.Subject {
		return
	}
	j.needHere(id)
	if !e.isEntry() {
		return
	}
	j.keepHere(id)
	if a := j.r.aliasOf(id); a != nil && a.target != none {
		j.keepHere(a.target)
	}
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

package graph

import (
	"regfsck/walker"
	"regfsck/walker/manifest"
)

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

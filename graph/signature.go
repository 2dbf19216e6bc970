package graph

import (
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// Bereft is a tag sha256-<hex>… that loses what it is about to a removal: it is in
// another repository, and doesn't go along.
type Bereft struct {
	Repository, Tag string
	Subject         layout.Digest
}

// Ref returns the tag's usual notation, "repo:tag".
func (b Bereft) Ref() string { return b.Repository + ":" + b.Tag }

// otherRegistry is why nothing is offered for the signatures of a repository that holds
// nothing else.
const otherRegistry = "its repository holds nothing but such tags, and none of their images is in this store: they may be in another registry"

// orphanedSignatures reports the tags sha256-<hex>… of manifests that are nowhere in
// the store: signatures can have a repository of their own (cosign's
// COSIGN_REPOSITORY). Where that holds nothing else, and not one image of theirs is
// here, it may serve another registry, and nothing of it is offered to go.
func (j *judgement) orphanedSignatures() {
	if j.cache || j.noOrphans { // then nobody can say what isn't there
		return
	}
	there := j.imagesThere(nil)
	for i := range j.repos {
		j.ri, j.r = uint32(i), &j.repos[i]
		var gone []uint32
		for t := range j.r.tags {
			if d, ok := layout.SubjectOf(j.r.tags[t].name); ok {
				if id := j.knownID(d); id == none || !there.has(id) {
					gone = append(gone, uint32(t))
				}
			}
		}
		p := problem{id: finding.SignatureOrphaned, kind: layout.TagCurrent, cure: finding.CureRemoveAsk}
		if len(gone) == len(j.r.tags) {
			p.cure, p.detail = finding.CureNone, otherRegistry
		}
		for _, t := range gone {
			p.tag, p.obj = t, j.r.tags[t].target
			j.local(p)
		}
	}
}

// imagesThere are the manifests that anything in the store has: a link of a
// repository, a tag, or what is kept. gone are links that are not to count.
func (j *judgement) imagesThere(gone map[spot]bool) bitset {
	there := newBitset(j.len() + len(j.past))
	for i := range j.repos {
		r, repo := &j.repos[i], uint32(i)
		for _, v := range r.revisions {
			if !gone[spot{repo, place{kind: layout.Revision, id: v.id}}] {
				there.add(v.id)
			}
		}
		for t := range r.tags {
			if target := r.tags[t].target; target != none && !gone[spot{repo, place{kind: layout.TagCurrent, tag: uint32(t)}}] {
				there.add(target)
			}
		}
	}
	for id := range uint32(j.len() + len(j.past)) {
		if j.referenced.has(id) || j.young.has(id) { // or is being pushed
			there.add(id)
		}
	}
	return there
}

// bereft returns the signatures that stay and whose images go with the removal.
func (j *judgement) bereft() (all []Bereft) {
	gone := map[spot]bool{}
	for i := range j.problems {
		switch p := &j.problems[i]; p.id {
		case finding.RepositoryRemoved, finding.TagRemoved, finding.TagUnneeded, finding.ManifestRemoved, finding.ManifestUnneeded, finding.ManifestUntagged:
			s := spot{p.repo, place{kind: p.kind, tag: p.tag}}
			if p.kind == layout.Revision {
				s.id = p.obj
			}
			gone[s] = true
		}
	}
	before, after := j.before.imagesThere(nil), j.imagesThere(gone)
	for i := range j.repos {
		r := &j.repos[i]
		for t := range r.tags {
			d, ok := layout.SubjectOf(r.tags[t].name)
			if !ok || gone[spot{uint32(i), place{kind: layout.TagCurrent, tag: uint32(t)}}] {
				continue
			}
			if id := j.knownID(d); id != none && before.has(id) && !after.has(id) {
				all = append(all, Bereft{r.name, r.tags[t].name, d})
			}
		}
	}
	return all
}

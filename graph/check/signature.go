package check

import (
	"regfsck/graph"
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
func (j *checker) orphanedSignatures() {
	if j.Cache || j.NoOrphans { // then nobody can say what isn't there
		return
	}
	there := j.imagesThere(nil)
	for i := range j.Repos {
		j.CurrentID, j.Current = uint32(i), &j.Repos[i]
		var gone []uint32
		for t := range j.Current.Tags {
			if d, ok := layout.SubjectOf(j.Current.Tags[t].Name); ok {
				if id := j.KnownID(d); id == graph.None || !there.Has(id) {
					gone = append(gone, uint32(t))
				}
			}
		}
		p := problem{id: finding.SignatureOrphaned, kind: layout.TagCurrent, cure: finding.CureRemoveAsk}
		if len(gone) == len(j.Current.Tags) {
			p.cure, p.detail = finding.CureNone, otherRegistry
		}
		for _, t := range gone {
			p.tag, p.obj = t, j.Current.Tags[t].Target
			j.local(p)
		}
	}
}

// imagesThere are the manifests that anything in the store has: a link of a
// repository, a tag, or what is kept. gone are links that are not to count.
func (j *checker) imagesThere(gone map[graph.Ref]bool) graph.Bitset {
	there := graph.NewBitset(j.Len() + len(j.Unlisted))
	for i := range j.Repos {
		r, repo := &j.Repos[i], uint32(i)
		for _, v := range r.Revisions {
			if !gone[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] {
				there.Add(v.ID)
			}
		}
		for t := range r.Tags {
			if target := r.Tags[t].Target; target != graph.None && !gone[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.TagCurrent, Tag: uint32(t)}}] {
				there.Add(target)
			}
		}
	}
	for id := range uint32(j.Len() + len(j.Unlisted)) {
		if j.Referenced.Has(id) || j.InGrace.Has(id) { // or is being pushed
			there.Add(id)
		}
	}
	return there
}

// bereft returns the signatures that stay and whose images go with the removal.
func (j *checker) bereft() (all []Bereft) {
	gone := map[graph.Ref]bool{}
	for i := range j.problems {
		switch p := &j.problems[i]; p.id {
		case finding.RepositoryRemoved, finding.TagRemoved, finding.TagUnneeded, finding.ManifestRemoved, finding.ManifestUnneeded, finding.ManifestUntagged:
			s := graph.Ref{Repo: p.repo, Link: graph.Link{Kind: p.kind, Tag: p.tag}}
			if p.kind == layout.Revision {
				s.ID = p.obj
			}
			gone[s] = true
		}
	}
	before, after := j.before.imagesThere(nil), j.imagesThere(gone)
	for i := range j.Repos {
		r := &j.Repos[i]
		for t := range r.Tags {
			d, ok := layout.SubjectOf(r.Tags[t].Name)
			if !ok || gone[graph.Ref{Repo: uint32(i), Link: graph.Link{Kind: layout.TagCurrent, Tag: uint32(t)}}] {
				continue
			}
			if id := j.KnownID(d); id != graph.None && before.Has(id) && !after.Has(id) {
				all = append(all, Bereft{r.Name, r.Tags[t].Name, d})
			}
		}
	}
	return all
}

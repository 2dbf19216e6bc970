package graph

import (
	"slices"

	"regfsck/walker/layout"
)

// Untagged finds the manifests of a store to which no tag leads.
type Untagged struct {
	scan  *Scan
	marks *marks        // what a fix keeps with Policy.Untagged
	goes  map[spot]bool // the revisions that it would take
}

// FindUntagged marks the store as a fix with Policy.Untagged does.
func FindUntagged(s *Scan) *Untagged {
	u := &Untagged{s, newMarks(s.g, policyOf(s, Policy{Untagged: true}), nil), map[spot]bool{}}
	for i := range s.g.repos {
		u.marks.repository(uint32(i))
		for _, v := range s.g.repos[i].revisions {
			if u.marks.untaggedGoes(v.id) {
				u.goes[spot{uint32(i), place{kind: layout.Revision, id: v.id}}] = true
			}
		}
	}
	return u
}

// In returns the manifests of a repository to which no tag leads, neither by an
// index nor as what is about it, by digest: each a Tagged without a name, pushed
// when its link or the newest entry for it in a tag's history was written. Those
// that a fix with Policy.Untagged would keep all the same are in doubt.
func (u *Untagged) In(repository string) (all []Tagged) {
	g := u.scan.g
	at, ok := g.repoID[repository]
	if !ok {
		return nil
	}
	r := &g.repos[at]
	var targets []uint32
	for _, t := range r.tags {
		if t.target != none {
			targets = append(targets, t.target)
		}
	}
	tagged := g.ledTo(r, targets)
	pushed := map[uint32]uint32{}
	for _, h := range r.history {
		pushed[h.id] = max(pushed[h.id], h.modified)
	}
	for _, v := range r.revisions {
		if !tagged[v.id] {
			all = append(all, Tagged{
				Digest: g.digestOf(v.id), Doubt: u.doubt(at, v), Pushed: timeOf(max(v.modified, pushed[v.id])),
			})
		}
	}
	slices.SortFunc(all, func(a, b Tagged) int { return a.Digest.Compare(b.Digest) })
	return all
}

// doubt says why a fix would keep a revision that no tag leads to, "" where it
// wouldn't.
func (u *Untagged) doubt(repository uint32, v revision) string {
	g := u.scan.g
	if doubt := g.doubtOf(v.id); doubt != "" {
		return doubt
	}
	if g.isForeign(v.id) {
		return "its digest is by another algorithm than sha256"
	}
	if u.goes[spot{repository, place{kind: layout.Revision, id: v.id}}] {
		return ""
	}
	for i := range g.repos[repository].tags {
		if t := &g.repos[repository].tags[i]; t.target == none {
			return "the tag " + t.name + " may mean it"
		}
	}
	switch {
	case u.marks.isYoung(v):
		return "it was pushed within the grace period, and a push may be under way"
	case u.marks.unclearSubject(v.id):
		return "its subject is named by another algorithm's digest"
	}
	return "something of its repository is broken, or leads to it"
}

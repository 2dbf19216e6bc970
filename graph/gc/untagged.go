package gc

import (
	"slices"

	"regfsck/graph"
	"regfsck/walker/layout"
)

// Untagged finds the manifests of a store to which no tag leads.
type Untagged struct {
	scan  *graph.Scan
	marks *Marks             // what a fix keeps with Policy.Untagged
	goes  map[graph.Ref]bool // the revisions that it would take
}

// FindUntagged marks the store as a fix with Policy.Untagged does.
func FindUntagged(s *graph.Scan) *Untagged {
	u := &Untagged{s, NewMarks(s.Graph, TermsOf(s, Policy{Untagged: true}), nil), map[graph.Ref]bool{}}
	for i := range s.Graph.Repos {
		u.marks.MarkRepository(uint32(i))
		for _, v := range s.Graph.Repos[i].Revisions {
			if u.marks.IsUntaggedGarbage(v.ID) {
				u.goes[graph.Ref{Repo: uint32(i), Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] = true
			}
		}
	}
	return u
}

// In returns the manifests of a repository to which no tag leads, neither by an
// index nor as what is about it, by digest: each a Tagged without a name, pushed
// when its link or the newest entry for it in a tag's history was written. Those
// that a fix with Policy.Untagged would keep all the same are in doubt.
func (u *Untagged) In(repository string) (all []graph.Tagged) {
	g := u.scan.Graph
	at, ok := g.RepoID[repository]
	if !ok {
		return nil
	}
	r := &g.Repos[at]
	tagged := graph.ReachableFrom(g, r, slices.Collect(r.Targets))
	pushed := map[uint32]uint32{}
	for _, h := range r.History {
		pushed[h.ID] = max(pushed[h.ID], h.Modified)
	}
	for _, v := range r.Revisions {
		if !tagged[v.ID] {
			all = append(all, graph.Tagged{
				Digest: g.DigestOf(v.ID), Doubt: u.doubt(at, v), Pushed: graph.TimeOf(max(v.Modified, pushed[v.ID])),
			})
		}
	}
	slices.SortFunc(all, func(a, b graph.Tagged) int { return a.Digest.Compare(b.Digest) })
	return all
}

// doubt says why a fix would keep a revision that no tag leads to, "" where it
// wouldn't.
func (u *Untagged) doubt(repository uint32, v graph.Revision) string {
	g := u.scan.Graph
	if doubt := g.DoubtOf(v.ID); doubt != "" {
		return doubt
	}
	if g.IsForeign(v.ID) {
		return "its digest is by another algorithm than sha256"
	}
	if u.goes[graph.Ref{Repo: repository, Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] {
		return ""
	}
	for i := range g.Repos[repository].Tags {
		if t := &g.Repos[repository].Tags[i]; t.Target == graph.None {
			return "the tag " + t.Name + " may point to it"
		}
	}
	switch {
	case u.marks.RevisionInGrace(v):
		return "it is newer than --grace, and a push may be running"
	case u.marks.UnclearSubject(v.ID):
		return "its subject is named by another algorithm's digest"
	}
	return "something in its repository is broken, or references it"
}

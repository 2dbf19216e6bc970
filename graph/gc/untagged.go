package gc

import (
	"slices"

	"regfsck/graph"
	"regfsck/walker/layout"
)

// Untagged finds the untagged manifests of a store.
type Untagged struct {
	scan    *graph.Scan
	marks   *Marks             // the marks of Policy.Untagged
	removed map[graph.Ref]bool // the revisions that it would remove
}

// FindUntagged marks the store under Policy.Untagged.
func FindUntagged(s *graph.Scan) *Untagged {
	u := &Untagged{s, NewMarks(s.Graph, TermsOf(s, Policy{Untagged: true}), nil), map[graph.Ref]bool{}}
	for i := range s.Graph.Repos {
		u.marks.MarkRepository(uint32(i))
		for _, v := range s.Graph.Repos[i].Revisions {
			if u.marks.IsUntaggedGarbage(v.ID) {
				u.removed[graph.Ref{Repo: uint32(i), Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] = true
			}
		}
	}
	return u
}

// In returns a repository's manifests to which no tag leads, directly, by an index or as a
// referrer, by digest: each a Tagged without a name, pushed at the time of its link or of its
// newest history entry. Those that Policy.Untagged would keep have a Doubt.
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

// doubt returns why a fix would keep an untagged revision, "" if it wouldn't.
func (u *Untagged) doubt(repository uint32, v graph.Revision) string {
	g := u.scan.Graph
	if doubt := g.DoubtOf(v.ID); doubt != "" {
		return doubt
	}
	if g.IsForeign(v.ID) {
		return "its digest is by another algorithm than sha256"
	}
	if u.removed[graph.Ref{Repo: repository, Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] {
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

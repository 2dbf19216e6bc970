package gc

import (
	"maps"
	"regfsck/graph"
	"regfsck/walker"
	"slices"
)

// explainer explains why something of the current repository is kept.
type explainer struct {
	*graph.Graph
	*RepositoryMarks
}

// rejections returns the requests that can't be met, with the reasons.
func (m explainer) rejections() (all []Rejection) {
	for _, id := range slices.SortedFunc(maps.Keys(m.Removed.Requested), m.CompareIDs) {
		if !m.RemovesManifest(id) {
			all = append(all, Rejection{m.Current.Name + "@" + m.NameOf(id), m.WhyKept[id]})
		}
	}
	return all
}

// whyKept returns, for manifests that were to be removed but are kept, the reason: a pin, the
// first tag, an index, or their subject.
func (m explainer) whyKept() map[uint32]string {
	who := map[uint32]string{}
	asked := map[uint32]bool{}
	for t := range m.Removed.Tags {
		asked[m.Current.Tags[t].Target] = true
	}
	for id := range m.Removed.Requested {
		asked[id] = true
	}
	keep := func(id uint32, why string) {
		if _, told := who[id]; !told && asked[id] && id != graph.None && m.IsReached(id) {
			who[id] = why
		}
	}
	for i := range m.Current.Tags {
		if t := &m.Current.Tags[i]; t.Target != graph.None && !m.RemovesTag(uint32(i)) {
			keep(t.Target, "the tag "+t.Name+" points to it")
		}
	}
	for _, v := range m.Current.Revisions {
		if !m.IsReached(v.ID) {
			continue
		}
		for e, id := range m.In(m.Current, v.ID).Needs {
			if e.IsEntry() {
				keep(id, "the index "+m.NameOf(v.ID)+" names it")
			}
		}
		for referrer := range m.In(m.Current, v.ID).Referrers {
			keep(referrer, "its subject "+m.NameOf(v.ID)+" is kept")
		}
	}
	last, pin := m.mayMean(), ""
	if m.Pinned {
		pin = m.pin(m.Current, m.RemovesTag) + ", and until that is fixed only tags are removed here"
	}
	for _, id := range slices.Collect(maps.Keys(asked)) {
		if m.Pinned && id != graph.None {
			who[id] = pin
		}
		keep(id, last)
	}
	return who
}

// mayMean returns what keeps a manifest that nothing certain leads to.
func (m explainer) mayMean() string {
	for i := range m.Current.Tags {
		if t := &m.Current.Tags[i]; t.Target == graph.None && !m.RemovesTag(uint32(i)) {
			return m.pin(m.Current, m.RemovesTag)
		}
	}
	return "something that is kept references it"
}

// pin returns why a repository is pinned, as a clause: what of it is broken or can't be
// parsed. Removed tags aren't the reason.
func (m explainer) pin(r *graph.Repository, removed func(tag uint32) bool) string {
	switch {
	case r.BadName:
		return "no registry accepts its name"
	case r.Blind:
		return "something in it could not be read"
	}
	for i := range r.Tags {
		switch t := &r.Tags[i]; {
		case t.BadName:
			return "no registry accepts the name of its tag " + t.Name
		case removed(uint32(i)):
		case t.Target == graph.None:
			return "its tag " + t.Name + " has no readable target, which may be any of its manifests"
		case m.StateAt(t.Target) != walker.ManifestGood:
			return "the manifest of its tag " + t.Name + " is " + m.StateAt(t.Target).String()
		}
	}
	for _, v := range r.Revisions {
		if state := m.StateAt(v.ID); state != walker.ManifestGood {
			return "the manifest " + m.NameOf(v.ID) + " is " + state.String()
		}
	}
	return "a manifest or a digest that one of its manifests names is broken"
}

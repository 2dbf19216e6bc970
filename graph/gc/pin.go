package gc

import (
	"regfsck/graph"
	"regfsck/walker"
)

// pin says why all manifests of a repository are kept, whatever tag is removed, as a clause:
// what of it is broken or can't be understood. Tags that are removed aren't the reason.
func (m explainer) pin(r *graph.Repository, goes func(tag uint32) bool) string {
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
		case goes(uint32(i)):
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

// PinnedBy says why nothing of the repository is removed but its tags' links, "" where
// something may.
func (m *Marks) PinnedBy(repository uint32) string {
	if !m.Users.AllStays(repository) {
		return ""
	}
	return explainer{m}.pin(&m.Repos[repository], func(uint32) bool { return false })
}

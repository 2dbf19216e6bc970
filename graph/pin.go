package graph

import "regfsck/walker"

// pin says why all manifests of a repository stay, whatever tag goes, as a clause:
// what of it is broken or can't be understood. Tags that go aren't the reason.
func (m *marks) pin(r *repo, goes func(tag uint32) bool) string {
	switch {
	case r.badName:
		return "no registry accepts its name"
	case r.blind:
		return "something in it could not be read"
	}
	for i := range r.tags {
		switch t := &r.tags[i]; {
		case t.badName:
			return "no registry accepts the name of its tag " + t.name
		case goes(uint32(i)):
		case t.target == none:
			return "nobody can say what its tag " + t.name + " means, which may be any of its manifests"
		case m.stateAt(t.target) != walker.ManifestGood:
			return "the manifest of its tag " + t.name + " is " + m.stateAt(t.target).String()
		}
	}
	for _, v := range r.revisions {
		if state := m.stateAt(v.id); state != walker.ManifestGood {
			return "the manifest " + m.nameOf(v.id) + " is " + state.String()
		}
	}
	return "a manifest or a digest that one of its manifests names is broken"
}

// pinnedBy says why nothing of the repository goes but its tags' links, "" where
// something may.
func (m *marks) pinnedBy(repository uint32) string {
	if !m.usage.allStays(repository) {
		return ""
	}
	return m.pin(&m.repos[repository], func(uint32) bool { return false })
}

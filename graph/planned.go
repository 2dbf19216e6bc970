package graph

import (
	"slices"
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// findPlanned finds the places that a plan's keys name.
func (j *judgement) findPlanned() {
	if j.Removal == nil || j.Removal.Planned == nil {
		return
	}
	j.planned = make(map[spot]finding.Kind, len(j.Removal.Planned))
	for key, id := range j.Removal.Planned {
		if s, ok := j.spotOf(key); ok {
			j.planned[s] = id
		}
	}
}

// plans reports whether a plan takes a key away.
func (j *judgement) plans(key string) bool {
	_, goes := j.Removal.Planned[key]
	return goes
}

// cutPlanned takes what a plan takes. A tag goes with all of its history, or not
// at all; of one without a current link a run that was broken off may have taken
// that.
func (j *judgement) cutPlanned(c *cut) {
	for i := range j.r.tags {
		t := uint32(i)
		folder := !j.r.tags[i].current && (c.whole || j.plans(layout.TagKey(j.r.name, j.r.tags[i].name)+"/"))
		if j.fixed(place{kind: layout.TagCurrent, tag: t}) && !folder || slices.ContainsFunc(historyOf(j.r, t), func(h history) bool {
			return j.fixed(place{layout.TagHistory, t, h.id})
		}) {
			continue
		}
		if j.plannedTag(t) == finding.TagUnneeded {
			d, _ := layout.SubjectOf(j.r.tags[t].name)
			if id := j.knownID(d); id != none && j.r.tags[t].target != none {
				c.tied[id], c.subject[t], c.members[id] = append(c.tied[id], t), id, member{asTarget, t}
				j.cutTarget(c, t)
			}
			continue
		}
		c.tags[t] = ""
		j.cutTarget(c, t)
	}
	for v := range j.r.manifests() {
		id, goes := j.planned[spot{j.ri, j.r.placeOf(v.id)}]
		if goes {
			c.members[v.id] = member{as: asNamed}
		}
		if id == finding.ManifestRemoved {
			c.named[v.id] = ""
		}
	}
}

// cutTarget takes what a tag means where the repository has no link to it, of
// which a plan could speak.
func (j *judgement) cutTarget(c *cut, t uint32) {
	if target := j.r.tags[t].target; target != none && !j.r.hasRevision(target) {
		c.members[target] = member{asTarget, t}
	}
}

// plannedTag tells as what a tag goes by a plan.
func (j *judgement) plannedTag(t uint32) finding.Kind {
	if id, ok := j.planned[spot{j.ri, place{kind: layout.TagCurrent, tag: t}}]; ok {
		return id
	}
	return j.Removal.Planned[layout.TagKey(j.r.name, j.r.tags[t].name)+"/"]
}

// spotOf finds the place of a blob or link; false where the graph hasn't heard of
// what the key names. The tag of a link that is no tag's is 0.
func (g *graph) spotOf(name string) (s spot, ok bool) {
	key, err := layout.Parse(name)
	if err != nil {
		return s, false
	}
	s.repo, s.kind, s.id = none, key.Kind, none
	if key.Kind == layout.Tarsum {
		s.kind, key.Algorithm = layout.LayerLink, "tarsum."+key.Version+"+"+key.Algorithm
	}
	if d, ok := key.Digest(); ok {
		s.id = g.knownID(d)
	} else {
		s.id = g.knownIDOf(key.Algorithm + ":" + key.Hex)
	}
	if key.Kind == layout.Blob {
		return s, s.id != none
	}
	if s.repo, ok = g.repoID[key.Repository]; !ok {
		return s, false
	}
	switch s.kind {
	case layout.TagCurrent, layout.TagHistory:
		if s.tag, ok = g.repos[s.repo].tagIndex(key.Tag); !ok {
			return s, false
		}
		if s.kind == layout.TagCurrent {
			s.id = 0
		}
	case layout.Revision, layout.LayerLink:
	default:
		return s, false
	}
	return s, s.id != none
}

// tagIndex returns the index of a tag, once the repository is sealed.
func (r *repo) tagIndex(name string) (uint32, bool) {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	return uint32(at), ok
}

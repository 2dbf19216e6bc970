package graph

import (
	"maps"
	"slices"

	"regfsck/walker/layout"
)

// close adds what goes with what is named: children, referrers, and what the
// tags sha256-<hex>… mean, until nothing new is found.
func (j *judgement) close(c *cut) {
	signing := j.signing(c)
	var todo []uint32
	add := func(id uint32, m member) {
		if _, known := c.members[id]; !known {
			c.members[id] = m
			todo = append(todo, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.named)) {
		add(id, member{as: asNamed})
	}
	for _, t := range slices.Sorted(maps.Keys(c.tags)) {
		if target := j.r.tags[t].target; target != none {
			add(target, member{asTarget, t})
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for child := range j.in(j.r, id).takes {
			add(child, member{asChild, id})
		}
		for referrer := range j.in(j.r, id).referrers {
			add(referrer, member{asReferrer, id})
		}
		for _, t := range signing[id] {
			c.tied[id], c.subject[t] = append(c.tied[id], t), id
			add(j.r.tags[t].target, member{asSignature, id})
		}
	}
}

// signing are the tags sha256-<hex>… of the repository, by the subject that their
// names give; not those that go anyway or stay, nor one of which nobody can say what
// it means.
func (j *judgement) signing(c *cut) map[uint32][]uint32 {
	all := j.referrersTags(j.r)
	for id, tags := range all {
		all[id] = slices.DeleteFunc(tags, func(i uint32) bool {
			t := &j.r.tags[i]
			_, goes := c.tags[i]
			return goes || t.target == none || t.badName || j.fixed(place{kind: layout.TagCurrent, tag: i})
		})
	}
	return all
}

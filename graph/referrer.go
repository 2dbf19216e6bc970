package graph

import (
	"slices"

	"regfsck/walker/manifest"
)

// Referrer is a manifest that is about another one: by its subject, by a tag
// sha256-<hex>…, or by the index under such a tag.
type Referrer struct {
	Digest string
	Tag    string // sha256-<hex>.sig and the like; "" where none names it
}

// referrers returns what is about the manifest under id.
func (f *flow) referrers(id uint32) (all []Referrer) {
	for _, r := range f.referrerIDs(id) {
		all = append(all, Referrer{f.j.nameOf(r.id), r.tag})
	}
	return all
}

// referrerIDs returns what is about the manifest under id, by digest.
func (f *flow) referrerIDs(id uint32) (all []referrer) {
	tagged := map[uint32]string{}
	for m := range f.j.in(f.r, id).referrers {
		tagged[m] = ""
	}
	for _, t := range f.about[id] {
		tag := &f.r.tags[t]
		n := f.j.nodeAt(tag.target)
		switch {
		case n == nil:
		case n.kind != manifest.Index:
			tagged[tag.target] = tag.name
		default:
			for s := range f.j.in(f.r, n.id).serves {
				if _, known := tagged[s.to]; !known && s.child && s.role() == manifest.Child {
					tagged[s.to] = ""
				}
			}
		}
	}
	for m, tag := range tagged {
		all = append(all, referrer{m, tag})
	}
	slices.SortFunc(all, func(a, b referrer) int { return f.j.compareIDs(a.id, b.id) })
	return all
}

// referrer is a Referrer before it has strings.
type referrer struct {
	id  uint32
	tag string
}

package graph

import "regfsck/walker/manifest"

// follow adds what the vertices lead to that weren't followed yet.
func (f *flow) follow() {
	for ; f.followed < len(f.vertices); f.followed++ {
		from, v := uint32(f.followed), f.vertices[f.followed]
		switch v.kind {
		case tagVertex:
			f.tag(from, v.at)
		case manifestVertex:
			f.manifest(from, v.at)
		case blobVertex:
			if a := f.r.aliasOf(v.at); a != nil && a.target != none {
				f.lead(from, blobVertex, a.target)
			}
		}
	}
}

// tag leads to what a tag means, or may mean, and to what its history keeps for
// its youth.
func (f *flow) tag(from, t uint32) {
	target := f.r.tags[t].target
	if target != none {
		f.lead(from, manifestVertex, target)
	}
	for _, h := range historyOf(f.r, t) {
		switch {
		case target == none:
			f.lead(from, manifestVertex, h.id)
		case newer(h.modified, f.j.youngAfter):
			f.lead(from, blobVertex, h.id)
		}
	}
}

// manifest leads to all that a manifest keeps.
func (f *flow) manifest(from, id uint32) {
	f.lead(from, blobVertex, id)
	for _, t := range f.about[id] {
		f.lead(from, tagVertex, t)
	}
	if n := f.j.nodeAt(id); n != nil {
		for _, e := range f.j.refs(n) {
			f.reference(from, e)
		}
	}
	for m := range f.j.about(id) {
		if f.r.hasRevision(m) {
			f.lead(from, manifestVertex, m)
		}
	}
}

func (f *flow) reference(from uint32, e edge) {
	switch e.role() {
	case manifest.Child, manifest.Either:
		f.lead(from, manifestVertex, e.id())
		if a := f.r.aliasOf(e.id()); a != nil && a.target != none {
			f.lead(from, manifestVertex, a.target)
		}
	case manifest.Config, manifest.Layer, manifest.MayBeAbsent, manifest.Claimed:
		f.lead(from, blobVertex, e.id())
	}
}

package graph

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
			if to := f.r.resolve(v.at); to != v.at {
				f.lead(from, blobVertex, to)
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
	for e, needed := range f.j.in(f.r, id).needs {
		if e.isEntry() {
			f.lead(from, manifestVertex, needed)
		} else {
			f.lead(from, blobVertex, needed)
		}
	}
	for m := range f.j.in(f.r, id).referrers {
		f.lead(from, manifestVertex, m)
	}
}

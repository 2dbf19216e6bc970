package graph

// Doubts are signs that what looks like garbage is none: that the store's links
// or tags are kept in a database, of which nothing here knows.
type Doubts struct {
	Database bool     // GitLab's mark for that is there
	Linkless int      // blobs that nothing needs and no link names, newer than the newest link of the store
	Tagless  []string // repositories that have revisions and no tag at all, sorted
}

func (j *judgement) doubts() Doubts {
	var d Doubts
	linked := newBitset(j.len() + len(j.past))
	for i := range j.repos {
		r := &j.repos[i]
		if len(r.tags) == 0 && len(r.revisions)+len(r.layerManifests) > 0 {
			d.Tagless = append(d.Tagless, r.name)
		}
		r.named(func(id uint32) { linked.add(id) })
	}
	newest := seconds(j.newestLink)
	for id, modified := range j.modified {
		if modified > newest && !linked.has(uint32(id)) && !j.referenced.has(uint32(id)) {
			d.Linkless++
		}
	}
	return d
}

// named calls each with every id that a link of the repository names, by its
// path or by its content.
func (r *repo) named(each func(id uint32)) {
	for _, l := range r.layers {
		each(l.id())
	}
	for _, v := range r.revisions {
		each(v.id)
	}
	for _, h := range r.history {
		each(h.id)
	}
	for i := range r.tags {
		if r.tags[i].target != none {
			each(r.tags[i].target)
		}
	}
	for _, a := range r.aliases {
		if a.target != none {
			each(a.target)
		}
	}
	for _, o := range r.odd {
		if o.target != none {
			each(o.target)
		}
	}
}

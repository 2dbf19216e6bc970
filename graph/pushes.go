package graph

// pushes are the last blobs that were pushed to a store and a link with each, the
// oldest first. The zero pair is none.
type pushes [3]pair

// pair is a blob and since when both it and a link to it have been there.
type pair struct{ id, At uint32 }

// note takes in when a link was written and the blob that it names.
func (p *pushes) note(id, link, blob uint32) {
	is := pair{id, min(link, blob)}
	for i := range p {
		if p[i].id == id && p[i].At >= is.At {
			return
		}
	}
	for i := range p {
		if is.At <= p[i].At {
			return
		}
		if i > 0 {
			p[i-1] = p[i]
		}
		p[i] = is
	}
}

// dates are the first and the last of some times. The zero dates are none.
type dates struct{ First, Last uint32 }

func (d *dates) Note(t uint32) {
	if *d == (dates{}) {
		d.First = t
	}
	d.First, d.Last = min(d.First, t), max(d.Last, t)
}

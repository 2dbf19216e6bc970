package manifest

import "regfsck/walker/layout"

// few is how many references are compared each with each; more go into a map.
const few = 32

// unique removes what refers to the same digest in the same role, in place. The
// first stays, with the first size that was stated, or the first that a registry reads.
func unique(refs []Ref) []Ref {
	if len(refs) > few {
		return uniqueMany(refs)
	}
	kept := refs[:0]
next:
	for _, ref := range refs {
		for i := range kept {
			if kept[i].Role == ref.Role && kept[i].Digest == ref.Digest && kept[i].Other == ref.Other {
				kept[i].merge(ref)
				continue next
			}
		}
		kept = append(kept, ref)
	}
	return kept
}

func uniqueMany(refs []Ref) []Ref {
	type target struct {
		role   Role
		digest layout.Digest
		other  string
	}
	kept := refs[:0]
	places := make(map[target]int, len(refs))
	for _, ref := range refs {
		to := target{ref.Role, ref.Digest, ref.Other}
		if i, known := places[to]; known {
			kept[i].merge(ref)
			continue
		}
		places[to] = len(kept)
		kept = append(kept, ref)
	}
	return kept
}

func (r *Ref) merge(same Ref) {
	if r.Size < 0 || same.Read && !r.Read {
		r.Size = same.Size
	}
	r.Read = r.Read || same.Read
}

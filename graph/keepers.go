package graph

import (
	"maps"
	"slices"
)

// keepers says of the manifests that were to go of the repository being judged,
// and stay, what keeps them: what pins the repository, the first tag, an index,
// their subject.
func (j *judgement) keepers(pinned bool) map[uint32]string {
	who := map[uint32]string{}
	asked := map[uint32]bool{}
	for t := range j.cut.tags {
		asked[j.r.tags[t].target] = true
	}
	for id := range j.cut.named {
		asked[id] = true
	}
	keep := func(id uint32, why string) {
		if _, told := who[id]; !told && asked[id] && j.isKnown(id) && j.isReached(id) {
			who[id] = why
		}
	}
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.target != none && !j.tagGoes(uint32(i)) {
			keep(t.target, "the tag "+t.name+" means it")
		}
	}
	for _, v := range j.r.revisions {
		if !j.isReached(v.id) {
			continue
		}
		for e, id := range j.in(j.r, v.id).needs {
			if e.isEntry() {
				keep(id, "the index "+j.nameOf(v.id)+" names it")
			}
		}
		for referrer := range j.in(j.r, v.id).referrers {
			keep(referrer, "it is about "+j.nameOf(v.id)+", which stays")
		}
	}
	last, pin := j.mayMean(), ""
	if pinned {
		pin = j.pin(j.r, j.tagGoes) + ", and as long as that is so nothing but tags goes here"
	}
	for _, id := range slices.Collect(maps.Keys(asked)) {
		if pinned && id != none {
			who[id] = pin
		}
		keep(id, last)
	}
	return who
}

// mayMean says what keeps a manifest that nothing certain leads to.
func (j *judgement) mayMean() string {
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.target == none && !j.tagGoes(uint32(i)) {
			return j.pin(j.r, j.tagGoes)
		}
	}
	return "something that stays leads to it"
}

// isKnown reports whether an id is a manifest that was looked for.
func (j *judgement) isKnown(id uint32) bool { return id != none && j.nodeOf[id] != 0 }

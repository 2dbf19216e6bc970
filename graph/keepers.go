package graph

import (
	"maps"
	"slices"

	"regfsck/walker"
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
		for _, e := range j.refs(&j.nodes[j.nodeOf[v.id]-1]) {
			if e.isEntry() {
				keep(e.id(), "the index "+j.nameOf(v.id)+" names it")
			}
		}
		for referrer := range j.about(v.id) {
			keep(referrer, "it is about "+j.nameOf(v.id)+", which stays")
		}
	}
	last, pin := j.mayMean(), ""
	if pinned {
		pin = j.pin()
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
			return "nobody can say what the tag " + t.name + " means, and it may be this"
		}
	}
	return "something that stays leads to it"
}

// isKnown tells whether an id is a manifest that was looked for.
func (j *judgement) isKnown(id uint32) bool { return id != none && j.nodeOf[id] != 0 }

// pin says what pins the repository being judged.
func (j *judgement) pin() string {
	const pins = ", and as long as that is so nothing but tags goes here"
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.badName {
			return "the name of the tag " + t.name + " is none that a registry accepts" + pins
		}
	}
	for _, v := range j.r.revisions {
		if state := j.stateAt(v.id); state != walker.ManifestGood {
			return "the manifest " + j.nameOf(v.id) + " is " + stateNames[state] + pins
		}
	}
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.target != none && !j.tagGoes(uint32(i)) && j.stateAt(t.target) != walker.ManifestGood {
			return "the manifest of the tag " + t.name + " is " + stateNames[j.stateAt(t.target)] + pins
		}
	}
	return "something else of the repository is broken" + pins
}

var stateNames = [...]string{
	walker.ManifestUnread: "unknown", walker.ManifestMissing: "missing", walker.ManifestCorrupt: "corrupt",
	walker.ManifestUnparsable: "not understood", walker.ManifestArchived: "archived", walker.ManifestUnreadable: "unreadable",
}

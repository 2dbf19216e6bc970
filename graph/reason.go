package graph

import (
	"fmt"
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// goes reports whether a manifest of the repository being judged goes: it was to,
// and nothing that stays leads to it.
func (j *judgement) goes(id uint32) bool {
	return j.cut.has(id) && j.nodeOf[id] != 0 && !j.isReached(id)
}

// tagGoes reports whether a tag of the repository being judged goes, once it is
// known what stays.
func (j *judgement) tagGoes(t uint32) bool {
	if j.cut == nil {
		return false
	}
	subject, tied := j.cut.subject[t]
	_, goes := j.cut.tags[t]
	return goes || tied && j.goes(subject)
}

// removed reports what goes of the repository because somebody asked for it, and
// what can't that was named.
func (j *judgement) removed(pinned bool) {
	c := j.cut
	if c == nil || !c.whole && len(c.tags)+len(c.members) == 0 {
		return
	}
	j.free()
	who := j.keepers(pinned)
	for _, id := range slices.SortedFunc(maps.Keys(c.named), j.compareIDs) {
		if !j.goes(id) && j.planned == nil {
			j.denied = append(j.denied, Denial{j.r.name + "@" + j.nameOf(id), who[id]})
		}
	}
	ofTag := finding.TagRemoved
	if c.whole {
		ofTag = finding.RepositoryRemoved
		j.removedFolders()
	}
	for t := range c.tags {
		j.removedTag(ofTag, t, j.reasonOfTag(t, who))
	}
	for t, subject := range c.subject {
		if j.goes(subject) {
			j.removedTag(finding.TagUnneeded, t, "it is about "+j.nameOf(subject)+", which goes")
		}
	}
	for id, m := range c.members {
		if j.goes(id) && j.r.hasRevision(id) {
			j.local(problem{
				id: j.idOfManifest(id), kind: layout.Revision, obj: id, cure: finding.CureRemove,
				bytes: j.bytesOfLink(id), modified: j.pushed(id), detail: j.reasonOf(id, m),
			})
		}
	}
}

// pushed returns when the link to a manifest that the repository has was written.
func (j *judgement) pushed(id uint32) int64 {
	at, _ := slices.BinarySearchFunc(j.r.revisions, id, compareRevision)
	return int64(j.r.revisions[at].modified) * 1e9
}

// idOfManifest tells as what a manifest goes.
func (j *judgement) idOfManifest(id uint32) finding.Kind {
	if planned, ok := j.planned[spot{j.ri, place{kind: layout.Revision, id: id}}]; ok {
		return planned
	}
	switch {
	case j.cut.whole:
		return finding.RepositoryRemoved
	case j.cut.names(id):
		return finding.ManifestRemoved
	}
	return finding.ManifestUnneeded
}

func (j *judgement) removedTag(id finding.Kind, t uint32, why string) {
	j.local(problem{id: id, kind: layout.TagCurrent, tag: t, obj: j.r.tags[t].target, cure: finding.CureRemove, detail: why})
}

// removedUpload reports an upload of a repository that goes.
func (j *judgement) removedUpload(id string, u *upload) {
	j.local(problem{
		id: finding.RepositoryRemoved, name: layout.UploadKey(j.r.name, id), obj: none, cure: finding.CureRemove,
		bytes: u.bytes, modified: u.newest(),
	})
}

// removedFolders reports the folders of a repository that goes, and what keeps
// some of them.
func (j *judgement) removedFolders() {
	why := j.cut.why
	if j.foreigners == nil {
		j.foreigners = map[string][]string{}
		for i := range j.entries {
			if e := &j.entries[i]; isForeign(e.Kind) {
				j.foreigners[e.Repository] = append(j.foreigners[e.Repository], e.Key)
			}
		}
	}
	if others := j.foreigners[j.r.name]; len(others) > 0 {
		why += fmt.Sprintf("; %s stays, with the folders on the way to it: it isn't a registry's", others[0])
		if n := len(others) - 1; n > 0 {
			why += fmt.Sprintf(" (and %d more)", n)
		}
	}
	j.local(problem{id: finding.RepositoryRemoved, name: layout.RepositoryKey(j.r.name), obj: none, cure: finding.CureRemove, detail: why})
}

// reasonOfTag says why a tag goes, and, where its manifest stays, why that does.
func (j *judgement) reasonOfTag(t uint32, who map[uint32]string) string {
	why, target := j.cut.tags[t], j.r.tags[t].target
	switch {
	case j.cut.whole || j.Removal.TagsOnly || j.planned != nil:
		return why
	case target == none:
		return why + "; nobody can say what it meant, so nothing goes with it"
	case j.isReached(target):
		return why + "; the manifest stays: " + who[target]
	}
	return why
}

// reasonOf says why a manifest goes.
func (j *judgement) reasonOf(id uint32, m member) string {
	switch {
	case j.cut.whole || j.planned != nil:
		return j.cut.why
	case m.as == asNamed:
		return j.cut.named[id]
	case m.as == asTarget:
		return "nothing is left that leads to it but the tag " + j.r.tags[m.by].name
	case m.as == asChild:
		return "it is part of the index " + j.nameOf(m.by) + ", which goes"
	case m.as == asReferrer:
		return "it is about its subject " + j.nameOf(m.by) + ", which goes"
	}
	return "its tag is about " + j.nameOf(m.by) + ", which goes"
}

// free notes what the manifests that go have used: its youth is theirs, and
// doesn't keep it. A young link to it counts as theirs only if they are young too:
// one that was written since somebody else asked for.
func (j *judgement) free() {
	if j.freeing == nil {
		j.freeing = make([]uint32, len(j.needed))
	}
	for id := range j.cut.members {
		if !j.goes(id) {
			continue
		}
		j.freed.add(id)
		mark := uint32(0)
		if j.heldYoung(id) {
			mark = j.mark
		}
		if j.r.isLayerManifest(id) { // its link goes with it, as a revision link does
			j.frees(id, mark)
		}
		for _, used := range j.in(j.r, id).needs {
			j.frees(used, mark)
		}
	}
	if j.cut.whole {
		j.r.named(func(id uint32) {
			j.frees(id, j.mark)
			j.frees(j.r.resolve(id), j.mark)
		})
	}
}

// heldYoung reports whether a manifest of the repository being judged is within the
// grace period, or the link by which the repository holds it. Of one without a link
// nobody can tell.
func (j *judgement) heldYoung(id uint32) bool {
	if at, ok := slices.BinarySearchFunc(j.r.revisions, id, compareRevision); ok {
		return j.isYoung(j.r.revisions[at])
	}
	if at, _ := slices.BinarySearch(j.r.layers, newLayer(id, false)); at < len(j.r.layers) && j.r.layers[at].id() == id {
		return j.r.layers[at].young() || j.young.has(id)
	}
	return true
}

// frees notes one digest.
func (j *judgement) frees(id, mark uint32) {
	j.freed.add(id)
	j.freeing[id] = max(j.freeing[id], mark)
}

// freesHere reports whether the youth of a layer link of the repository being
// judged doesn't keep it.
func (j *judgement) freesHere(id uint32) bool { return j.freeing != nil && j.freeing[id] == j.mark }

// youngAlias reports whether an alias is kept for its youth.
func (j *judgement) youngAlias(a alias) bool {
	young := newer(a.modified, j.youngAfter)
	return young && !j.cut.all() && !j.freesHere(a.id) && (a.target == none || !j.freesHere(a.target))
}

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

// pin says why all manifests of a repository stay, whatever tag goes, as a clause:
// what of it is broken or can't be understood. Tags that go aren't the reason.
func (j *judgement) pin(r *repo, goes func(tag uint32) bool) string {
	switch {
	case r.badName:
		return "no registry accepts its name"
	case r.blind:
		return "something in it could not be read"
	}
	for i := range r.tags {
		switch t := &r.tags[i]; {
		case t.badName:
			return "no registry accepts the name of its tag " + t.name
		case goes(uint32(i)):
		case t.target == none:
			return "nobody can say what its tag " + t.name + " means, which may be any of its manifests"
		case j.stateAt(t.target) != walker.ManifestGood:
			return "the manifest of its tag " + t.name + " is " + j.stateAt(t.target).String()
		}
	}
	for _, v := range r.revisions {
		if state := j.stateAt(v.id); state != walker.ManifestGood {
			return "the manifest " + j.nameOf(v.id) + " is " + state.String()
		}
	}
	return "a manifest or a digest that one of its manifests names is broken"
}

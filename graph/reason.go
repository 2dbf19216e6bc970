package graph

import (
	"fmt"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// removed reports what goes of the repository because somebody asked for it.
func (j *judgement) removed() {
	c := j.cut
	if c == nil || !c.whole && len(c.tags)+len(c.members) == 0 {
		return
	}
	ofTag := finding.TagRemoved
	if c.whole {
		ofTag = finding.RepositoryRemoved
		j.removedFolders()
	}
	for t := range c.tags {
		j.removedTag(ofTag, t, j.reasonOfTag(t))
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
func (j *judgement) reasonOfTag(t uint32) string {
	why, target := j.cut.tags[t], j.r.tags[t].target
	switch {
	case j.cut.whole || j.Removal.TagsOnly || j.planned != nil:
		return why
	case target == none:
		return why + "; nobody can say what it meant, so nothing goes with it"
	case j.isReached(target):
		return why + "; the manifest stays: " + j.stays[target]
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

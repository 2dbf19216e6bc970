package check

import (
	"fmt"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// removed reports what goes of the repository because somebody asked for it.
func (j *checker) removed() {
	c := j.Cut
	if c == nil || !c.Whole && len(c.Tags)+len(c.Dependent) == 0 {
		return
	}
	ofTag := finding.TagRemoved
	if c.Whole {
		ofTag = finding.RepositoryRemoved
		j.removedFolders()
	}
	for t := range c.Tags {
		j.removedTag(ofTag, t, j.reasonOfTag(t))
	}
	for t, subject := range c.Subject {
		if j.Goes(subject) {
			j.removedTag(finding.TagUnneeded, t, "it is about "+j.NameOf(subject)+", which goes")
		}
	}
	for id, m := range c.Dependent {
		if j.Goes(id) && j.Current.HasRevision(id) {
			j.local(problem{
				id: j.idOfManifest(id), kind: layout.Revision, obj: id, cure: finding.CureRemove,
				bytes: j.BytesOfLink(id), modified: j.pushed(id), detail: j.reasonOf(id, m),
			})
		}
	}
}

// pushed returns when the link to a manifest that the repository has was written.
func (j *checker) pushed(id uint32) int64 {
	at, _ := slices.BinarySearchFunc(j.Current.Revisions, id, graph.CompareRevision)
	return int64(j.Current.Revisions[at].Modified) * 1e9
}

// idOfManifest tells as what a manifest goes.
func (j *checker) idOfManifest(id uint32) finding.Kind {
	if planned, ok := j.Planned[graph.Ref{Repo: j.CurrentID, Link: graph.Link{Kind: layout.Revision, ID: id}}]; ok {
		return planned
	}
	switch {
	case j.Cut.Whole:
		return finding.RepositoryRemoved
	case j.Cut.Names(id):
		return finding.ManifestRemoved
	}
	return finding.ManifestUnneeded
}

func (j *checker) removedTag(id finding.Kind, t uint32, why string) {
	j.local(problem{id: id, kind: layout.TagCurrent, tag: t, obj: j.Current.Tags[t].Target, cure: finding.CureRemove, detail: why})
}

// removedUpload reports an upload of a repository that goes.
func (j *checker) removedUpload(id string, u *graph.Upload) {
	j.local(problem{
		id: finding.RepositoryRemoved, name: layout.UploadKey(j.Current.Name, id), obj: graph.None, cure: finding.CureRemove,
		bytes: u.Bytes, modified: u.Newest(),
	})
}

// removedFolders reports the folders of a repository that goes, and what keeps
// some of them.
func (j *checker) removedFolders() {
	why := j.Cut.Why
	if j.foreigners == nil {
		j.foreigners = map[string][]string{}
		for i := range j.Entries {
			if e := &j.Entries[i]; isForeign(e.Kind) {
				j.foreigners[e.Repository] = append(j.foreigners[e.Repository], e.Key)
			}
		}
	}
	if others := j.foreigners[j.Current.Name]; len(others) > 0 {
		why += fmt.Sprintf("; %s stays, with the folders on the way to it: it isn't a registry's", others[0])
		if n := len(others) - 1; n > 0 {
			why += fmt.Sprintf(" (and %d more)", n)
		}
	}
	j.local(problem{id: finding.RepositoryRemoved, name: layout.RepositoryKey(j.Current.Name), obj: graph.None, cure: finding.CureRemove, detail: why})
}

// reasonOfTag says why a tag goes, and, where its manifest stays, why that does.
func (j *checker) reasonOfTag(t uint32) string {
	why, target := j.Cut.Tags[t], j.Current.Tags[t].Target
	switch {
	case j.Cut.Whole || j.Removal.TagsOnly || j.Planned != nil:
		return why
	case target == graph.None:
		return why + "; nobody can say what it meant, so nothing goes with it"
	case j.IsReached(target):
		return why + "; the manifest stays: " + j.WhyStays[target]
	}
	return why
}

// reasonOf says why a manifest goes.
func (j *checker) reasonOf(id uint32, m gc.Member) string {
	switch {
	case j.Cut.Whole || j.Planned != nil:
		return j.Cut.Why
	case m.As == gc.AsNamed:
		return j.Cut.Requested[id]
	case m.As == gc.AsTarget:
		return "nothing is left that leads to it but the tag " + j.Current.Tags[m.By].Name
	case m.As == gc.AsChild:
		return "it is part of the index " + j.NameOf(m.By) + ", which goes"
	case m.As == gc.AsReferrer:
		return "it is about its subject " + j.NameOf(m.By) + ", which goes"
	}
	return "its tag is about " + j.NameOf(m.By) + ", which goes"
}

package check

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// removalRules report what is removed on request, and the garbage that it makes.
type removalRules struct{ *checker }

// removed reports what is removed of the current repository on request.
func (j removalRules) removed() {
	c := j.Removed
	if c == nil || !c.Whole && len(c.Tags)+len(c.Dependent) == 0 {
		return
	}
	ofTag := finding.TagRemoved
	if c.Whole {
		ofTag = finding.RepositoryRemoved
		j.removedDirectories()
	}
	for t := range c.Tags {
		j.removedTag(ofTag, t, j.reasonOfTag(t))
	}
	for t, subject := range c.Subject {
		if j.RemovesManifest(subject) {
			j.removedTag(finding.TagUnneeded, t, "its subject "+j.NameOf(subject)+" is removed")
		}
	}
	for id, m := range c.Dependent {
		if j.RemovesManifest(id) && j.Current.HasRevision(id) {
			j.local(problem{
				id: j.idOfManifest(id), kind: layout.Revision, obj: id, cure: finding.CureRemove,
				bytes: j.BytesOfLink(id), modified: j.pushed(id), detail: j.reasonOf(id, m),
			})
		}
	}
}

// pushed returns the time of the link to a manifest of the repository.
func (j removalRules) pushed(id uint32) int64 {
	at, _ := slices.BinarySearchFunc(j.Current.Revisions, id, graph.CompareRevision)
	return int64(j.Current.Revisions[at].Modified) * 1e9
}

// idOfManifest returns the kind of finding with which a manifest is removed.
func (j removalRules) idOfManifest(id uint32) finding.Kind {
	if planned, ok := j.Planned[graph.Ref{Repo: j.CurrentID, Link: graph.Link{Kind: layout.Revision, ID: id}}]; ok {
		return planned
	}
	switch {
	case j.Removed.Whole:
		return finding.RepositoryRemoved
	case j.Removed.Names(id):
		return finding.ManifestRemoved
	}
	return finding.ManifestUnneeded
}

func (j removalRules) removedTag(id finding.Kind, t uint32, why string) {
	j.local(problem{id: id, kind: layout.TagCurrent, tag: t, obj: j.Current.Tags[t].Target, cure: finding.CureRemove, detail: why})
}

// removedUpload reports an upload of a removed repository.
func (j removalRules) removedUpload(id string, u *graph.Upload) {
	j.local(problem{
		id: finding.RepositoryRemoved, name: layout.UploadKey(j.Current.Name, id), obj: graph.None, cure: finding.CureRemove,
		bytes: u.Bytes, modified: u.Newest(),
	})
}

// removedDirectories reports the directories of a removed repository, and those that are
// kept.
func (j removalRules) removedDirectories() {
	why := j.Removed.Why
	if j.foreignFiles == nil {
		j.foreignFiles = map[string][]string{}
		for i := range j.Entries {
			if e := &j.Entries[i]; isForeign(e.Kind) {
				j.foreignFiles[e.Repository] = append(j.foreignFiles[e.Repository], e.Key)
			}
		}
	}
	if others := j.foreignFiles[j.Current.Name]; len(others) > 0 {
		why += fmt.Sprintf("; %s is kept, with the directories above it: it is a foreign file", others[0])
		if n := len(others) - 1; n > 0 {
			why += fmt.Sprintf(" (and %d more)", n)
		}
	}
	j.local(problem{id: finding.RepositoryRemoved, name: layout.RepositoryKey(j.Current.Name), obj: graph.None, cure: finding.CureRemove, detail: why})
}

// reasonOfTag returns why a tag is removed and, if its manifest is kept, why that is.
func (j removalRules) reasonOfTag(t uint32) string {
	why, target := j.Removed.Tags[t], j.Current.Tags[t].Target
	switch {
	case j.Removed.Whole || j.Removal.TagsOnly || j.Planned != nil:
		return why
	case target == graph.None:
		return why + "; its target is unknown, so nothing is removed with it"
	case j.IsReached(target):
		return why + "; the manifest is kept: " + j.WhyKept[target]
	}
	return why
}

// reasonOf returns why a manifest is removed.
func (j removalRules) reasonOf(id uint32, m gc.Member) string {
	switch {
	case j.Removed.Whole || j.Planned != nil:
		return j.Removed.Why
	case m.As == gc.AsNamed:
		return j.Removed.Requested[id]
	case m.As == gc.AsTarget:
		return "only the removed tag " + j.Current.Tags[m.By].Name + " points to it"
	case m.As == gc.AsChild:
		return "its index " + j.NameOf(m.By) + " is removed"
	case m.As == gc.AsReferrer:
		return "its subject " + j.NameOf(m.By) + " is removed"
	}
	return "its tag belongs to " + j.NameOf(m.By) + ", which is removed"
}

// judgeBefore judges the store without the removal, if there is one. Its garbage is left to a
// fix.
func (j removalRules) judgeBefore(g *graph.Graph, p terms) {
	p.Removal, p.Untagged, p.Also = nil, false, finding.Set{}
	j.before = judge(g, p)
	j.garbageBefore = map[problemKey]bool{}
	for i := range j.before.problems {
		if p := &j.before.problems[i]; p.id.Severity() == finding.Garbage {
			j.garbageBefore[keyOfProblem(p)] = p.inGrace
		}
	}
}

// judged returns the judgements whose problems must be rechecked.
func (j removalRules) judged() []*checker {
	if j.before == nil {
		return []*checker{j.checker}
	}
	return []*checker{j.before, j.checker}
}

// madeByRemoval reports whether garbage is removed with the removal: it is requested or
// dependent, it is no garbage without the removal, or it is a link to a removed blob.
func (j removalRules) madeByRemoval(p *problem) bool {
	switch {
	case j.before == nil:
		return true
	case p.id.Severity() < finding.Garbage || p.id == finding.RepoEmpty:
		return false
	case j.Planned != nil && p.name != "" && !j.plansIn(p):
		return false
	case p.id.Severity() == finding.Asked || j.Planned != nil:
		return true
	case j.Removal.TagsOnly:
		return false
	}
	young, was := j.garbageBefore[keyOfProblem(p)]
	return !was || young && !p.inGrace || slices.ContainsFunc(j.blobsOf(p), j.RemovesBlob)
}

// plansIn reports whether a plan removes a file, or any of a repository's own directories.
func (j removalRules) plansIn(p *problem) bool {
	if j.isRepository(p) {
		return len(j.directoriesOf(p)) > 0
	}
	return j.Plans(p.name) || j.Plans(p.name+"/")
}

// isRepository reports whether a problem is about a repository as a whole.
func (j removalRules) isRepository(p *problem) bool {
	return p.repo != graph.None && p.name == layout.RepositoryKey(j.Repos[p.repo].Name)
}

// directoriesOf returns the own directories of a repository that is removed.
func (j removalRules) directoriesOf(p *problem) []string {
	directories := j.Repos[p.repo].Foreign.Without()
	if j.Planned == nil {
		return directories
	}
	return slices.DeleteFunc(directories, func(name string) bool { return !j.Plans(p.name + "/" + name + "/") })
}

// blobsOf returns the ids of the blobs that a link refers to; none if the problem isn't about
// a link.
func (j removalRules) blobsOf(p *problem) []uint32 {
	switch p.id {
	case finding.LayerLinkUnreferenced:
		if a := j.Repos[p.repo].AliasOf(p.obj); a != nil {
			return []uint32{a.ID, a.Target} // a blob may be stored under either
		}
	case finding.TagHistoryStale:
		return []uint32{p.obj}
	case finding.SignatureLegacy:
		if key, err := layout.Parse(p.name); err == nil {
			if d, ok := layout.ParseHex(key.SignatureHex); ok {
				return []uint32{j.KnownID(d)}
			}
		}
	}
	return nil
}

// findingsOfRemoval returns the findings under a removal: the damage without it, and the
// garbage that it makes.
func (j removalRules) findingsOfRemoval() iter.Seq[finding.Finding] {
	return func(yield func(finding.Finding) bool) {
		for f := range (describer{j.before}).findings {
			if f.Kind.Severity() >= finding.Garbage {
				break
			}
			if !yield(f) {
				return
			}
		}
		describer(j).findings(yield)
	}
}

// removalResult returns the result of a judgement under a removal.
func (j removalRules) removalResult(notes []string) *Result {
	r := describer{j.before}.result(notes)
	r.Findings, r.Rejected, r.OrphanedReferrers = j.findingsOfRemoval(), j.Rejected, storeRules(j).orphanedReferrers()
	r.Totals.ReclaimableBytes = 0
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			r.Counts[id] = finding.Count{}
		}
	}
	for f := range (describer(j)).findings {
		if f.Kind < finding.NumKinds {
			describer(j).tally(&r.Counts[f.Kind], f.InGrace, f.Bytes)
		}
		if f.Kind == finding.BlobOrphan && !f.InGrace || f.Kind == finding.RepositoryRemoved && strings.Contains(f.Path, "/_uploads/") {
			r.Totals.ReclaimableBytes += f.Bytes
		}
	}
	return r
}

// isForeign reports whether an entry isn't the registry's.
func isForeign(k walker.EntryKind) bool { return k == walker.EntryForeign || k == walker.EntryReserved }

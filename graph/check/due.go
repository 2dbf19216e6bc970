package check

import (
	"iter"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// judgeBefore judges the store as it is, where something is to be removed. What
// is garbage then already is a fix's business.
func (j *checker) judgeBefore(g *graph.Graph, p terms) {
	p.Removal, p.Untagged, p.Also = nil, false, [finding.NumKinds]bool{}
	j.before = judge(g, p)
	j.was = map[problemKey]bool{}
	for i := range j.before.problems {
		if p := &j.before.problems[i]; p.id.Severity() == finding.Garbage {
			j.was[keyOfProblem(p)] = p.young
		}
	}
}

// judged are the judgements whose problems have to be looked at again.
func (j *checker) judged() []*checker {
	if j.before == nil {
		return []*checker{j}
	}
	return []*checker{j.before, j}
}

// due reports whether garbage is there because of the removal: it goes with what is
// named, it is none before, or it is a link to a blob that goes.
func (j *checker) due(p *problem) bool {
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
	young, was := j.was[keyOfProblem(p)]
	return !was || young && !p.young || j.BlobGoes(j.blobOf(p))
}

// plansIn reports whether a plan takes away a file, or any of a repository's own
// folders.
func (j *checker) plansIn(p *problem) bool {
	if j.isRepository(p) {
		return len(j.foldersOf(p)) > 0
	}
	return j.Plans(p.name) || j.Plans(p.name+"/")
}

// isRepository reports whether a problem is about a repository as a whole.
func (j *checker) isRepository(p *problem) bool {
	return p.repo != graph.None && p.name == layout.RepositoryKey(j.Repos[p.repo].Name)
}

// foldersOf are the folders of its own that a repository loses as a whole.
func (j *checker) foldersOf(p *problem) []string {
	folders := j.Repos[p.repo].Foreign.Without()
	if j.Planned == nil {
		return folders
	}
	return slices.DeleteFunc(folders, func(name string) bool { return !j.Plans(p.name + "/" + name + "/") })
}

// blobOf returns the id of the blob that a link leads to; none for what is none.
func (j *checker) blobOf(p *problem) uint32 {
	switch p.id {
	case finding.LayerLinkUnreferenced:
		if a := j.Repos[p.repo].AliasOf(p.obj); a != nil {
			return a.Target
		}
	case finding.TagHistoryStale:
		return p.obj
	case finding.SignatureLegacy:
		if key, err := layout.Parse(p.name); err == nil {
			if d, ok := layout.ParseHex(key.SignatureHex); ok {
				return j.KnownID(d)
			}
		}
	}
	return graph.None
}

// dueFindings are the findings of a removal: damage as it is before, and the
// garbage that it makes.
func (j *checker) dueFindings() iter.Seq[finding.Finding] {
	return func(yield func(finding.Finding) bool) {
		for f := range j.before.findings {
			if f.Kind.Severity() >= finding.Garbage {
				break
			}
			if !yield(f) {
				return
			}
		}
		j.findings(yield)
	}
}

// removalResult sums up a judgement under a removal.
func (j *checker) removalResult(notes []string) *Result {
	r := j.before.result(notes)
	r.Findings, r.Rejected, r.Bereft = j.dueFindings(), j.Rejected, j.bereft()
	r.Totals.ReclaimableBytes = 0
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			r.Counts[id] = finding.Count{}
		}
	}
	for f := range j.findings {
		if f.Kind < finding.NumKinds {
			j.tally(&r.Counts[f.Kind], f.Young, f.Bytes)
		}
		if f.Kind == finding.BlobOrphan && !f.Young || f.Kind == finding.RepositoryRemoved && strings.Contains(f.Path, "/_uploads/") {
			r.Totals.ReclaimableBytes += f.Bytes
		}
	}
	return r
}

// isForeign reports whether an entry is none of a registry's.
func isForeign(k walker.EntryKind) bool { return k == walker.EntryForeign || k == walker.EntryReserved }

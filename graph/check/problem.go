package check

import (
	"cmp"
	"math"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// problem is a finding without strings.
type problem struct {
	id      finding.Kind
	kind    layout.Kind // the link; 0 for a blob, directory or file
	inGrace bool
	cure    finding.Cure

	withdrawn bool // nothing is repaired for it, because its image is withdrawn
	spared    bool // of a blob: an image that needs it isn't withdrawn

	repo     uint32 // none if it is of no single repository
	tag      uint32 // of a tag's link; distinguishes multipart uploads
	obj      uint32 // an id, or none
	about    uint32 // a second id that distinguishes problems: of a wrong descriptor, the blob's
	affected uint32 // index into affected plus one
	by       citation
	bytes    int64
	modified int64  // nanoseconds since 1970; 0 if unknown
	name     string // the path, if ids don't determine it
	detail   string
}

type problemKey struct {
	id    finding.Kind
	kind  layout.Kind
	repo  uint32
	tag   uint32
	obj   uint32
	about uint32
	name  string
}

func keyOfProblem(p *problem) problemKey {
	return problemKey{p.id, p.kind, p.repo, p.tag, p.obj, p.about, p.name}
}

// citation is a manifest of a repository that needs the object of a problem. The zero
// citation is none.
type citation struct {
	repo uint32 // plus one
	id   uint32
}

// affected are the tags that a problem blocks.
type affected struct {
	first []graph.TagRef
	count int
}

// brokenTag is a tag that is blocked, or whose state is unknown, and the problems that are
// the reason.
type brokenTag struct {
	graph.TagRef
	because []uint32
	doubts  []string
	outlook finding.Outlook
	ask     finding.Kind
}

// unknown stands for a manifest that could not be read, which is reported as an unreadable
// key.
const unknown = math.MaxUint32

// local records a problem of the current repository, once. It has no cure if a name is
// invalid.
func (j *checker) local(p problem) {
	p.repo = j.CurrentID
	if ofTag := p.kind == layout.TagCurrent || p.kind == layout.TagHistory; j.Current.BadName || ofTag && j.Current.Tags[p.tag].BadName {
		p.cure = finding.CureNone
	}
	j.report(p)
}

// global records a problem of a blob, once for the store, and notes it for the tags of the
// current repository.
func (j *checker) global(p problem) {
	p.repo = graph.None
	j.report(p)
}

func (j *checker) report(p problem) {
	blocks := p.id.Harms()
	j.blocking = j.blocking || blocks
	if j.suppress(&p) {
		return
	}
	if (j.Unasked[p.obj] != "" || j.IsSpare(p.obj)) && p.obj != graph.None && p.cure.Asks() && p.cure != finding.CureWriteAsk {
		p.cure, p.spared = finding.CureNone, true // a source has it, or may: nothing is removed for it
	}
	key := keyOfProblem(&p)
	at, ok := j.known[key]
	if !ok {
		at = uint32(len(j.problems))
		j.known[key] = at
		j.problems = append(j.problems, p)
	} else if known := &j.problems[at]; p.id == finding.LayerLinkMissing && p.cure == finding.CureRebuild && known.cure == finding.CureNone {
		*known = p // another manifest proves what the first one only claims
	}
	if blocks && p.obj != graph.None && p.kind != layout.TagCurrent && p.kind != layout.TagHistory && !slices.Contains(j.bad[p.obj], at) {
		j.bad[p.obj] = append(j.bad[p.obj], at)
	}
}

// sort sorts the problems: by kind of finding, then repository, kind of link, tag and digest,
// nearly the order of their paths.
func (j *checker) sort() {
	order := make([]uint32, len(j.problems))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return j.compare(&j.problems[a], &j.problems[b]) })
	number := make([]uint32, len(order))
	problems := make([]problem, len(order))
	for to, from := range order {
		number[from] = uint32(to)
		problems[to] = j.problems[from]
	}
	j.problems, j.known = problems, nil
	for _, tags := range [][]brokenTag{j.broken, j.ambiguous} {
		for _, b := range tags {
			for k, at := range b.because {
				b.because[k] = number[at]
			}
			slices.Sort(b.because)
		}
	}
}

func (j *checker) compare(a, b *problem) int {
	return cmp.Or(
		cmp.Compare(a.id, b.id),
		cmp.Compare(a.repo+1, b.repo+1), // none sorts first
		cmp.Compare(pathOrder(a.kind), pathOrder(b.kind)),
		cmp.Compare(a.tag, b.tag),
		cmp.Compare(a.name, b.name),
		j.CompareIDs(a.obj, b.obj),
		j.CompareIDs(a.about, b.about),
	)
}

// pathOrder returns the rank of a kind of link by its directory's name.
func pathOrder(k layout.Kind) int {
	switch k {
	case layout.LayerLink, layout.Tarsum:
		return 1
	case layout.Revision:
		return 2
	case layout.TagCurrent:
		return 3
	case layout.TagHistory:
		return 4
	}
	return 0
}

// suppress reports whether p is about a key that changed during the scan or could not be read
// again. No finding is made of it; tags that need the key count as unknown.
func (j *checker) suppress(p *problem) bool {
	if len(j.Unconfirmed) == 0 {
		return false
	}
	for _, s := range j.refsOf(p) {
		if j.Unconfirmed[s] {
			if p.obj != graph.None && p.id.Severity() == finding.Error {
				j.bad[p.obj] = append(j.bad[p.obj], unknown)
				j.unjudged[p.obj] = describer{j}.pathOf(p)
			}
			return true
		}
	}
	return false
}

// refsOf returns the keys that a problem is about; none for a problem of no single repository.
func (j *checker) refsOf(p *problem) []graph.Ref {
	if p.repo == graph.None {
		return nil
	}
	at := func(kind layout.Kind, tag, id uint32) graph.Ref {
		return graph.Ref{Repo: p.repo, Link: graph.Link{Kind: kind, Tag: tag, ID: id}}
	}
	switch p.id {
	case finding.BlobMissing, finding.LayerLinkMissing: // a blob: what an alias stands for
		return []graph.Ref{at(layout.LayerLink, 0, p.obj)}
	case finding.RevisionLinkMissing: // a delete removes this link before the tags, and a store without directories keeps no trace
		all := []graph.Ref{at(layout.Revision, 0, p.obj)}
		for _, tag := range j.TagsOn(p.repo, p.obj) {
			all = append(all, at(layout.TagCurrent, tag, 0))
		}
		return all
	case finding.IndexChildMissing:
		return []graph.Ref{at(p.kind, 0, p.obj)}
	case finding.ManifestMissing, finding.ManifestLost:
		return []graph.Ref{at(layout.Revision, 0, p.obj)}
	case finding.SignatureOrphaned:
		d, _ := layout.SubjectOf(j.Repos[p.repo].Tags[p.tag].Name)
		return []graph.Ref{at(layout.Revision, 0, j.IDOf(d)), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagTargetForeign:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagDangling:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagWithoutCurrent:
		return []graph.Ref{at(layout.TagCurrent, p.tag, 0)}
	case finding.TagHistoryStale:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj)}
	case finding.LinkInvalid, finding.LinkMismatch, finding.BlobArchived:
		if p.kind == 0 {
			return nil
		}
		if p.kind == layout.TagCurrent {
			return []graph.Ref{at(p.kind, p.tag, 0)}
		}
		return []graph.Ref{at(p.kind, p.tag, p.obj)}
	case finding.RepoEmpty:
		return []graph.Ref{at(0, 0, 0)}
	}
	return nil
}

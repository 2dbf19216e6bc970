package check

import (
	"cmp"
	"math"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// problem is a finding before it has strings.
type problem struct {
	id      finding.Kind
	kind    layout.Kind // the link at fault; 0 for a blob, a directory, a file
	inGrace bool
	cure    finding.Cure

	withdrawn bool // nothing is to be repaired for it, since its image is withdrawn
	spared    bool // of a blob: an image that needs it isn't withdrawn

	repo     uint32 // none for what belongs to no single repository
	tag      uint32 // for a tag's links; what tells multipart uploads apart
	obj      uint32 // an id; none where there is none
	about    uint32 // a second id that tells it from others, of a wrong descriptor the blob's
	affected uint32 // index into affected plus one
	by       citation
	bytes    int64
	modified int64  // nanoseconds since 1970; 0 where unknown
	name     string // path, where ids don't give it
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

// citation is a manifest of a repository that needs what a problem is about.
// The zero citation is none.
type citation struct {
	repo uint32 // plus one
	id   uint32
}

// affected are the tags that can't be pulled because of a problem.
type affected struct {
	first []graph.TagRef
	count int
}

// brokenTag is a tag that can't be pulled, or of which nobody knows, and the
// problems that say why.
type brokenTag struct {
	graph.TagRef
	because []uint32
	doubts  []string
	outlook finding.Outlook
	ask     finding.Kind
}

// unknown stands in for a problem where a manifest could not be read: that is
// reported as a file, not as a manifest.
const unknown = math.MaxUint32

// local reports a problem of the repository being judged, once. Nothing is
// touched where a name is odd.
func (j *checker) local(p problem) {
	p.repo = j.CurrentID
	if ofTag := p.kind == layout.TagCurrent || p.kind == layout.TagHistory; j.Current.BadName || ofTag && j.Current.Tags[p.tag].BadName {
		p.cure = finding.CureNone
	}
	j.report(p)
}

// global reports a problem of a blob, once for the whole store, and notes it
// for the tags of the repository being judged.
func (j *checker) global(p problem) {
	p.repo = graph.None
	j.report(p)
}

func (j *checker) report(p problem) {
	hurts := p.id.Harms()
	j.hurt = j.hurt || hurts
	if j.unsettled(&p) {
		return
	}
	if (j.Unasked[p.obj] != "" || j.IsSpare(p.obj)) && p.obj != graph.None && p.cure.Asks() && p.cure != finding.CureWriteAsk {
		p.cure, p.spared = finding.CureNone, true // a source has it, or may: nothing is given up
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
	if hurts && p.obj != graph.None && p.kind != layout.TagCurrent && p.kind != layout.TagHistory && !slices.Contains(j.bad[p.obj], at) {
		j.bad[p.obj] = append(j.bad[p.obj], at)
	}
}

// sort brings the problems into the order in which they are told: by id, then
// repository, kind of link, tag and digest, which is the order of their paths
// but for where a slash sorts.
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
		cmp.Compare(a.repo+1, b.repo+1), // none first
		cmp.Compare(pathOrder(a.kind), pathOrder(b.kind)),
		cmp.Compare(a.tag, b.tag),
		cmp.Compare(a.name, b.name),
		j.CompareIDs(a.obj, b.obj),
		j.CompareIDs(a.about, b.about),
	)
}

// pathOrder ranks kinds of links as their directories sort.
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

// unsettled reports whether nothing is to be said of the problem's place, and
// has its tags counted as unknown then.
func (j *checker) unsettled(p *problem) bool {
	if len(j.Unconfirmed) == 0 {
		return false
	}
	for _, s := range j.spots(p) {
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

// spots returns the places that a problem is about.
func (j *checker) spots(p *problem) []graph.Ref {
	at := func(kind layout.Kind, tag, id uint32) graph.Ref {
		return graph.Ref{Repo: p.repo, Link: graph.Link{Kind: kind, Tag: tag, ID: id}}
	}
	switch p.id {
	case finding.BlobMissing:
		if p.repo != graph.None { // what an alias stands for
			return []graph.Ref{at(layout.LayerLink, 0, p.obj)}
		}
	case finding.RevisionLinkMissing: // a delete takes this link before the tags, and where there are no directories nothing tells
		all := []graph.Ref{at(layout.Revision, 0, p.obj)}
		for _, tag := range j.TagsOn(p.repo, p.obj) {
			all = append(all, at(layout.TagCurrent, tag, 0))
		}
		return all
	case finding.IndexChildMissing:
		return []graph.Ref{at(p.kind, 0, p.obj)}
	case finding.ManifestMissing:
		return []graph.Ref{at(layout.Revision, 0, p.obj)}
	case finding.SignatureOrphaned:
		d, _ := layout.SubjectOf(j.Repos[p.repo].Tags[p.tag].Name)
		return []graph.Ref{at(layout.Revision, 0, j.IDOf(d)), at(layout.TagCurrent, p.tag, 0)}
	case finding.LayerLinkMissing:
		return []graph.Ref{at(layout.LayerLink, 0, p.obj)}
	case finding.TagTargetForeign:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagHistory, p.tag, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagDangling:
		return []graph.Ref{at(layout.Revision, 0, p.obj), at(layout.TagCurrent, p.tag, 0)}
	case finding.TagWithoutCurrent:
		return []graph.Ref{at(layout.TagCurrent, p.tag, 0)}
	case finding.ManifestLost:
		if p.repo != graph.None {
			return []graph.Ref{at(layout.Revision, 0, p.obj)}
		}
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

package graph

import (
	"cmp"
	"slices"

	"regfsck/walker"
)

// Doubts are signs that what looks like garbage is none: that the store's links
// or tags are kept in a database, of which nothing here knows.
type Doubts struct {
	Database  string   // what says that the links are in one, "" for nothing: GitLab's mark, or the configuration
	Linkless  int      // blobs that nothing needs and no link names, newer than the newest link of the store
	Tagless   []string // repositories that have revisions and no tag at all, sorted
	Overtaken []string // repositories whose tags look as if they were kept elsewhere since some day, sorted; see overtaken
}

func (j *judgement) doubts() Doubts {
	d := Doubts{Overtaken: j.overtaken()}
	linked := newBitset(j.len() + len(j.past))
	for i := range j.repos {
		r := &j.repos[i]
		if len(r.tags) == 0 && len(r.revisions)+len(r.layerManifests) > 0 {
			d.Tagless = append(d.Tagless, r.name)
		}
		r.named(func(id uint32) { linked.add(id) })
	}
	newest := seconds(j.newestLink)
	for id, modified := range j.modified {
		if modified > newest && !linked.has(uint32(id)) && !j.referenced.has(uint32(id)) {
			d.Linkless++
		}
	}
	return d
}

// head is when the newest manifest of a repository with tags was pushed, and
// whether no tag followed it.
type head struct {
	repo      uint32
	pushed    uint32
	overtaken bool
}

// noteHead notes the head of the repository being judged, once it is known what
// its tags lead to. It is overtaken where no tag leads to any manifest that was
// pushed last, and every tag is older. A push writes its tag last; so one that moved
// any tag, latest say, is no such case, however many builds lost theirs before it.
func (j *judgement) noteHead() {
	if len(j.r.tags) == 0 || len(j.r.revisions) == 0 {
		return
	}
	h := head{repo: j.ri, overtaken: true}
	for _, v := range j.r.revisions {
		h.pushed = max(h.pushed, v.modified)
	}
	for _, t := range j.r.tags {
		h.overtaken = h.overtaken && t.modified < h.pushed
	}
	for _, v := range j.r.revisions {
		if v.modified == h.pushed && (j.isReached(v.id) || j.stateAt(v.id) != walker.ManifestGood) {
			h.overtaken = false
		}
	}
	j.heads = append(j.heads, h)
}

// few is how many repositories may be overtaken in a store whose tags are files: of
// so many the newest tag may just have been deleted.
const few = 5

// overtaken returns the repositories whose tags a database seems to hold since some
// day: Harbor from 2.15 on writes no tag, over a store whose old tags are still
// there. Since such a day nothing that was pushed anywhere has a tag. So there has to
// be a day since which more than a few repositories were overtaken, and they are
// three in four at least of those that anything was pushed to: a tag that was
// touched or written by hand since then clears nobody, and the repositories that
// lost their newest tag in a store of which most go on by tags are no sign.
func (j *judgement) overtaken() (names []string) {
	slices.SortFunc(j.heads, func(a, b head) int { return cmp.Compare(b.pushed, a.pushed) })
	n, since := 0, 0
	for i, h := range j.heads {
		if h.overtaken {
			n++
		}
		if n > few && 4*n >= 3*(i+1) {
			since = i + 1
		}
	}
	for _, h := range j.heads[:since] {
		if h.overtaken {
			names = append(names, j.repos[h.repo].name)
		}
	}
	slices.Sort(names)
	return names
}

// named calls each with every id that a link of the repository names, by its
// path or by its content.
func (r *repo) named(each func(id uint32)) {
	for _, l := range r.layers {
		each(l.id())
	}
	for _, v := range r.revisions {
		each(v.id)
	}
	for _, h := range r.history {
		each(h.id)
	}
	for i := range r.tags {
		if r.tags[i].target != none {
			each(r.tags[i].target)
		}
	}
	for _, a := range r.aliases {
		if a.target != none {
			each(a.target)
		}
	}
	for _, o := range r.odd {
		if o.target != none {
			each(o.target)
		}
	}
}

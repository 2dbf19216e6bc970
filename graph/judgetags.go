package graph

import (
	"cmp"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// tags makes the tags' targets roots. It reports whether every tag's target is
// certain, and whether something broken pins the repository.
func (j *judgement) tags() (certain, pinned bool) {
	certain = true
	for i := range j.r.tags {
		t := &j.r.tags[i]
		j.totals.Tags++
		if n := j.nodeAt(t.target); n != nil && n.kind == manifest.Schema1 {
			j.schema1 = append(j.schema1, tagRef{j.ri, uint32(i)})
			j.totals.TagsSchema1++
		}
		if t.badName {
			j.local(problem{id: finding.NameInvalid, name: layout.TagKey(j.r.name, t.name), tag: uint32(i), obj: none, cure: finding.CureNone})
		}
		if j.cut.takes(uint32(i)) && !j.Removal.TagsOnly {
			continue
		}
		if t.target == none {
			certain = false
			pinned = j.uncertainTag(uint32(i), t) || pinned
			continue
		}
		pinned = j.tagTarget(uint32(i), t) || pinned
	}
	return certain, pinned
}

// uncertainTag keeps all that the tag may mean. What is broken of it pins.
func (j *judgement) uncertainTag(i uint32, t *tag) (pinned bool) {
	p := place{kind: layout.TagCurrent, tag: i}
	entries := historyOf(j.r, i)
	provable := len(entries) == 1 && j.stateAt(entries[0].id) == walker.ManifestGood
	for _, h := range entries { // it may mean any of these
		j.root(h.id)
		pinned = pinned || j.uncertain(h.id) || brokenState(j.stateAt(h.id))
	}
	if t.current {
		j.oddLink(p, j.r.odd[p], provable)
		return pinned
	}
	cure := finding.CureRemoveAsk
	if provable {
		cure = finding.CureRebuild
	}
	j.local(problem{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, tag: i, obj: none, name: layout.TagKey(j.r.name, t.name), cure: cure})
	return pinned
}

// historyOf returns the entries of a tag's index/.
func historyOf(r *repo, t uint32) []history {
	from, _ := slices.BinarySearchFunc(r.history, t, func(h history, t uint32) int { return cmp.Compare(h.tag, t) })
	to := from
	for to < len(r.history) && r.history[to].tag == t {
		to++
	}
	return r.history[from:to]
}

func (j *judgement) tagTarget(i uint32, t *tag) (pinned bool) {
	if !j.r.hasRevision(t.target) {
		switch state := j.stateAt(t.target); {
		case !j.witnessed(i, t):
			return j.foreignTarget(i, t)
		case state == walker.ManifestGood:
			j.rebuildRevision(t.target, citation{})
		case state == walker.ManifestMissing:
			if j.uncertain(t.target) {
				j.doubt(t.target)
				pinned = true
				break
			}
			j.local(problem{id: finding.TagDangling, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk})
		default:
			pinned = j.manifestState(t.target, false)
		}
	}
	j.root(t.target)
	return pinned
}

// witnessed reports whether something of the repository beside the tag's current
// link says that what it means was pushed here: an entry of the tag's history, whose
// path names it, or the links of the manifest or of all that it needs. A target that
// is gone, of a tag without any history, can't be told from one.
func (j *judgement) witnessed(i uint32, t *tag) bool {
	entries := historyOf(j.r, i)
	switch j.stateAt(t.target) {
	case walker.ManifestGood:
		if j.r.links(t.target) || j.in(j.r, t.target).proven() {
			return true
		}
	case walker.ManifestMissing:
		if len(entries) == 0 {
			return true
		}
	}
	return j.cache || j.uncertain(t.target) || slices.ContainsFunc(entries, func(h history) bool { return h.id == t.target })
}

// foreignTarget reports a tag whose target was never pushed here, and keeps what it
// meant before: all of its history. What it means now is kept, and not linked here.
func (j *judgement) foreignTarget(i uint32, t *tag) (pinned bool) {
	j.strays[tagRef{j.ri, i}] = true
	for _, h := range historyOf(j.r, i) {
		j.keepHere(h.id)
	}
	j.keepDim(t.target)
	if j.r.blind { // the links that could prove it may be among what wasn't read
		j.doubt(t.target)
		return true
	}
	p := problem{id: finding.TagTargetForeign, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk}
	if h := j.lastWhole(j.r, i); h != nil {
		p.cure, p.detail = finding.CureWriteAsk, "it can go back to "+j.nameOf(h.id)
	}
	j.local(p)
	return true
}

// lastWhole returns the newest entry of a tag's history whose image the repository
// serves whole; nil for none.
func (j *judgement) lastWhole(r *repo, i uint32) (last *history) {
	entries := historyOf(r, i)
	for at := range entries {
		h := &entries[at]
		newer := last == nil || h.modified > last.modified || h.modified == last.modified && j.compareIDs(h.id, last.id) < 0
		if newer && j.whole(r, h.id, map[uint32]bool{}) {
			last = h
		}
	}
	return last
}

// whole reports whether the repository has a manifest and all that a pull of it
// needs, but for layer links, which a fix rebuilds.
func (j *judgement) whole(r *repo, id uint32, seen map[uint32]bool) bool {
	if seen[id] {
		return true
	}
	seen[id] = true
	if j.stateAt(id) != walker.ManifestGood || !r.hasRevision(id) {
		return false
	}
	for s := range j.in(r, id).serves {
		is := true
		switch {
		case !s.read():
		case s.child:
			is = j.whole(r, s.to, seen)
		case s.role() == manifest.Config || s.role() == manifest.Layer:
			is = j.present(s.to) && !j.wrong(s.to) && !j.uncertain(s.to)
		}
		if !is {
			return false
		}
	}
	return true
}

// rebuildRevision reports a missing revision link that can be proven: by a tag,
// or by the index that it cites.
func (j *judgement) rebuildRevision(id uint32, by citation) {
	p := problem{id: finding.RevisionLinkMissing, kind: layout.Revision, obj: id, by: by, cure: finding.CureRebuild}
	if j.cache {
		p.cure = finding.CureNone
	}
	j.local(p)
}

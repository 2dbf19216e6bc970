package graph

import (
	"cmp"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// tags makes the tags' targets roots. It tells whether every tag's target is
// certain, and whether something broken pins the repository.
func (j *judgement) tags() (certain, pinned bool) {
	certain = true
	for i := range j.r.tags {
		t := &j.r.tags[i]
		j.totals.Tags++
		if t.badName {
			j.local(problem{id: NameInvalid, name: layout.TagKey(j.r.name, t.name), tag: uint32(i), obj: none, cure: CureNone})
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
	cure := CureRemoveAsk
	if provable {
		cure = CureRebuild
	}
	j.local(problem{id: TagWithoutCurrent, kind: layout.TagCurrent, tag: i, obj: none, name: layout.TagKey(j.r.name, t.name), cure: cure})
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
		switch j.stateAt(t.target) {
		case walker.ManifestGood:
			j.rebuildRevision(t.target, citation{})
		case walker.ManifestMissing:
			if j.uncertain(t.target) {
				j.doubt(t.target)
				pinned = true
				break
			}
			j.local(problem{id: TagDangling, kind: layout.TagCurrent, tag: i, obj: t.target, cure: CureRemoveAsk})
		default:
			pinned = j.manifestState(t.target, false)
		}
	}
	j.root(t.target)
	return pinned
}

// rebuildRevision reports a missing revision link that can be proven: by a tag,
// or by the index that it cites.
func (j *judgement) rebuildRevision(id uint32, by citation) {
	p := problem{id: RevisionLinkMissing, kind: layout.Revision, obj: id, by: by, cure: CureRebuild}
	if j.cache {
		p.cure = CureNone
	}
	j.local(p)
}

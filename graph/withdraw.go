package graph

import (
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// withdraws reports whether, as was asked for, the images are withdrawn that a
// problem of that kind keeps from being pulled. A blob that is moved away is
// missing then. A pull-through cache needs none of it: it fetches what is gone.
func (j *judgement) withdraws(id finding.Kind) bool {
	if j.Removal != nil || j.cache || !j.Also[finding.BlobMissing] {
		return false
	}
	return id == finding.BlobMissing || id == finding.BlobCorrupt && j.Also[finding.BlobCorrupt]
}

// withdraw reports the tags and revision links of the images of the repository
// being judged that can't be pulled since a blob is missing: a client that looks at
// the manifest first would take a push of them for done. An index goes with what it
// names. They stay roots of this judgement, so that nothing else goes with them. Of
// the problems from the given one on, those that would be cured for them aren't.
func (j *judgement) withdraw(from int) {
	if !j.hurt || !j.withdraws(finding.BlobMissing) {
		return
	}
	stays := j.mustStay()
	whys := map[uint32]string{}
	why := func(id uint32) string {
		text, known := whys[id]
		if !known {
			text = j.missingOf(id, stays[id])
			whys[id] = text
		}
		return text
	}
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.target != none && why(t.target) != "" {
			j.local(problem{
				id: finding.TagWithdrawn, kind: layout.TagCurrent, tag: uint32(i), obj: t.target, cure: finding.CureRemove,
				detail: why(t.target),
			})
		}
	}
	for _, v := range j.r.revisions {
		if why(v.id) != "" && !j.fixed(place{kind: layout.Revision, id: v.id}) {
			j.local(problem{
				id: finding.ManifestWithdrawn, kind: layout.Revision, obj: v.id, cure: finding.CureRemove,
				bytes: linkBytes, modified: int64(v.modified) * 1e9, detail: why(v.id),
			})
		}
	}
	for i := from; i < len(j.problems); i++ {
		if p := &j.problems[i]; p.id == finding.RevisionLinkMissing && p.repo == j.ri && why(p.obj) != "" {
			p.cure, p.withdrawn = finding.CureNone, true
		}
	}
}

// mustStay are the manifests of the repository being judged that can't be withdrawn:
// a tag that stays means them, or may, or an index that stays names them.
func (j *judgement) mustStay() map[uint32]bool {
	stays := map[uint32]bool{}
	for i := range j.r.tags {
		t, entries := &j.r.tags[i], historyOf(j.r, uint32(i))
		fixed := j.r.badName || t.badName || j.fixed(place{kind: layout.TagCurrent, tag: uint32(i)}) ||
			slices.ContainsFunc(entries, func(h history) bool { return j.fixed(place{layout.TagHistory, uint32(i), h.id}) })
		switch {
		case t.target == none:
			for _, h := range entries {
				stays[h.id] = true
			}
		case fixed:
			stays[t.target] = true
		}
	}
	for todo := slices.Collect(maps.Keys(stays)); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for e, needed := range j.in(j.r, id).needs {
			if e.isEntry() && !stays[needed] {
				stays[needed] = true
				todo = append(todo, needed)
			}
		}
	}
	return stays
}

// missingOf says what is missing of an image that is to be withdrawn, "" if it isn't:
// it can be pulled, or something else stands in its way, or it must stay.
func (j *judgement) missingOf(id uint32, stays bool) (why string) {
	if !j.isReached(id) {
		return ""
	}
	for _, at := range j.verdictOf(id).because {
		p := &j.problems[at]
		switch {
		case p.repo != none || !j.withdraws(p.id) || p.cure == finding.CureRebuild:
		case stays || j.r.badName:
			p.withheld = true
		case p.id == finding.BlobMissing:
			return "it can't be pulled: " + j.nameOf(p.obj) + " is missing"
		default:
			return "it can't be pulled: " + j.nameOf(p.obj) + " is corrupt, and is moved away"
		}
	}
	return ""
}

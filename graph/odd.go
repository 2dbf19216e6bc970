package graph

import (
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// oddLink reports a link whose content isn't what its path says.
func (j *judgement) oddLink(p place, o odd, provable bool) {
	pr := problem{id: finding.LinkInvalid, kind: p.kind, tag: p.tag, obj: p.id, cure: finding.CureNone, detail: "the link " + o.why}
	if p.kind == layout.TagCurrent {
		pr.obj = none
	}
	if o.state == walker.LinkMismatch {
		pr.id, pr.detail = finding.LinkMismatch, "the link holds "+j.nameOf(o.target)
	}
	if o.state == walker.LinkArchived { // restored, it is as good as before
		pr.id, provable = finding.BlobArchived, false
	}
	if provable && !j.cache {
		pr.cure = finding.CureRebuild
	}
	j.local(pr)
}

// held keeps what a mismatching link's content names, and what a link named
// when it was first looked at. What is broken of it pins. Its content alone doesn't
// prove that this was pushed here.
func (j *judgement) held() (pinned bool) {
	if j.cut.all() {
		return false
	}
	keep := func(id uint32) {
		j.need(id)
		j.keepHere(id)
		pinned = pinned || j.uncertain(id) || brokenState(j.stateAt(id))
	}
	for _, o := range j.r.odd {
		if o.state == walker.LinkMismatch {
			keep(o.target)
		}
	}
	for _, id := range j.r.held {
		keep(id)
	}
	return pinned
}

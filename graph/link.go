package graph

import (
	"time"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// link says of a problem about a link what a fix goes by.
func (j *judgement) link(p *problem) *finding.Link {
	r := &j.repos[p.repo]
	if p.kind == layout.TagCurrent {
		return j.tagLink(r, p.tag)
	}
	at := place{p.kind, p.tag, p.obj}
	l := j.linkAt(r, at)
	if p.kind != layout.TagHistory {
		l.Present = j.knows(r, at)
	}
	if !l.Present {
		l.Stored = ""
	}
	return &l
}

// linkAt is a link whose path names a digest.
func (j *judgement) linkAt(r *repo, at place) finding.Link {
	l := finding.Link{Wanted: j.nameOf(at.id), Present: true, Time: j.modifiedOf(at.id)}
	l.Stored = l.Wanted
	if at.kind == layout.LayerLink && j.standsFor(r, at.id) {
		l.Wanted, l.Stored = "", ""
		if a := r.aliasOf(at.id); a != nil && a.target != none {
			l.Stored = j.nameOf(a.target)
		}
	}
	if o, ok := r.odd[at]; ok {
		l.Stored = o.body
	}
	return l
}

// tagLink is a tag's current link, with the history that goes with the tag.
func (j *judgement) tagLink(r *repo, t uint32) *finding.Link {
	tag := &r.tags[t]
	l := &finding.Link{Present: tag.current}
	entries := historyOf(r, t)
	if o, ok := r.odd[place{kind: layout.TagCurrent, tag: t}]; ok {
		l.Stored = o.body
	} else if tag.target != none {
		l.Stored = j.nameOf(tag.target)
	}
	if j.strays[tagRef{j.repoID[r.name], t}] {
		if h := j.lastWhole(r, t); h != nil {
			l.Wanted, l.Time = j.nameOf(h.id), timeOf(h.modified)
		}
	} else if len(entries) == 1 && j.stateAt(entries[0].id) == walker.ManifestGood {
		l.Wanted, l.Time = j.nameOf(entries[0].id), timeOf(entries[0].modified)
	}
	for _, h := range entries {
		at := place{layout.TagHistory, t, h.id}
		entry := j.linkAt(r, at)
		entry.Path = j.keyOf(spot{j.repoID[r.name], at})
		entry.Time = time.Time{}
		l.History = append(l.History, entry)
	}
	return l
}

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

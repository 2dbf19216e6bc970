package check

import (
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// link says of a problem about a link what a fix goes by.
func (j *checker) link(p *problem) *finding.Link {
	r := &j.Repos[p.repo]
	if p.kind == layout.TagCurrent {
		return j.tagLink(r, p.tag)
	}
	at := graph.Link{Kind: p.kind, Tag: p.tag, ID: p.obj}
	l := j.linkAt(r, at)
	if p.kind != layout.TagHistory {
		l.Present = j.Knows(r, at)
	}
	if !l.Present {
		l.Stored = ""
	}
	return &l
}

// linkAt is a link whose path names a digest.
func (j *checker) linkAt(r *graph.Repository, at graph.Link) finding.Link {
	l := finding.Link{Wanted: j.NameOf(at.ID), Present: true, Time: j.ModifiedOf(at.ID)}
	l.Stored = l.Wanted
	if at.Kind == layout.LayerLink && j.StandsFor(r, at.ID) {
		l.Wanted, l.Stored = "", ""
		if a := r.AliasOf(at.ID); a != nil && a.Target != graph.None {
			l.Stored = j.NameOf(a.Target)
		}
	}
	if o, ok := r.Bad[at]; ok {
		l.Stored = o.Body
	}
	return l
}

// tagLink is a tag's current link, with the history that goes with the tag.
func (j *checker) tagLink(r *graph.Repository, t uint32) *finding.Link {
	tag := &r.Tags[t]
	l := &finding.Link{Present: tag.Current}
	entries := graph.HistoryOf(r, t)
	if o, ok := r.Bad[graph.Link{Kind: layout.TagCurrent, Tag: t}]; ok {
		l.Stored = o.Body
	} else if tag.Target != graph.None {
		l.Stored = j.NameOf(tag.Target)
	}
	if j.Strays[graph.TagRef{Repo: j.RepoID[r.Name], Tag: t}] {
		if h := j.lastWhole(r, t); h != nil {
			l.Wanted, l.Time = j.NameOf(h.ID), graph.TimeOf(h.Modified)
		}
	} else if len(entries) == 1 && j.StateAt(entries[0].ID) == walker.ManifestGood {
		l.Wanted, l.Time = j.NameOf(entries[0].ID), graph.TimeOf(entries[0].Modified)
	}
	for _, h := range entries {
		at := graph.Link{Kind: layout.TagHistory, Tag: t, ID: h.ID}
		entry := j.linkAt(r, at)
		entry.Path = j.KeyOf(graph.Ref{Repo: j.RepoID[r.Name], Link: at})
		entry.Time = time.Time{}
		l.History = append(l.History, entry)
	}
	return l
}

// oddLink reports a link whose content isn't what its path says.
func (j *checker) oddLink(p graph.Link, o graph.BadLink, provable bool) {
	pr := problem{id: finding.LinkInvalid, kind: p.Kind, tag: p.Tag, obj: p.ID, cure: finding.CureNone, detail: "the link " + o.Why}
	if p.Kind == layout.TagCurrent {
		pr.obj = graph.None
	}
	if o.State == walker.LinkMismatch {
		pr.id, pr.detail = finding.LinkMismatch, "the link holds "+j.NameOf(o.Target)
	}
	if o.State == walker.LinkArchived { // restored, it is as good as before
		pr.id, provable = finding.BlobArchived, false
	}
	if provable && !j.Cache {
		pr.cure = finding.CureRebuild
	}
	j.local(pr)
}

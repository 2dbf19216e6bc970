package check

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// describer converts problems to findings.
type describer struct{ *checker }

// result returns the result of a judgement. Its findings are computed on iteration.
func (j describer) result(notes []string) *Result {
	if j.before != nil {
		return removalRules(j).removalResult(notes)
	}
	r := &Result{
		Complete: true,
		Broken:   j.tagsOf(j.broken),
		Unknown:  j.tagsOf(j.ambiguous),
		Findings: j.findings,
		Notes:    notes,
		Marks:    j.Marks,
	}
	r.Counts = j.counts()
	j.totals.ReclaimableBytes = reclaimable(&r.Counts)
	r.Complete = r.Counts[finding.StoreUnreadable].Count == 0
	r.Totals = j.totals
	r.Totals.SpareHeals = cures(j).countSpare()
	r.Doubts = doubter(j).doubts()
	return r
}

// counts returns the number and bytes of findings of each kind.
func (j describer) counts() (all [finding.NumKinds]finding.Count) {
	for i := range j.problems {
		if p := &j.problems[i]; p.id < finding.NumKinds {
			j.tally(&all[p.id], p.inGrace, j.bytesOf(p))
		}
	}
	for id := range j.Orphans() {
		j.tally(&all[finding.BlobOrphan], j.BlobInGrace(id), j.Sizes[id])
	}
	for _, id := range []finding.Kind{finding.LayerLinkUnreferenced, finding.LayerLinkDangling} {
		for l := range j.UnreferencedLinks(id) {
			j.tally(&all[id], l.InGrace(), j.BytesOfLink(l.Layer.ID()))
		}
	}
	return all
}

// reclaimable returns the bytes of all garbage, which a fix frees, with links.
func reclaimable(counts *[finding.NumKinds]finding.Count) (bytes int64) {
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			bytes += counts[id].Bytes
		}
	}
	return bytes
}

func (j describer) tally(c *finding.Count, young bool, bytes int64) {
	if young {
		c.InGrace++
		return
	}
	c.Count++
	c.Bytes += bytes
}

func (j describer) findings(yield func(finding.Finding) bool) {
	at := 0
	for id := range finding.All {
		for ; at < len(j.problems) && j.problems[at].id == id; at++ {
			if (removalRules(j)).madeByRemoval(&j.problems[at]) && !yield(j.finding(&j.problems[at])) {
				return
			}
		}
		switch id {
		case finding.BlobOrphan:
			for blob := range j.Orphans() {
				if !yield(j.orphanFinding(blob)) {
					return
				}
			}
		case finding.LayerLinkUnreferenced, finding.LayerLinkDangling, finding.RepositoryRemoved:
			for l := range j.UnreferencedLinks(id) {
				if !yield(j.spareFinding(id, l)) {
					return
				}
			}
		}
	}
}

func (j describer) orphanFinding(id uint32) finding.Finding {
	d := j.AnyOf(id)
	f := finding.Finding{
		Kind: finding.BlobOrphan, Path: d.BlobKey(), Digest: d.String(), Bytes: j.Sizes[id],
		Modified: graph.TimeOf(j.Modified[id]), Cure: finding.CureRemove, InGrace: j.BlobInGrace(id),
	}
	if j.BadHashes[id].State == walker.HashWrong {
		f.Detail = "its bytes don't hash to its digest"
	}
	return f
}

func (j describer) spareFinding(id finding.Kind, l gc.UnreferencedLink) finding.Finding {
	r := &j.Repos[l.Repo]
	f := finding.Finding{
		Kind: id, Path: j.KeyOf(graph.Ref{Repo: l.Repo, Link: graph.Link{Kind: layout.LayerLink, ID: l.Layer.ID()}}), Repository: r.Name,
		Digest: j.NameOf(l.Layer.ID()), Bytes: j.BytesOfLink(l.Layer.ID()),
		Cure: finding.CureRemove, InGrace: l.InGrace(),
	}
	f.Link = &finding.Link{Stored: f.Digest, Wanted: f.Digest, Present: true}
	if o, ok := r.Bad[graph.Link{Kind: layout.LayerLink, ID: l.Layer.ID()}]; ok {
		f.Detail, f.Link.Stored = "it "+o.Why, o.Body
	}
	return f
}

// finding converts a problem.
func (j describer) finding(p *problem) finding.Finding {
	f := finding.Finding{
		Kind: p.id, Path: j.pathOf(p), Bytes: j.bytesOf(p), Detail: p.detail, Cure: p.cure, InGrace: p.inGrace,
		Modified: j.timeOf(p),
	}
	if p.repo != graph.None {
		r := &j.Repos[p.repo]
		f.Repository = r.Name
		directory := layout.ParseDirectory(f.Path)
		if f.Tag = directory.Tag; p.id != finding.ForeignFile {
			f.Tag = cmp.Or(directory.Tag, directory.NoTag)
		}
	}
	if p.id == finding.CatalogMarker {
		directory := layout.ParseDirectory(f.Path)
		f.Repository, f.Tag = directory.Repository, cmp.Or(directory.Tag, directory.NoTag)
	}
	if p.obj != graph.None {
		f.Digest = j.NameOf(p.obj)
	}
	if key, err := layout.Parse(p.name); err == nil && key.Kind == layout.Signature {
		f.Digest = key.SignatureAlgorithm + ":" + key.SignatureHex
	}
	if p.id == finding.ManifestUnparsable {
		f.Detail = fmt.Sprintf("its format is unknown: %v", j.Whys[j.NodeOf[p.obj]-1])
	}
	if p.id == finding.MultipartStale {
		f.Upload = j.Entries[p.tag].Upload
	}
	if p.id == finding.RepoEmpty || p.id == finding.RepositoryRemoved && (removalRules(j)).isRepository(p) {
		f.Directories = removalRules(j).directoriesOf(p)
	}
	if p.repo != graph.None && p.kind != 0 {
		f.Link = j.link(p)
	}
	if p.by.repo > 0 {
		f.Detail = strings.TrimPrefix(f.Detail+", needed by "+j.Repos[p.by.repo-1].Name+"@"+j.NameOf(p.by.id), ", ")
	}
	f.Withdrawn = p.withdrawn || p.repo == graph.None && tagRules(j).withdraws(p.id) && !p.spared && !p.cure.Restores()
	if v := (lostFinder(j)).revivalOf(p); v != nil {
		f.Tag, f.Found = v.tag, lostFinder(j).linksOf(p.repo, v)
	}
	if p.id == finding.TagFromSource && p.cure == finding.CureWriteAsk {
		f.Found = returner(j).linksOf(j.returning[p.name])
	}
	if p.repo == graph.None && p.obj != graph.None && p.cure == finding.CureRebuild {
		f.Blob = j.rebuiltBlob(p)
	}
	if p.cure == finding.CureHeal {
		f.Blob = j.healedBlob(p)
	}
	if f.Spare = cures(j).spares(p); f.Spare {
		f.Detail = strings.TrimPrefix(f.Detail+"; no tag is known to need it, and "+j.Sources[j.Heals[p.obj].Source]+" has it: --from-all copies it", "; ")
	}
	if why := j.Unable[p.obj]; why != "" && p.obj != graph.None && p.cure != finding.CureRebuild {
		f.Detail = strings.TrimPrefix(f.Detail+"; "+why, "; ")
	}
	if p.affected > 0 {
		a := j.affected[p.affected-1]
		f.AffectsCount = a.count
		for _, t := range a.first {
			f.Affects = append(f.Affects, j.ref(t))
		}
	}
	return f
}

func (j describer) ref(t graph.TagRef) string {
	r := &j.Repos[t.Repo]
	return r.Name + ":" + r.Tags[t.Tag].Name
}

// pathOf returns the key of a problem.
func (j describer) pathOf(p *problem) string {
	switch {
	case p.name != "":
		return p.name
	case p.kind == 0 || p.kind == layout.Blob:
		return j.BlobKey(p.obj)
	}
	id := p.obj
	if p.kind == layout.TagCurrent {
		id = graph.None
	}
	return j.KeyOf(graph.Ref{Repo: p.repo, Link: graph.Link{Kind: p.kind, Tag: p.tag, ID: id}})
}

// bytesOf returns the stored bytes of a problem's object.
func (j describer) bytesOf(p *problem) int64 {
	if p.bytes == 0 && p.kind == 0 && p.obj != graph.None && j.Present(p.obj) {
		return j.SizeOf(p.obj)
	}
	return p.bytes
}

func (j describer) timeOf(p *problem) time.Time {
	switch {
	case p.modified != 0:
		return graph.TimeOf(graph.Seconds(p.modified))
	case p.kind == 0 && p.obj != graph.None:
		return j.ModifiedOf(p.obj)
	case p.kind == layout.TagCurrent && p.repo != graph.None:
		return graph.TimeOf(j.Repos[p.repo].Tags[p.tag].Modified)
	}
	return time.Time{}
}

func (j describer) tagsOf(tags []brokenTag) iter.Seq[finding.BrokenTag] {
	return func(yield func(finding.BrokenTag) bool) {
		for _, b := range tags {
			r := &j.Repos[b.Repo]
			if !yield(finding.BrokenTag{Repository: r.Name, Tag: r.Tags[b.Tag].Name, Because: j.because(b), Outlook: b.outlook, Ask: b.ask}) {
				return
			}
		}
	}
}

// because returns the findings that block a tag and the keys whose state is unknown, sorted.
func (j describer) because(b brokenTag) []string {
	reasons := slices.Clone(b.doubts)
	for _, at := range b.because {
		p := &j.problems[at]
		reasons = append(reasons, p.id.String()+" "+j.pathOf(p))
	}
	slices.Sort(reasons)
	return reasons
}

// rebuiltBlob returns what a fix needs to rebuild a blob; nil for other problems.
func (j describer) rebuiltBlob(p *problem) *finding.Blob {
	b := &finding.Blob{Present: j.Present(p.obj), Time: j.ModifiedOf(p.obj)}
	b.Body, _ = j.ProvenBytes(p.obj)
	if !b.Present && p.by.repo > 0 {
		b.Time = j.ModifiedOf(p.by.id)
	}
	return b
}

// healedBlob returns what a fix needs to copy a blob; nil for other problems.
func (j describer) healedBlob(p *problem) *finding.Blob {
	h := j.Heals[p.obj]
	b := &finding.Blob{From: j.Sources[h.Source], Size: h.Size, Present: j.Present(p.obj), Time: j.ModifiedOf(p.obj)}
	switch {
	case b.Present:
	case p.by.repo > 0:
		if b.Time = j.ModifiedOf(p.by.id); b.Time.IsZero() { // the manifest is copied too
			b.Time = j.pushedAt(p.by.repo-1, p.by.id)
		}
	case p.repo != graph.None:
		b.Time = j.pushedAt(p.repo, p.obj)
	}
	return b
}

// pushedAt returns when a manifest was pushed to a repository, by its links; zero if there
// are none.
func (j describer) pushedAt(repo, id uint32) time.Time {
	r := &j.Repos[repo]
	if i := slices.IndexFunc(r.Revisions, func(v graph.Revision) bool { return v.ID == id }); i >= 0 {
		return graph.TimeOf(r.Revisions[i].Modified)
	}
	for _, tag := range j.TagsOn(repo, id) {
		return graph.TimeOf(r.Tags[tag].Modified)
	}
	if at, ok := j.sourceLinks.Links(r.Name, j.AnyOf(id)); ok {
		return graph.TimeOf(at)
	}
	return time.Time{}
}

// link returns what a fix needs for a problem of a link.
func (j describer) link(p *problem) *finding.Link {
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

// linkAt returns a link whose path contains a digest.
func (j describer) linkAt(r *graph.Repository, at graph.Link) finding.Link {
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

// tagLink returns a tag's current link, with the history that is removed with the tag.
func (j describer) tagLink(r *graph.Repository, t uint32) *finding.Link {
	tag := &r.Tags[t]
	l := &finding.Link{Present: tag.Current}
	entries := graph.HistoryOf(r, t)
	if o, ok := r.Bad[graph.Link{Kind: layout.TagCurrent, Tag: t}]; ok {
		l.Stored = o.Body
	} else if tag.Target != graph.None {
		l.Stored = j.NameOf(tag.Target)
	}
	if j.ForeignTargets[graph.TagRef{Repo: j.RepoID[r.Name], Tag: t}] {
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

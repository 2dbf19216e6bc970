package graph

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// result sums a judgement up. Its findings are made as they are asked for.
func (j *judgement) result(notes []string) *Result {
	if j.before != nil {
		return j.removalResult(notes)
	}
	r := &Result{
		Complete: true,
		Broken:   j.tagsOf(j.broken),
		Unknown:  j.tagsOf(j.ambiguous),
		Findings: j.findings,
		Notes:    notes,
		Marks:    j.marks,
		Sources:  j.from,
	}
	r.Counts = j.counts()
	j.totals.ReclaimableBytes = reclaimable(&r.Counts)
	r.Complete = r.Counts[finding.StoreUnreadable].Count == 0
	r.Totals = j.totals
	r.Doubts = j.doubts()
	return r
}

// counts are how many things were found of each kind, and what they take.
func (j *judgement) counts() (all [finding.NumKinds]finding.Count) {
	for i := range j.problems {
		if p := &j.problems[i]; p.id < finding.NumKinds {
			j.tally(&all[p.id], p.young, j.bytesOf(p))
		}
	}
	for id := range j.orphans() {
		j.tally(&all[finding.BlobOrphan], j.youngBlob(id), j.sizes[id])
	}
	for _, id := range []finding.Kind{finding.LayerLinkUnreferenced, finding.LayerLinkDangling} {
		for l := range j.spareLinks(id) {
			j.tally(&all[id], l.young(), j.bytesOfLink(l.layer.id()))
		}
	}
	return all
}

// reclaimable is what all garbage takes, links too, which is what goes by a fix.
func reclaimable(counts *[finding.NumKinds]finding.Count) (bytes int64) {
	for id := range finding.Kinds {
		if id.Severity() == finding.Garbage {
			bytes += counts[id].Bytes
		}
	}
	return bytes
}

func (j *judgement) tally(c *finding.Count, young bool, bytes int64) {
	if young {
		c.Young++
		return
	}
	c.Count++
	c.Bytes += bytes
}

func (j *judgement) findings(yield func(finding.Finding) bool) {
	at := 0
	for id := range finding.All {
		for ; at < len(j.problems) && j.problems[at].id == id; at++ {
			if j.due(&j.problems[at]) && !yield(j.finding(&j.problems[at])) {
				return
			}
		}
		switch id {
		case finding.BlobOrphan:
			for blob := range j.orphans() {
				if !yield(j.orphanFinding(blob)) {
					return
				}
			}
		case finding.LayerLinkUnreferenced, finding.LayerLinkDangling, finding.RepositoryRemoved:
			for l := range j.spareLinks(id) {
				if !yield(j.spareFinding(id, l)) {
					return
				}
			}
		}
	}
}

func (j *judgement) orphanFinding(id uint32) finding.Finding {
	d := j.anyOf(id)
	f := finding.Finding{
		Kind: finding.BlobOrphan, Path: d.BlobKey(), Digest: d.String(), Bytes: j.sizes[id],
		Modified: timeOf(j.modified[id]), Cure: finding.CureRemove, Young: j.youngBlob(id),
	}
	if j.verified[id].State == walker.HashWrong {
		f.Detail = "its bytes don't hash to its digest"
	}
	return f
}

func (j *judgement) spareFinding(id finding.Kind, l spareLink) finding.Finding {
	r := &j.repos[l.repo]
	f := finding.Finding{
		Kind: id, Path: j.keyOf(spot{l.repo, place{kind: layout.LayerLink, id: l.layer.id()}}), Repository: r.name,
		Digest: j.nameOf(l.layer.id()), Bytes: j.bytesOfLink(l.layer.id()),
		Cure: finding.CureRemove, Young: l.young(),
	}
	f.Link = &finding.Link{Stored: f.Digest, Wanted: f.Digest, Present: true}
	if o, ok := r.odd[place{kind: layout.LayerLink, id: l.layer.id()}]; ok {
		f.Detail, f.Link.Stored = "it "+o.why, o.body
	}
	return f
}

// finding gives a problem its strings.
func (j *judgement) finding(p *problem) finding.Finding {
	f := finding.Finding{
		Kind: p.id, Path: j.pathOf(p), Bytes: j.bytesOf(p), Detail: p.detail, Cure: p.cure, Young: p.young,
		Modified: j.timeOf(p),
	}
	if p.repo != none {
		r := &j.repos[p.repo]
		f.Repository = r.name
		folder := layout.ParseDirectory(f.Path)
		if f.Tag = folder.Tag; p.id != finding.ForeignFile {
			f.Tag = cmp.Or(folder.Tag, folder.NoTag)
		}
	}
	if p.id == finding.CatalogMarker {
		folder := layout.ParseDirectory(f.Path)
		f.Repository, f.Tag = folder.Repository, cmp.Or(folder.Tag, folder.NoTag)
	}
	if p.obj != none {
		f.Digest = j.nameOf(p.obj)
	}
	if key, err := layout.Parse(p.name); err == nil && key.Kind == layout.Signature {
		f.Digest = key.SignatureAlgorithm + ":" + key.SignatureHex
	}
	if p.id == finding.ManifestUnparsable {
		f.Detail = fmt.Sprintf("its form is not understood: %v", j.why[j.nodeOf[p.obj]-1])
	}
	if p.id == finding.MultipartStale {
		f.Upload = j.entries[p.tag].Upload
	}
	if p.id == finding.RepoEmpty || p.id == finding.RepositoryRemoved && j.isRepository(p) {
		f.Directories = j.foldersOf(p)
	}
	if p.repo != none && p.kind != 0 {
		f.Link = j.link(p)
	}
	if p.by.repo > 0 {
		f.Detail = strings.TrimPrefix(f.Detail+", needed by "+j.repos[p.by.repo-1].name+"@"+j.nameOf(p.by.id), ", ")
	}
	f.Withdrawn = p.withdrawn || p.repo == none && j.withdraws(p.id) && !p.withheld && !p.cure.Restores()
	if v := j.revivalOf(p); v != nil {
		f.Tag, f.Found = v.tag, j.linksOf(p.repo, v)
	}
	if p.repo == none && p.obj != none && p.cure == finding.CureRebuild {
		f.Blob = j.rebuiltBlob(p)
	}
	if p.cure == finding.CureHeal {
		f.Blob = j.healedBlob(p)
	}
	if why := j.unable[p.obj]; why != "" && p.obj != none && p.cure != finding.CureRebuild {
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

func (j *judgement) ref(t tagRef) string {
	r := &j.repos[t.repo]
	return r.name + ":" + r.tags[t.tag].name
}

// pathOf returns the key of what a problem is about.
func (j *judgement) pathOf(p *problem) string {
	switch {
	case p.name != "":
		return p.name
	case p.kind == 0 || p.kind == layout.Blob:
		return j.blobKey(p.obj)
	}
	id := p.obj
	if p.kind == layout.TagCurrent {
		id = none
	}
	return j.keyOf(spot{p.repo, place{p.kind, p.tag, id}})
}

// bytesOf returns what the thing takes in the store.
func (j *judgement) bytesOf(p *problem) int64 {
	if p.bytes == 0 && p.kind == 0 && p.obj != none && j.present(p.obj) {
		return j.sizeOf(p.obj)
	}
	return p.bytes
}

func (j *judgement) timeOf(p *problem) time.Time {
	switch {
	case p.modified != 0:
		return timeOf(seconds(p.modified))
	case p.kind == 0 && p.obj != none:
		return j.modifiedOf(p.obj)
	case p.kind == layout.TagCurrent && p.repo != none:
		return timeOf(j.repos[p.repo].tags[p.tag].modified)
	}
	return time.Time{}
}

func (j *judgement) tagsOf(tags []brokenTag) iter.Seq[finding.BrokenTag] {
	return func(yield func(finding.BrokenTag) bool) {
		for _, b := range tags {
			r := &j.repos[b.repo]
			if !yield(finding.BrokenTag{Repository: r.name, Tag: r.tags[b.tag].name, Because: j.because(b)}) {
				return
			}
		}
	}
}

// because names the problems that keep a tag from being pulled, and what nobody can
// say anything about, sorted.
func (j *judgement) because(b brokenTag) []string {
	reasons := slices.Clone(b.doubts)
	for _, at := range b.because {
		p := &j.problems[at]
		reasons = append(reasons, p.id.String()+" "+j.pathOf(p))
	}
	slices.Sort(reasons)
	return reasons
}

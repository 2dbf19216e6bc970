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

// result sums a judgement up. Its findings are made as they are asked for.
func (j *checker) result(notes []string) *Result {
	if j.before != nil {
		return j.removalResult(notes)
	}
	r := &Result{
		Complete: true,
		Broken:   j.tagsOf(j.broken),
		Unknown:  j.tagsOf(j.ambiguous),
		Findings: j.findings,
		Notes:    notes,
		Marks:    j.Marks,
		Sources:  j.Sources,
	}
	r.Counts = j.counts()
	j.totals.ReclaimableBytes = reclaimable(&r.Counts)
	r.Complete = r.Counts[finding.StoreUnreadable].Count == 0
	r.Totals = j.totals
	r.Doubts = j.doubts()
	return r
}

// counts are how many things were found of each kind, and what they take.
func (j *checker) counts() (all [finding.NumKinds]finding.Count) {
	for i := range j.problems {
		if p := &j.problems[i]; p.id < finding.NumKinds {
			j.tally(&all[p.id], p.young, j.bytesOf(p))
		}
	}
	for id := range j.Orphans() {
		j.tally(&all[finding.BlobOrphan], j.YoungBlob(id), j.Sizes[id])
	}
	for _, id := range []finding.Kind{finding.LayerLinkUnreferenced, finding.LayerLinkDangling} {
		for l := range j.SpareLinks(id) {
			j.tally(&all[id], l.InGrace(), j.BytesOfLink(l.Layer.ID()))
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

func (j *checker) tally(c *finding.Count, young bool, bytes int64) {
	if young {
		c.Young++
		return
	}
	c.Count++
	c.Bytes += bytes
}

func (j *checker) findings(yield func(finding.Finding) bool) {
	at := 0
	for id := range finding.All {
		for ; at < len(j.problems) && j.problems[at].id == id; at++ {
			if j.due(&j.problems[at]) && !yield(j.finding(&j.problems[at])) {
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
			for l := range j.SpareLinks(id) {
				if !yield(j.spareFinding(id, l)) {
					return
				}
			}
		}
	}
}

func (j *checker) orphanFinding(id uint32) finding.Finding {
	d := j.AnyOf(id)
	f := finding.Finding{
		Kind: finding.BlobOrphan, Path: d.BlobKey(), Digest: d.String(), Bytes: j.Sizes[id],
		Modified: graph.TimeOf(j.Modified[id]), Cure: finding.CureRemove, Young: j.YoungBlob(id),
	}
	if j.BadHashes[id].State == walker.HashWrong {
		f.Detail = "its bytes don't hash to its digest"
	}
	return f
}

func (j *checker) spareFinding(id finding.Kind, l gc.SpareLink) finding.Finding {
	r := &j.Repos[l.Repo]
	f := finding.Finding{
		Kind: id, Path: j.KeyOf(graph.Ref{Repo: l.Repo, Link: graph.Link{Kind: layout.LayerLink, ID: l.Layer.ID()}}), Repository: r.Name,
		Digest: j.NameOf(l.Layer.ID()), Bytes: j.BytesOfLink(l.Layer.ID()),
		Cure: finding.CureRemove, Young: l.InGrace(),
	}
	f.Link = &finding.Link{Stored: f.Digest, Wanted: f.Digest, Present: true}
	if o, ok := r.Bad[graph.Link{Kind: layout.LayerLink, ID: l.Layer.ID()}]; ok {
		f.Detail, f.Link.Stored = "it "+o.Why, o.Body
	}
	return f
}

// finding gives a problem its strings.
func (j *checker) finding(p *problem) finding.Finding {
	f := finding.Finding{
		Kind: p.id, Path: j.pathOf(p), Bytes: j.bytesOf(p), Detail: p.detail, Cure: p.cure, Young: p.young,
		Modified: j.timeOf(p),
	}
	if p.repo != graph.None {
		r := &j.Repos[p.repo]
		f.Repository = r.Name
		folder := layout.ParseDirectory(f.Path)
		if f.Tag = folder.Tag; p.id != finding.ForeignFile {
			f.Tag = cmp.Or(folder.Tag, folder.NoTag)
		}
	}
	if p.id == finding.CatalogMarker {
		folder := layout.ParseDirectory(f.Path)
		f.Repository, f.Tag = folder.Repository, cmp.Or(folder.Tag, folder.NoTag)
	}
	if p.obj != graph.None {
		f.Digest = j.NameOf(p.obj)
	}
	if key, err := layout.Parse(p.name); err == nil && key.Kind == layout.Signature {
		f.Digest = key.SignatureAlgorithm + ":" + key.SignatureHex
	}
	if p.id == finding.ManifestUnparsable {
		f.Detail = fmt.Sprintf("its form is not understood: %v", j.Whys[j.NodeOf[p.obj]-1])
	}
	if p.id == finding.MultipartStale {
		f.Upload = j.Entries[p.tag].Upload
	}
	if p.id == finding.RepoEmpty || p.id == finding.RepositoryRemoved && j.isRepository(p) {
		f.Directories = j.foldersOf(p)
	}
	if p.repo != graph.None && p.kind != 0 {
		f.Link = j.link(p)
	}
	if p.by.repo > 0 {
		f.Detail = strings.TrimPrefix(f.Detail+", needed by "+j.Repos[p.by.repo-1].Name+"@"+j.NameOf(p.by.id), ", ")
	}
	f.Withdrawn = p.withdrawn || p.repo == graph.None && j.withdraws(p.id) && !p.withheld && !p.cure.Restores()
	if v := j.revivalOf(p); v != nil {
		f.Tag, f.Found = v.tag, j.linksOf(p.repo, v)
	}
	if p.repo == graph.None && p.obj != graph.None && p.cure == finding.CureRebuild {
		f.Blob = j.rebuiltBlob(p)
	}
	if p.cure == finding.CureHeal {
		f.Blob = j.healedBlob(p)
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

func (j *checker) ref(t graph.TagRef) string {
	r := &j.Repos[t.Repo]
	return r.Name + ":" + r.Tags[t.Tag].Name
}

// pathOf returns the key of what a problem is about.
func (j *checker) pathOf(p *problem) string {
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

// bytesOf returns what the thing takes in the store.
func (j *checker) bytesOf(p *problem) int64 {
	if p.bytes == 0 && p.kind == 0 && p.obj != graph.None && j.Present(p.obj) {
		return j.SizeOf(p.obj)
	}
	return p.bytes
}

func (j *checker) timeOf(p *problem) time.Time {
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

func (j *checker) tagsOf(tags []brokenTag) iter.Seq[finding.BrokenTag] {
	return func(yield func(finding.BrokenTag) bool) {
		for _, b := range tags {
			r := &j.Repos[b.Repo]
			if !yield(finding.BrokenTag{Repository: r.Name, Tag: r.Tags[b.Tag].Name, Because: j.because(b)}) {
				return
			}
		}
	}
}

// because names the problems that keep a tag from being pulled, and what nobody can
// say anything about, sorted.
func (j *checker) because(b brokenTag) []string {
	reasons := slices.Clone(b.doubts)
	for _, at := range b.because {
		p := &j.problems[at]
		reasons = append(reasons, p.id.String()+" "+j.pathOf(p))
	}
	slices.Sort(reasons)
	return reasons
}

package check

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// A lost image is complete, but nothing refers to its manifest, so a fix would remove it: it
// was deleted, perhaps by mistake. Blobs are shared by all repositories, and links are the
// registry's access control. So a lost image gets a tag again only in a repository that has
// evidence of it: the empty directory of its revision link, a history entry, or links to all
// that it needs.

// lostTag is the prefix of the tags of lost images.
const lostTag = "lost-found-"

// lostSize is the largest blob that is read as a manifest to count lost images. Few manifests
// are larger.
const lostSize = 256 << 10

// lostImages are the complete images without references.
type lostImages struct {
	found   []uint32             // those that no other one refers to, by digest
	more    bool                 // some orphans were not read, so there may be more
	revived map[uint32][]revival // those that get a tag, by repository
	denied  map[uint32][]problem // those that can't get one, by repository
	nowhere []uint32             // those without evidence in any repository
	since   map[graph.Ref]int64  // when revision links were removed that left an empty directory; nanoseconds since 1970, 0 if unknown
}

// revival is a lost image that gets a tag.
type revival struct {
	id    uint32
	tag   string
	links []graph.Link // to write
}

// lostFinder finds lost images and the evidence of repositories.
type lostFinder struct{ *checker }

// seeksLost reports whether the judgement needs lost images. If nothing is rebuilt or there
// are no orphans, it doesn't.
func (j lostFinder) seeksLost(c *graph.Scan) bool {
	asked := c.Lost > 0 || j.Also[finding.ManifestLost]
	return asked && j.Removal == nil && !j.Cache && !j.NoOrphans && !j.Skip[finding.ManifestLost]
}

// findLost finds the lost images among the orphans. read reports whether it read any: then
// the judgement must be made again.
func (j lostFinder) findLost(ctx context.Context, c *graph.Scan) (lost *lostImages, read bool, err error) {
	lost = &lostImages{}
	ids := j.lostCandidates(c.Lost, lost)
	unread := slices.DeleteFunc(slices.Clone(ids), func(id uint32) bool { return c.Graph.NodeAt(id) != nil })
	if read, err = c.ReadOrphans(ctx, unread); err != nil || read {
		return nil, read, err
	}
	lost.found = j.tops(slices.DeleteFunc(ids, func(id uint32) bool { return !j.intact(id, map[uint32]bool{}) }))
	if j.Also[finding.ManifestLost] {
		j.findEvidence(lost)
	}
	return lost, false, nil
}

// lostCandidates returns the orphans that may be unreferenced manifests: all if lost images
// are to be restored; otherwise the newest, at most most of them.
func (j lostFinder) lostCandidates(most int, lost *lostImages) (ids []uint32) {
	named := j.linked()
	newest := func(ids []uint32) []uint32 {
		if j.Also[finding.ManifestLost] || len(ids) <= most {
			return ids
		}
		slices.SortFunc(ids, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(j.Modified[b], j.Modified[a]), cmp.Compare(a, b))
		})
		lost.more = true
		return ids[:most]
	}
	limit := int64(lostSize)
	if j.Also[finding.ManifestLost] {
		limit = manifest.MaxSize
	}
	for id := range j.Orphans() {
		size := j.Sizes[id]
		if size == 0 || size > manifest.MaxSize || j.BlobInGrace(id) || named.Has(id) || !j.Provable(id) || j.IsArchived(id) {
			continue
		}
		if size > limit {
			lost.more = true
			continue
		}
		if ids = append(ids, id); len(ids) >= 1<<16+most { // there can be millions
			ids = newest(ids)
		}
	}
	return newest(ids)
}

// linked returns the manifests with a link.
func (j lostFinder) linked() graph.Bitset {
	named := graph.NewBitset(j.Len())
	for i := range j.Repos {
		r := &j.Repos[i]
		for v := range r.Manifests() {
			named.Add(v.ID)
		}
		for id := range r.Targets {
			named.Add(id)
		}
	}
	return named
}

// intact reports whether a manifest is an image or index whose references are all stored and
// sound. Manifests in seen are not examined again.
func (j lostFinder) intact(id uint32, seen map[uint32]bool) bool {
	if seen[id] {
		return true
	}
	seen[id] = true
	n := j.NodeAt(id)
	if n == nil || n.State != walker.ManifestGood || n.Kind != manifest.Image && n.Kind != manifest.Index || !j.sound(id) {
		return false
	}
	some := false
	for e := range j.In(nil, id).References {
		is := true
		switch {
		case !e.Read() || e.Role() == manifest.MayBeAbsent:
			continue
		case e.Role() == manifest.Child, e.Role() == manifest.Either && j.StateAt(e.ID()) == walker.ManifestGood:
			is = j.intact(e.ID(), seen)
		default:
			is = j.sound(e.ID())
		}
		if some = true; !is {
			return false
		}
	}
	return some
}

// sound reports whether a blob is stored, readable, and not known to be corrupt.
func (j lostFinder) sound(id uint32) bool {
	return j.Present(id) && !j.KnownCorrupt(id) && !j.Uncertain(id) && !j.IsArchived(id)
}

// tops returns the manifests that no other of them refers to, by digest.
func (j lostFinder) tops(ids []uint32) []uint32 {
	below := map[uint32]bool{}
	for _, id := range ids {
		for e := range j.In(nil, id).References {
			if e.IsEntry() {
				below[e.ID()] = true
			}
		}
	}
	ids = slices.DeleteFunc(ids, func(id uint32) bool { return below[id] })
	slices.SortFunc(ids, j.CompareIDs)
	return ids
}

// findEvidence determines which repositories get a tag for the lost images.
func (j lostFinder) findEvidence(lost *lostImages) {
	lost.revived, lost.denied = map[uint32][]revival{}, map[uint32][]problem{}
	lost.since = j.emptied()
	may := j.mayHave(lost)
	told := map[uint32]bool{}
	for i := range j.Repos {
		j.Current, j.CurrentID = &j.Repos[i], uint32(i)
		tags := map[string]bool{}
		for _, id := range may[uint32(i)] {
			v, why := j.revival(id, lost, tags)
			switch {
			case v != nil:
				lost.revived[j.CurrentID] = append(lost.revived[j.CurrentID], *v)
			case why != "":
				lost.denied[j.CurrentID] = append(lost.denied[j.CurrentID], problem{
					id: finding.ManifestLost, kind: layout.Revision, obj: id, cure: finding.CureNone, detail: why,
				})
			default:
				continue
			}
			told[id] = true
		}
	}
	j.Current, j.CurrentID = nil, graph.None
	for _, id := range lost.found {
		if !told[id] {
			lost.nowhere = append(lost.nowhere, id)
		}
	}
}

// emptied returns the revision links that were removed and left an empty directory, and when.
func (j lostFinder) emptied() map[graph.Ref]int64 {
	all := map[graph.Ref]int64{}
	for i := range j.Entries {
		e := &j.Entries[i]
		repo, known := j.RepoID[e.Repository]
		if e.Kind != walker.EntryEmpty || !known {
			continue
		}
		f := layout.ParseDirectory(e.Key)
		switch f.Kind {
		case layout.DirRevision, layout.DirSignatures, layout.DirSignatureAlg, layout.DirSignature:
			if id := j.KnownIDOf(f.Algorithm + ":" + f.Hex); id != graph.None {
				all[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.Revision, ID: id}}] = 0
				if f.Kind == layout.DirRevision {
					all[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.Revision, ID: id}}] = e.Modified
				}
			}
		}
	}
	return all
}

// mayHave returns the lost images that a repository may have evidence of, by repository: a
// directory, a history entry, or a link to a blob that only its image needs.
func (j lostFinder) mayHave(lost *lostImages) map[uint32][]uint32 {
	may, is, byBlob := map[uint32][]uint32{}, map[uint32]bool{}, map[uint32][]uint32{}
	for _, id := range lost.found {
		is[id] = true
		if blob := j.rareBlob(id, map[uint32]bool{}); blob != graph.None {
			byBlob[blob] = append(byBlob[blob], id)
		}
	}
	for s := range lost.since {
		if is[s.ID] {
			may[s.Repo] = append(may[s.Repo], s.ID)
		}
	}
	for i := range j.Repos {
		r, ri := &j.Repos[i], uint32(i)
		for _, h := range r.History {
			if is[h.ID] {
				may[ri] = append(may[ri], h.ID)
			}
		}
		for _, l := range r.Layers {
			may[ri] = append(may[ri], byBlob[l.ID()]...)
		}
		if len(may[ri]) > 0 {
			slices.SortFunc(may[ri], j.CompareIDs)
			may[ri] = slices.Compact(may[ri])
		}
	}
	return may
}

// rareBlob returns a config or layer of an image, or of an index's image, that few images
// have; none if there is none.
func (j lostFinder) rareBlob(id uint32, seen map[uint32]bool) uint32 {
	if seen[id] {
		return graph.None
	}
	seen[id] = true
	for e := range j.In(nil, id).References {
		if !e.Read() {
			continue
		}
		switch e.Role() {
		case manifest.Config, manifest.Layer, manifest.Claimed:
			if _, common := graph.WellKnown[j.AnyOf(e.ID())]; !common {
				return e.ID()
			}
		case manifest.Child, manifest.Either:
			if blob := j.rareBlob(e.ID(), seen); blob != graph.None {
				return blob
			}
		}
	}
	return graph.None
}

// revival returns how a lost image gets a tag in the current repository; nil if it doesn't.
// why is set if there is evidence but the tag is impossible.
func (j lostFinder) revival(id uint32, lost *lostImages, tags map[string]bool) (v *revival, why string) {
	v = &revival{id: id}
	if !j.missingLinks(v, id, lost, map[uint32]bool{}) {
		return nil, ""
	}
	v.tag = tagOfLost(j.NameOf(id))
	_, stands := j.Current.FindTag(v.tag)
	switch {
	case j.Current.Blind:
		return nil, "something of its repository could not be read"
	case j.Current.BadName:
		return nil, "no registry accepts its name"
	case stands || tags[v.tag]:
		return nil, "the tag " + v.tag + " already exists and points to something else"
	}
	for _, l := range j.linksOf(j.CurrentID, v) {
		if j.Keep[l.Path] {
			return nil, "something that it needs could not be written"
		}
	}
	tags[v.tag] = true
	return v, ""
}

// tagOfLost returns the tag of a lost image.
func tagOfLost(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return lostTag + hex[:12]
}

// missingLinks adds the links that a manifest and its children lack in the current
// repository. It returns false if nothing there proves that one of them was pushed to it.
func (j lostFinder) missingLinks(v *revival, id uint32, lost *lostImages, seen map[uint32]bool) bool {
	if seen[id] {
		return true
	}
	seen[id] = true
	revision := graph.Link{Kind: layout.Revision, ID: id}
	if !j.Current.HasRevision(id) { // a layer link alone proves nothing: see Uploaded
		_, emptied := lost.since[graph.Ref{Repo: j.CurrentID, Link: revision}]
		entry := slices.ContainsFunc(j.Current.History, func(h graph.HistoryEntry) bool { return h.ID == id })
		if !emptied && !entry && !j.In(j.Current, id).Proven() {
			return false
		}
		if !j.Current.Serves(id) {
			v.links = append(v.links, revision)
		}
	}
	for e := range j.In(j.Current, id).References {
		is := true
		switch {
		case !e.Read() || e.Role() == manifest.MayBeAbsent:
		case e.Role() == manifest.Child, e.Role() == manifest.Either && j.StateAt(e.ID()) == walker.ManifestGood:
			is = j.missingLinks(v, e.ID(), lost, seen)
		case j.Current.HasLink(e.ID()):
		case e.Role() == manifest.Config || e.Role() == manifest.Layer:
			if link := (graph.Link{Kind: layout.LayerLink, ID: e.ID()}); !slices.Contains(v.links, link) {
				v.links = append(v.links, link)
			}
		default: // registries don't look for it at a push, so only its link would prove it
			is = false
		}
		if !is {
			return false
		}
	}
	return true
}

// revivalOf returns the revival that a problem is about; nil if there is none.
func (j lostFinder) revivalOf(p *problem) *revival {
	if p.id != finding.ManifestLost || p.repo == graph.None || p.cure != finding.CureWriteAsk {
		return nil
	}
	all := j.lost.revived[p.repo]
	return &all[slices.IndexFunc(all, func(v revival) bool { return v.id == p.obj })]
}

// linksOf returns the links to write for a lost image in a repository, those of its tag last.
func (j lostFinder) linksOf(repo uint32, v *revival) (all []finding.Link) {
	r := &j.Repos[repo]
	for _, p := range v.links {
		l := describer(j).linkAt(r, p)
		all = append(all, finding.Link{Path: j.KeyOf(graph.Ref{Repo: repo, Link: p}), Wanted: l.Wanted, Time: l.Time})
	}
	return append(all, linksOfTag(r.Name, v.tag, j.AnyOf(v.id), j.ModifiedOf(v.id))...)
}

// linksOfTag returns the links of a tag to write for an image pushed at that time.
func linksOfTag(repository, tag string, d layout.AnyDigest, pushed time.Time) (all []finding.Link) {
	algorithm, hex, _ := strings.Cut(d.String(), ":")
	for _, k := range []layout.Key{
		{Kind: layout.TagHistory, Repository: repository, Tag: tag, Algorithm: algorithm, Hex: hex},
		{Kind: layout.TagCurrent, Repository: repository, Tag: tag},
	} {
		all = append(all, finding.Link{Path: k.String(), Wanted: d.String(), Time: pushed})
	}
	return all
}

// byRepository returns the lost images that get a tag, by repository.
func (l *lostImages) byRepository() map[uint32][]uint32 {
	all := map[uint32][]uint32{}
	for repo, revived := range l.revived {
		for _, v := range revived {
			all[repo] = append(all[repo], v.id)
		}
	}
	return all
}

// reportFound reports the lost images that are restored in the current repository, and those
// that can't be.
func (j lostFinder) reportFound() {
	if j.lost == nil {
		return
	}
	for _, v := range j.lost.revived[j.CurrentID] {
		j.local(problem{id: finding.ManifestLost, kind: layout.Revision, obj: v.id, cure: finding.CureWriteAsk, detail: "it gets the tag " + v.tag})
	}
	for _, p := range j.lost.denied[j.CurrentID] {
		j.local(p)
	}
}

// lostNowhere reports the lost images without evidence in any repository.
func (j lostFinder) lostNowhere() {
	if j.lost == nil {
		return
	}
	for _, id := range j.lost.nowhere {
		j.report(problem{
			id: finding.ManifestLost, repo: graph.None, obj: id, cure: finding.CureNone,
			detail: "no repository proves that it had this image, and a tag could give away a private image",
		})
	}
	j.countLost(j.lost)
}

// countLost counts the lost images that are removed.
func (j lostFinder) countLost(lost *lostImages) {
	for _, id := range lost.found {
		if !j.Referenced.Has(id) {
			j.totals.LostImages++
		}
	}
	j.totals.MoreLost = lost.more
}

// LostImage describes a complete image without references.
type LostImage struct {
	Tag          string    // the tag that it would get
	Repositories []string  // that can restore it under that tag
	Rejected     []string  // that have evidence of it but can't, each with a reason after a colon
	Since        time.Time // when the last link to it was removed that left an empty directory; zero if unknown
	In           string    // the repository of that link
}

// LostImageOf returns the lost image whose manifest has a digest; nil if it is none. It reads
// the manifest and its references.
func LostImageOf(ctx context.Context, c *graph.Scan, asked gc.Policy, digest string) (*LostImage, error) {
	id := c.Graph.KnownIDOf(digest)
	if id == graph.None || int(id) >= c.Graph.Len() || c.Graph.SizeOf(id) > manifest.MaxSize || !c.Graph.Provable(id) || c.Graph.IsArchived(id) {
		return nil, nil
	}
	if c.Graph.NodeAt(id) == nil {
		if _, err := c.ReadOrphans(ctx, []uint32{id}); err != nil {
			return nil, err
		}
	}
	p := termsOf(c, asked)
	p.Usage, p.Also[finding.ManifestLost] = false, true
	j := judge(c.Graph, p)
	if j.Cache || !j.Orphan(id) || (lostFinder{j}).linked().Has(id) || !(lostFinder{j}).intact(id, map[uint32]bool{}) {
		return nil, nil
	}
	lost := &lostImages{found: []uint32{id}}
	lostFinder{j}.findEvidence(lost)
	image := &LostImage{Tag: tagOfLost(j.NameOf(id))}
	for i := range j.Repos {
		for range lost.revived[uint32(i)] {
			image.Repositories = append(image.Repositories, j.Repos[i].Name)
		}
		for _, p := range lost.denied[uint32(i)] {
			image.Rejected = append(image.Rejected, j.Repos[i].Name+": "+p.detail)
		}
	}
	for s, at := range lost.since {
		if when := graph.TimeOf(graph.Seconds(at)); s.ID == id && (when.After(image.Since) || when.Equal(image.Since) && !when.IsZero() && j.Repos[s.Repo].Name < image.In) {
			image.Since, image.In = when, j.Repos[s.Repo].Name
		}
	}
	slices.Sort(image.Rejected)
	return image, nil
}

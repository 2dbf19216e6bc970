package check

import (
	"cmp"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// terms is a policy with the other inputs of a check.
type terms struct {
	gc.Terms
	options
}

// options are inputs of a check besides the policy.
type options struct {
	sourceLinks  *graph.Copied
	lost         *lostImages  // of the orphans; nil before they are read
	uploadsAfter int64        // newer uploads are in progress; nanoseconds since 1970
	copies       graph.Bitset // by id: what a fix would copy if it copied all that sources have
	allAffects   bool         // each problem names every tag that it blocks
}

// checker compares a store with the marks of a policy and collects problems.
type checker struct {
	*gc.Marks
	options
	returning     map[string]*returning // by key: what is copied from a source; nil if not requested
	emptiedLinks  map[graph.Ref]int64   // see returner.removedHere
	problems      []problem
	known         map[problemKey]uint32
	affected      []affected
	before        *checker            // the check without the removal; nil if there is none
	garbageBefore map[problemKey]bool // the garbage of before, and whether it is in grace
	foreignFiles  map[string][]string // by repository: its foreign files; nil before they are needed
	heads         []head
	broken        []brokenTag
	ambiguous     []brokenTag
	schema1       []graph.TagRef // tags of images of schema 1
	totals        Totals

	// The current repository.
	at  uint32              // the node whose references are checked
	bad map[uint32][]uint32 // by id: the problems that keep it from being served
	// unjudged is the key, by id, of each unknown in bad.
	unjudged map[uint32]string
	blocking bool               // a problem blocks tags
	verdicts map[uint32]verdict // by id: what blocks the tags with this target

	examined []uint32 // by id: Mark, if it was examined in this repository
	seen     []uint32 // by node: the last tag that reached it
	cited    []uint32 // by problem: the last target that it blocks
	tagMark  uint32
}

// judge checks the graph under a policy.
func judge(g *graph.Graph, p terms) *checker {
	j := &checker{
		options:  p.options,
		known:    map[problemKey]uint32{},
		bad:      map[uint32][]uint32{},
		unjudged: map[uint32]string{},
	}
	var before *gc.Marks
	if p.Removal != nil {
		removalRules{j}.judgeBefore(g, p)
		before = j.before.Marks
	}
	if p.lost != nil {
		p.Revived = p.lost.byRepository()
	}
	if p.seeksCopies(g) {
		j.returning, p.Revived = map[string]*returning{}, keepCopies(g, p.Revived)
	}
	j.Marks = gc.NewMarks(g, p.Terms, before)
	j.examined, j.seen = make([]uint32, len(j.Needed)), make([]uint32, len(g.Nodes))
	for i := range g.Repos {
		j.Marks.MarkRepository(uint32(i))
		j.repository()
	}
	storeRules{j}.orphanedSignatures()
	lostFinder{j}.lostNowhere()
	storeRules{j}.store()
	j.sort()
	slices.SortFunc(j.Rejected, func(a, b gc.Rejection) int { return cmp.Compare(a.Ref, b.Ref) })
	return j
}

// release frees the marks that only judging needs, before a second judgement. Usage and
// removals need the rest.
func (j *checker) release() {
	if j.Users == nil && j.before == nil {
		j.Marks.Release()
		j.examined, j.seen, j.cited = nil, nil, nil
	}
}

// repository checks the current repository: first what its tags and revisions lead to, then
// garbage.
func (j *checker) repository() {
	j.blocking = false
	from := len(j.problems)
	clear(j.bad)
	clear(j.unjudged)
	j.revisions()
	j.tags()
	lostFinder{j}.reportFound()
	returner{j}.reportReturning()
	for _, f := range j.Followed {
		j.at = f.Node
		id := j.Nodes[f.Node].ID
		if f.Served {
			cures{j}.reportHealed(id)
			if j.StateAt(id) == walker.ManifestGood {
				j.references(id)
			}
		}
		if j.Removed != nil {
			for _, t := range j.Removed.ReferrersTags[id] {
				j.tagTarget(t, &j.Current.Tags[t])
			}
		}
	}
	j.untaggedManifests()
	if j.blocking && j.before == nil {
		tagRules{j}.affects()
	}
	tagRules{j}.withdraw(from)
	leftoverRules{j}.leftovers()
}

// untaggedManifests counts the untagged manifests and records the latest push.
func (j *checker) untaggedManifests() {
	j.tagMark++
	for _, f := range j.Followed[:j.ByTags] {
		if f.Served {
			j.seen[f.Node] = j.tagMark
		}
	}
	led := func(id uint32) bool { return j.NodeOf[id] != 0 && j.seen[j.NodeOf[id]-1] == j.tagMark }
	for v := range j.Current.Manifests() {
		if j.StateAt(v.ID) == walker.ManifestGood && !led(v.ID) {
			j.totals.Untagged++
		}
	}
	doubter{j}.noteHead(led)
}

// references reports the problems of a manifest's references.
func (j *checker) references(id uint32) {
	uploaded := j.Uploaded(id)
	for e := range j.In(j.Current, id).References {
		if !e.Read() {
			continue
		}
		switch role := e.Role(); {
		case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
			j.claimed(e.ID())
		case role == manifest.Config, role == manifest.Layer:
			j.blob(e.ID())
		case e.IsEntry():
			j.child(id, e)
		}
	}
}

// revisions reports the problems of revisions' manifests and links.
func (j *checker) revisions() {
	for _, v := range j.Current.Revisions {
		j.manifestState(v.ID, true)
		if o, ok := j.Current.Bad[graph.Link{Kind: layout.Revision, ID: v.ID}]; ok {
			j.badLink(graph.Link{Kind: layout.Revision, ID: v.ID}, o, j.StateAt(v.ID) == walker.ManifestGood)
		}
	}
	cures{j}.layersUnread()
}

// manifestState reports the problems of a manifest.
func (j *checker) manifestState(id uint32, linked bool) {
	switch j.StateAt(id) {
	case walker.ManifestGood:
		if j.IsArchived(id) { // the cache has it, but no registry can serve it
			cures{j}.inArchive(id, citation{})
		}
	case walker.ManifestArchived:
		cures{j}.inArchive(id, citation{})
	case walker.ManifestMissing:
		if int(id) < j.Len() {
			j.doubt(id)
		} else if linked {
			j.local(problem{id: finding.ManifestMissing, kind: layout.Revision, obj: id, cure: finding.CureRemoveAsk})
		}
	case walker.ManifestCorrupt:
		j.global(problem{id: finding.ManifestCorrupt, obj: id, cure: finding.CureMoveAsk})
	case walker.ManifestUnparsable:
		j.global(problem{id: finding.ManifestUnparsable, obj: id, cure: finding.CureNone})
	default:
		j.doubt(id)
	}
}

// tags reports the problems of the tags' links and targets.
func (j *checker) tags() {
	for i := range j.Current.Tags {
		t := &j.Current.Tags[i]
		j.totals.Tags++
		if n := j.NodeAt(t.Target); n != nil && n.Kind == manifest.Schema1 {
			j.schema1 = append(j.schema1, graph.TagRef{Repo: j.CurrentID, Tag: uint32(i)})
			j.totals.TagsSchema1++
		}
		if t.BadName {
			j.local(problem{id: finding.NameInvalid, name: layout.TagKey(j.Current.Name, t.Name), tag: uint32(i), obj: graph.None, cure: finding.CureNone})
		}
		switch {
		case j.Removed.Takes(uint32(i)) && !j.Removal.TagsOnly:
		case t.Target == graph.None:
			j.uncertainTag(uint32(i), t)
		default:
			j.tagTarget(uint32(i), t)
		}
	}
}

// uncertainTag reports a tag whose current link is missing or can't be read.
func (j *checker) uncertainTag(i uint32, t *graph.Tag) {
	p := graph.Link{Kind: layout.TagCurrent, Tag: i}
	entries := graph.HistoryOf(j.Current, i)
	provable := len(entries) == 1 && j.StateAt(entries[0].ID) == walker.ManifestGood
	if provable && !j.Cache && !j.Current.HasRevision(entries[0].ID) { // the entry proves this link too
		j.rebuildRevision(entries[0].ID, citation{})
	}
	if t.Current {
		j.badLink(p, j.Current.Bad[p], provable)
		return
	}
	cure := finding.CureRemoveAsk
	if provable {
		cure = finding.CureRebuild
	}
	j.local(problem{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, tag: i, obj: graph.None, name: layout.TagKey(j.Current.Name, t.Name), cure: cure})
}

// tagTarget reports the problems of a tag's target.
func (j *checker) tagTarget(i uint32, t *graph.Tag) {
	if j.Current.HasRevision(t.Target) {
		return
	}
	switch state := j.StateAt(t.Target); {
	case j.ForeignTargets[graph.TagRef{Repo: j.CurrentID, Tag: i}]:
		j.foreignTarget(i, t)
	case state == walker.ManifestGood:
		j.rebuildRevision(t.Target, citation{})
	case state == walker.ManifestMissing && j.Uncertain(t.Target):
		j.doubt(t.Target)
	case state == walker.ManifestMissing:
		j.local(problem{id: finding.TagDangling, kind: layout.TagCurrent, tag: i, obj: t.Target, cure: finding.CureRemoveAsk})
	default:
		j.manifestState(t.Target, false)
	}
}

// foreignTarget reports a tag whose target was never pushed to the repository.
func (j *checker) foreignTarget(i uint32, t *graph.Tag) {
	if j.Current.Blind { // the links that could prove it may be unreadable
		j.doubt(t.Target)
		return
	}
	p := problem{id: finding.TagTargetForeign, kind: layout.TagCurrent, tag: i, obj: t.Target, cure: finding.CureRemoveAsk}
	if h := j.lastWhole(j.Current, i); h != nil {
		p.cure, p.detail = finding.CureWriteAsk, "it can be set back to "+j.NameOf(h.ID)
	}
	j.local(p)
}

// lastWhole returns the newest entry of a tag's history whose image the repository serves
// completely; nil for none.
func (j *checker) lastWhole(r *graph.Repository, i uint32) (last *graph.HistoryEntry) {
	entries := graph.HistoryOf(r, i)
	for at := range entries {
		h := &entries[at]
		newer := last == nil || h.Modified > last.Modified || h.Modified == last.Modified && j.CompareIDs(h.ID, last.ID) < 0
		if newer && j.whole(r, h.ID, map[uint32]bool{}) {
			last = h
		}
	}
	return last
}

// whole reports whether the repository has a manifest and all that a pull needs, except layer
// links, which a fix rebuilds.
func (j *checker) whole(r *graph.Repository, id uint32, seen map[uint32]bool) bool {
	if seen[id] {
		return true
	}
	seen[id] = true
	if j.StateAt(id) != walker.ManifestGood || !r.HasRevision(id) {
		return false
	}
	for s := range j.In(r, id).Serves {
		is := true
		switch {
		case !s.Read():
		case s.Child:
			is = j.whole(r, s.To, seen)
		case s.Role() == manifest.Config || s.Role() == manifest.Layer:
			is = j.Present(s.To) && !j.KnownCorrupt(s.To) && !j.Uncertain(s.To)
		}
		if !is {
			return false
		}
	}
	return true
}

// rebuildRevision reports a missing revision link that a tag or the index in by proves.
func (j *checker) rebuildRevision(id uint32, by citation) {
	p := problem{id: finding.RevisionLinkMissing, kind: layout.Revision, obj: id, by: by, cure: finding.CureRebuild}
	if j.Cache {
		p.cure = finding.CureNone
	}
	j.local(p)
}

// by returns the manifest whose references are checked.
func (j *checker) by() citation {
	if j.Current == nil {
		return citation{}
	}
	return citation{j.CurrentID + 1, j.Nodes[j.at].ID}
}

// first reports whether id is examined for the first time in this repository.
func (j *checker) first(id uint32) bool {
	was := j.examined[id]
	j.examined[id] = j.Mark
	return was != j.Mark
}

// doubt records that the state of what needs id is unknown.
func (j *checker) doubt(id uint32) {
	j.bad[id] = append(j.bad[id], unknown)
	j.unjudged[id] = j.BlobKey(id)
	j.blocking = true
}

// blob reports what keeps a config or layer from being served.
func (j *checker) blob(id uint32) {
	if !j.first(id) {
		return
	}
	if j.StandsFor(j.Current, id) {
		j.aliased(id)
		return
	}
	if j.Cache && (!j.Present(id) || !j.Current.HasLayer(id)) {
		j.totals.CacheAbsent++
		return
	}
	p := graph.Link{Kind: layout.LayerLink, ID: id}
	switch {
	case j.Uncertain(id):
		j.doubt(id)
	case !j.Present(id):
		j.global(problem{id: finding.BlobMissing, obj: id, by: j.by(), cure: cures{j}.cureOfBlob(id, finding.CureWithdrawAsk)})
	case j.IsArchived(id):
		cures{j}.inArchive(id, j.by())
	case j.KnownCorrupt(id):
		j.corrupt(id)
	}
	stands := j.Present(id) || cures{j}.rebuilds(id) || j.IsHealed(id)
	if o, ok := j.Current.Bad[p]; ok {
		j.badLink(p, o, stands)
	} else if stands && !j.Current.HasLayer(id) {
		j.local(problem{id: finding.LayerLinkMissing, kind: p.Kind, obj: id, by: j.by(), cure: finding.CureRebuild})
	}
}

// aliased reports what keeps a digest of another algorithm from being served. A registry
// serves the alias's target if that has a link.
func (j *checker) aliased(id uint32) {
	a := j.Current.AliasOf(id)
	switch {
	case a == nil && j.Cache:
		j.totals.CacheAbsent++
	case a == nil:
		j.local(problem{id: finding.BlobMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone, detail: "no link maps this digest to a stored blob"})
	case a.Target != graph.None: // otherwise it is reported with the aliases
		j.blob(a.Target)
	}
}

// claimed reports what keeps a blob from being served that registries don't look for when its
// manifest is pushed or uploaded as a blob. Without a link, it is not known to belong to this
// repository, and is never linked.
func (j *checker) claimed(id uint32) {
	switch {
	case j.Current.HasLink(id):
		j.blob(id)
	case j.StandsFor(j.Current, id): // it may be any blob with a link in the repository
	case j.Cache:
		j.totals.CacheAbsent++
	case j.Uncertain(id) || j.Current.Blind:
		j.doubt(id)
	case j.Nodes[j.at].Kind == manifest.Index:
		p := problem{id: finding.IndexChildMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone}
		if j.Present(id) && !j.Uploaded(j.Nodes[j.at].ID) {
			p.cure = finding.CureWriteAsk
		}
		j.local(p)
	default:
		j.local(problem{
			id: finding.LayerLinkMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone,
			detail: "registries do not check it when its manifest is pushed, so nothing proves that it belongs here",
		})
	}
}

func (j *checker) corrupt(id uint32) {
	detail := ""
	if j.SizeOf(id) == 0 {
		detail = "the stored file is empty"
	}
	j.global(problem{id: finding.BlobCorrupt, obj: id, by: j.by(), cure: cures{j}.cureOfBlob(id, finding.CureMoveAsk), detail: detail})
}

// child reports what keeps an index's child from being served.
func (j *checker) child(by uint32, e graph.Edge) {
	id := e.ID()
	switch j.In(j.Current, by).Entry(e) {
	case graph.EntryServed, graph.EntryUnexplained:
	case graph.EntryAliased, graph.EntryLayer:
		j.blob(id)
	case graph.EntryUncertain:
		j.doubt(id)
	case graph.EntryBlob:
		j.claimed(id)
	case graph.EntryProven:
		j.rebuildRevision(id, j.by())
	default:
		j.absent(id)
	}
}

// absent reports a child that the repository lacks.
func (j *checker) absent(id uint32) {
	switch {
	case !j.first(id):
	case j.Cache:
		j.totals.CacheAbsent++
	case j.Current.Blind: // the links that could prove it may be unreadable
		j.doubt(id)
	default:
		p := problem{id: finding.IndexChildMissing, kind: layout.Revision, obj: id, by: j.by(), cure: finding.CureNone}
		if j.linkable(id) && !j.Uploaded(j.Nodes[j.at].ID) {
			p.cure = finding.CureWriteAsk
		}
		j.local(p)
		if p.cure == finding.CureWriteAsk && j.Cures(p.id) { // a pull of the child needs the links of its blobs too
			index := j.at
			j.at = j.NodeOf[id] - 1
			j.references(id)
			j.at = index
		}
	}
}

// linkable reports whether a pull of a manifest that the repository lacks could be served once
// its links were written. A sparse index with a child that can't be served would be worse.
func (j *checker) linkable(id uint32) bool {
	whole := j.StateAt(id) == walker.ManifestGood && !j.IsHealed(id)
	for s := range j.In(j.Current, id).Serves {
		blob := s.Role() == manifest.Config || s.Role() == manifest.Layer
		whole = whole && (!blob || !s.Read() || lostFinder{j}.sound(s.To))
	}
	return whole
}

// badLink reports a link whose content differs from its path.
func (j *checker) badLink(p graph.Link, o graph.BadLink, provable bool) {
	pr := problem{id: finding.LinkInvalid, kind: p.Kind, tag: p.Tag, obj: p.ID, cure: finding.CureNone, detail: "the link " + o.Why}
	if p.Kind == layout.TagCurrent {
		pr.obj = graph.None
	}
	if o.State == walker.LinkMismatch {
		pr.id, pr.detail = finding.LinkMismatch, "the link holds "+j.NameOf(o.Target)
	}
	if o.State == walker.LinkArchived { // it is good again once restored
		pr.id, provable = finding.BlobArchived, false
	}
	if provable && !j.Cache {
		pr.cure = finding.CureRebuild
	}
	j.local(pr)
}

package graph

import (
	"cmp"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// judging is a policy and what a check goes by besides it.
type judging struct {
	policy
	lost         *lostImages // those among the orphans; nil while nobody has looked
	uploadsAfter int64       // uploads newer than this are under way; nanoseconds since 1970
}

// judgement is what is wrong with a store under a policy: problems, by what is
// marked.
type judgement struct {
	*marks
	lost         *lostImages
	uploadsAfter int64
	problems     []problem
	known        map[problemKey]uint32
	affected     []affected
	before       *judgement          // the store as it is, where something is to be removed; else nil
	was          map[problemKey]bool // the garbage of before, and whether it is young
	foreigners   map[string][]string // by repository: what is in it and isn't a registry's; nil until somebody asks
	heads        []head
	broken       []brokenTag
	ambiguous    []brokenTag
	schema1      []tagRef // tags of images of schema 1
	totals       Totals

	// The repository being judged.
	at  uint32              // the node whose references are being looked at
	bad map[uint32][]uint32 // by id: the problems that keep it from being served
	// unjudged are the keys, by id, for which bad has unknown.
	unjudged map[uint32]string
	hurt     bool               // something keeps tags from being pulled
	verdicts map[uint32]verdict // by id: what stands in the way of the tags that mean it

	examined []uint32 // by id: mark, if it was asked whether it can be served
	seen     []uint32 // by node: the last tag that came by
	cited    []uint32 // by problem: the last target that it stands in the way of
	tagMark  uint32
}

// judge finds what is wrong with the graph and what the policy keeps of it.
func judge(g *graph, p judging) *judgement {
	j := &judgement{
		lost: p.lost, uploadsAfter: p.uploadsAfter,
		known:    map[problemKey]uint32{},
		bad:      map[uint32][]uint32{},
		unjudged: map[uint32]string{},
	}
	var before *marks
	if p.Removal != nil {
		j.judgeBefore(g, p)
		before = j.before.marks
	}
	if p.lost != nil {
		p.revived = p.lost.byRepository()
	}
	j.marks = newMarks(g, p.policy, before)
	j.examined, j.seen = make([]uint32, len(j.needed)), make([]uint32, len(g.nodes))
	for i := range g.repos {
		j.marks.repository(uint32(i))
		j.repository()
	}
	j.orphanedSignatures()
	j.lostNowhere()
	j.store()
	j.sort()
	slices.SortFunc(j.denied, func(a, b Denial) int { return cmp.Compare(a.Ref, b.Ref) })
	return j
}

// release gives up the marks that only judging needs, so that a second judgement
// needs no more memory. Who uses how much is asked of them later, and so is what a
// removal takes.
func (j *judgement) release() {
	if j.usage == nil && j.before == nil {
		j.marks.release()
		j.examined, j.seen, j.cited = nil, nil, nil
	}
}

// repository judges the repository that was marked last: what is wrong with what its
// tags and revisions lead to, and then what is left over.
func (j *judgement) repository() {
	j.hurt = false
	from := len(j.problems)
	clear(j.bad)
	clear(j.unjudged)
	j.revisions()
	j.tags()
	j.reportFound()
	for _, f := range j.followed {
		j.at = f.node
		id := j.nodes[f.node].id
		if f.served {
			j.reportHealed(id)
			j.references(id)
		}
		if j.cut != nil {
			for _, t := range j.cut.tied[id] {
				j.tagTarget(t, &j.r.tags[t])
			}
		}
	}
	j.untaggedManifests()
	if j.hurt && j.before == nil {
		j.affects()
	}
	j.withdraw(from)
	j.leftovers()
}

// untaggedManifests counts the manifests to which no tag leads, and notes which was
// pushed last.
func (j *judgement) untaggedManifests() {
	j.tagMark++
	for _, f := range j.followed[:j.byTags] {
		if f.served {
			j.seen[f.node] = j.tagMark
		}
	}
	led := func(id uint32) bool { return j.nodeOf[id] != 0 && j.seen[j.nodeOf[id]-1] == j.tagMark }
	for v := range j.r.manifests() {
		if j.stateAt(v.id) == walker.ManifestGood && !led(v.id) {
			j.totals.Untagged++
		}
	}
	j.noteHead(led)
}

// references reports what of a manifest's references keeps it from being pulled.
func (j *judgement) references(id uint32) {
	uploaded := j.uploaded(id)
	for e := range j.in(j.r, id).references {
		if !e.read() {
			continue
		}
		switch role := e.role(); {
		case role == manifest.Claimed, uploaded && (role == manifest.Config || role == manifest.Layer):
			j.claimed(e.id())
		case role == manifest.Config, role == manifest.Layer:
			j.blob(e.id())
		case e.isEntry():
			j.child(id, e)
		}
	}
}

// revisions reports what is wrong with every revision's manifest and link.
func (j *judgement) revisions() {
	for _, v := range j.r.revisions {
		j.manifestState(v.id, true)
		if o, ok := j.r.odd[place{kind: layout.Revision, id: v.id}]; ok {
			j.oddLink(place{kind: layout.Revision, id: v.id}, o, j.stateAt(v.id) == walker.ManifestGood)
		}
	}
	j.layersUnread()
}

// manifestState reports what is wrong with the manifest under id.
func (j *judgement) manifestState(id uint32, linked bool) {
	switch j.stateAt(id) {
	case walker.ManifestGood:
		if j.isArchived(id) { // the cache has it, and no registry does
			j.inArchive(id, citation{})
		}
	case walker.ManifestArchived:
		j.inArchive(id, citation{})
	case walker.ManifestMissing:
		if int(id) < j.len() {
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

// tags reports what is wrong with the tags' links, and with what they mean.
func (j *judgement) tags() {
	for i := range j.r.tags {
		t := &j.r.tags[i]
		j.totals.Tags++
		if n := j.nodeAt(t.target); n != nil && n.kind == manifest.Schema1 {
			j.schema1 = append(j.schema1, tagRef{j.ri, uint32(i)})
			j.totals.TagsSchema1++
		}
		if t.badName {
			j.local(problem{id: finding.NameInvalid, name: layout.TagKey(j.r.name, t.name), tag: uint32(i), obj: none, cure: finding.CureNone})
		}
		switch {
		case j.cut.takes(uint32(i)) && !j.Removal.TagsOnly:
		case t.target == none:
			j.uncertainTag(uint32(i), t)
		default:
			j.tagTarget(uint32(i), t)
		}
	}
}

// uncertainTag reports a tag without a current link, or with one that can't be read.
func (j *judgement) uncertainTag(i uint32, t *tag) {
	p := place{kind: layout.TagCurrent, tag: i}
	entries := historyOf(j.r, i)
	provable := len(entries) == 1 && j.stateAt(entries[0].id) == walker.ManifestGood
	if t.current {
		j.oddLink(p, j.r.odd[p], provable)
		return
	}
	cure := finding.CureRemoveAsk
	if provable {
		cure = finding.CureRebuild
	}
	j.local(problem{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, tag: i, obj: none, name: layout.TagKey(j.r.name, t.name), cure: cure})
}

// tagTarget reports what is wrong with what a tag means.
func (j *judgement) tagTarget(i uint32, t *tag) {
	if j.r.hasRevision(t.target) {
		return
	}
	switch state := j.stateAt(t.target); {
	case j.strays[tagRef{j.ri, i}]:
		j.foreignTarget(i, t)
	case state == walker.ManifestGood:
		j.rebuildRevision(t.target, citation{})
	case state == walker.ManifestMissing && j.uncertain(t.target):
		j.doubt(t.target)
	case state == walker.ManifestMissing:
		j.local(problem{id: finding.TagDangling, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk})
	default:
		j.manifestState(t.target, false)
	}
}

// foreignTarget reports a tag whose target was never pushed to its repository.
func (j *judgement) foreignTarget(i uint32, t *tag) {
	if j.r.blind { // the links that could prove it may be among what wasn't read
		j.doubt(t.target)
		return
	}
	p := problem{id: finding.TagTargetForeign, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk}
	if h := j.lastWhole(j.r, i); h != nil {
		p.cure, p.detail = finding.CureWriteAsk, "it can go back to "+j.nameOf(h.id)
	}
	j.local(p)
}

// lastWhole returns the newest entry of a tag's history whose image the repository
// serves whole; nil for none.
func (j *judgement) lastWhole(r *repo, i uint32) (last *history) {
	entries := historyOf(r, i)
	for at := range entries {
		h := &entries[at]
		newer := last == nil || h.modified > last.modified || h.modified == last.modified && j.compareIDs(h.id, last.id) < 0
		if newer && j.whole(r, h.id, map[uint32]bool{}) {
			last = h
		}
	}
	return last
}

// whole reports whether the repository has a manifest and all that a pull of it
// needs, but for layer links, which a fix rebuilds.
func (j *judgement) whole(r *repo, id uint32, seen map[uint32]bool) bool {
	if seen[id] {
		return true
	}
	seen[id] = true
	if j.stateAt(id) != walker.ManifestGood || !r.hasRevision(id) {
		return false
	}
	for s := range j.in(r, id).serves {
		is := true
		switch {
		case !s.read():
		case s.child:
			is = j.whole(r, s.to, seen)
		case s.role() == manifest.Config || s.role() == manifest.Layer:
			is = j.present(s.to) && !j.wrong(s.to) && !j.uncertain(s.to)
		}
		if !is {
			return false
		}
	}
	return true
}

// rebuildRevision reports a missing revision link that can be proven: by a tag,
// or by the index that it cites.
func (j *judgement) rebuildRevision(id uint32, by citation) {
	p := problem{id: finding.RevisionLinkMissing, kind: layout.Revision, obj: id, by: by, cure: finding.CureRebuild}
	if j.cache {
		p.cure = finding.CureNone
	}
	j.local(p)
}

// by names the manifest whose references are being looked at.
func (j *judgement) by() citation {
	if j.r == nil {
		return citation{}
	}
	return citation{j.ri + 1, j.nodes[j.at].id}
}

// first reports whether id is examined for the first time in the repository.
func (j *judgement) first(id uint32) bool {
	was := j.examined[id]
	j.examined[id] = j.mark
	return was != j.mark
}

// doubt notes that nobody can say whether what needs id can be pulled.
func (j *judgement) doubt(id uint32) {
	j.bad[id] = append(j.bad[id], unknown)
	j.unjudged[id] = j.blobKey(id)
	j.hurt = true
}

// blob reports what keeps a config or layer from being served.
func (j *judgement) blob(id uint32) {
	if !j.first(id) {
		return
	}
	if j.standsFor(j.r, id) {
		j.aliased(id)
		return
	}
	if j.cache && (!j.present(id) || !j.r.hasLayer(id)) {
		j.totals.CacheAbsent++
		return
	}
	p := place{kind: layout.LayerLink, id: id}
	switch {
	case j.uncertain(id):
		j.doubt(id)
	case !j.present(id):
		j.global(problem{id: finding.BlobMissing, obj: id, by: j.by(), cure: j.cureOfBlob(id, finding.CureWithdrawAsk)})
	case j.isArchived(id):
		j.inArchive(id, j.by())
	case j.wrong(id):
		j.corrupt(id)
	}
	stands := j.present(id) || j.rebuilds(id) || j.isHealed(id)
	if o, ok := j.r.odd[p]; ok {
		j.oddLink(p, o, stands)
	} else if stands && !j.r.hasLayer(id) {
		j.local(problem{id: finding.LayerLinkMissing, kind: p.kind, obj: id, by: j.by(), cure: finding.CureRebuild})
	}
}

// aliased reports what keeps a digest of another algorithm from being served. A
// registry serves what it stands for if that has a link of its own.
func (j *judgement) aliased(id uint32) {
	a := j.r.aliasOf(id)
	switch {
	case a == nil && j.cache:
		j.totals.CacheAbsent++
	case a == nil:
		j.local(problem{id: finding.BlobMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone, detail: "no link says what this digest stands for"})
	case a.target != none: // else it is reported with the aliases
		j.blob(a.target)
	}
}

// claimed reports what keeps a blob from being served that no registry looks for when
// a manifest is pushed that refers to it, or uploaded as a blob. Without a link it is
// another repository's, for all that is known, and is never linked.
func (j *judgement) claimed(id uint32) {
	switch {
	case j.r.links(id):
		j.blob(id)
	case j.isForeign(id): // it may be any blob that the repository links
	case j.cache:
		j.totals.CacheAbsent++
	case j.uncertain(id) || j.r.blind:
		j.doubt(id)
	case j.nodes[j.at].kind == manifest.Index:
		p := problem{id: finding.IndexChildMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone}
		if j.present(id) && !j.uploaded(j.nodes[j.at].id) {
			p.cure = finding.CureWriteAsk
		}
		j.local(p)
	default:
		j.local(problem{
			id: finding.LayerLinkMissing, kind: layout.LayerLink, obj: id, by: j.by(), cure: finding.CureNone,
			detail: "no registry looked for it when its manifest came here, so nothing proves that it belongs here",
		})
	}
}

func (j *judgement) corrupt(id uint32) {
	detail := ""
	if j.sizeOf(id) == 0 {
		detail = "the stored file is empty"
	}
	j.global(problem{id: finding.BlobCorrupt, obj: id, by: j.by(), cure: j.cureOfBlob(id, finding.CureMoveAsk), detail: detail})
}

// child reports what keeps an index's entry from being served.
func (j *judgement) child(by uint32, e edge) {
	id := e.id()
	switch j.in(j.r, by).entry(e) {
	case entryServed, entryUnexplained:
	case entryAliased, entryLayer:
		j.blob(id)
	case entryUncertain:
		j.doubt(id)
	case entryBlob:
		j.claimed(id)
	case entryProven:
		j.rebuildRevision(id, j.by())
	default:
		j.absent(id)
	}
}

// absent reports a child that the repository hasn't got.
func (j *judgement) absent(id uint32) {
	switch {
	case !j.first(id):
	case j.cache:
		j.totals.CacheAbsent++
	case j.r.blind: // the links that could prove it may be among what wasn't read
		j.doubt(id)
	default:
		p := problem{id: finding.IndexChildMissing, kind: layout.Revision, obj: id, by: j.by(), cure: finding.CureNone}
		if j.stateAt(id) == walker.ManifestGood && !j.isHealed(id) && !j.uploaded(j.nodes[j.at].id) {
			p.cure = finding.CureWriteAsk
		}
		j.local(p)
	}
}

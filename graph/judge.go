package graph

import (
	"cmp"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// policy is a Policy and what the store itself asks for.
type policy struct {
	Policy
	cache        bool        // a pull-through cache: layers may be absent
	noOrphans    bool        // never say of a blob that nothing needs it
	lost         *lostImages // those among the orphans; nil while nobody has looked
	uploadsAfter int64       // uploads newer than this are under way; nanoseconds since 1970
}

// judgement is what a policy makes of a graph: problems, and what is kept.
type judgement struct {
	*graph
	policy
	problems   []problem
	known      map[problemKey]uint32
	affected   []affected
	referenced bitset                // by id: something kept needs it
	spare      bitset                // layer links that nothing needs, by position over all repositories
	firstLink  []uint32              // by repository: the position of its first layer link
	kept       map[spot]bool         // the policy's Keep
	planned    map[spot]finding.Kind // what the plan of a removal takes; nil while there is none
	before     *judgement            // the store as it is, where something is to be removed; else nil
	was        map[problemKey]bool   // the garbage of before, and whether it is young
	freed      bitset                // by id: what goes used it, so that its youth doesn't keep it
	ripe       bitset                // layer links that go though they are young, by position
	wholes     bitset                // repositories that go as a whole
	denied     []Denial              // what can't go that was named
	foreigners map[string][]string   // by repository: what is in it and isn't a registry's; nil until somebody asks
	signed     map[uint32][]signed   // by repository: what legacy signatures that stay refer to
	usage      *usage                // nil unless it is asked for
	heads      []head
	broken     []brokenTag
	ambiguous  []brokenTag
	schema1    []tagRef // tags of images of schema 1
	totals     Totals

	r    *repo  // the repository being judged
	ri   uint32 // its index
	cut  *cut   // what is to go of it
	mark uint32 // ri + 1, what stands in the arrays for "seen in this repository"
	todo []uint32
	at   uint32              // the node whose references are being followed
	dim  []uint32            // manifests that an index names and the repository can't serve
	bad  map[uint32][]uint32 // by id: the problems that keep it from being served
	// unjudged are the keys, by id, for which bad has unknown.
	unjudged map[uint32]string
	hurt     bool // something keeps tags from being pulled

	revived map[uint32]*revival // lost images that the repository being judged gets back

	strays map[tagRef]bool // tags whose target was never pushed to their repository

	needed   []uint32 // by id: mark, if a kept manifest of the repository refers to it
	examined []uint32 // by id: mark, if it was asked whether it can be served
	reached  []uint32 // by node: mark, if kept in the repository
	dimmed   []uint32 // by node: mark, if its references are kept all the same
	seen     []uint32 // by node: the last tag that came by
	cited    []uint32 // by problem: the last target that it stands in the way of
	tagMark  uint32

	freeing []uint32 // by id: mark, if a young manifest that goes of the repository refers to it
	targets struct { // the tags of a repository by their target
		of   uint32 // its index plus one
		tags map[uint32][]uint32
	}
	verdicts map[uint32]verdict // by id: what stands in the way of the tags that mean it
}

// judge finds what is wrong with the graph and what the policy keeps of it.
// Roots are every revision and every tag's target, or, for untagged, the tags'
// targets only; whatever isn't certain about a repository makes all of it
// roots.
func (g *graph) judge(p policy) *judgement {
	ids := g.len() + len(g.past)
	g.nodeOf = append(g.nodeOf, make([]uint32, ids-len(g.nodeOf))...)
	j := &judgement{
		graph: g, policy: p,
		known:      map[problemKey]uint32{},
		referenced: newBitset(ids),
		needed:     make([]uint32, ids),
		examined:   make([]uint32, ids),
		reached:    make([]uint32, len(g.nodes)),
		dimmed:     make([]uint32, len(g.nodes)),
		seen:       make([]uint32, len(g.nodes)),
		bad:        map[uint32][]uint32{},
		unjudged:   map[uint32]string{},
		strays:     map[tagRef]bool{},
		revived:    map[uint32]*revival{},
		firstLink:  make([]uint32, 1, len(g.repos)+1),
	}
	for id := j.table.first[256]; int(id) < j.len(); id++ {
		if !j.provable(id) {
			j.referenced.add(id)
		}
	}
	j.noOrphans = j.noOrphans || g.blind()
	j.Untagged = j.Untagged && !j.Left[finding.ManifestUntagged]
	j.findKept()
	j.findPlanned()
	j.judgeBefore()
	j.findSigned()
	if p.Usage {
		j.usage = newUsage(ids, len(g.repos))
	}
	for i := range g.repos {
		j.repository(uint32(i))
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
		j.needed, j.examined, j.reached, j.dimmed, j.seen, j.cited = nil, nil, nil, nil, nil, nil
	}
}

// findKept finds the places that the policy's keys name.
func (j *judgement) findKept() {
	j.kept = map[spot]bool{}
	for name := range j.Keep {
		s, ok := j.spotOf(name)
		switch {
		case !ok:
		case s.kind == layout.Blob:
			j.referenced.add(s.id)
		default:
			j.kept[s] = true
		}
	}
}

// signed is what a legacy signature refers to.
type signed struct {
	by    uint32
	fixed bool // it stays though its repository goes
}

// findSigned finds what the legacy signatures that stay refer to.
func (j *judgement) findSigned() {
	j.signed = map[uint32][]signed{}
	for i := range j.entries {
		e := &j.entries[i]
		if e.Kind != walker.EntrySignature {
			continue
		}
		fixed := j.fixedKey(e.Key)
		if !fixed && e.Modified <= j.youngAfter && !j.Left[finding.SignatureLegacy] {
			continue
		}
		if key, err := layout.Parse(e.Key); err == nil {
			if d, ok := layout.ParseHex(key.SignatureHex); ok && j.knownID(d) != none {
				repo := j.repoID[e.Repository]
				j.signed[repo] = append(j.signed[repo], signed{j.knownID(d), fixed})
			}
		}
	}
}

// repository judges one repository: what its tags and revisions lead to, what
// is wrong on the way, and then what is left over.
func (j *judgement) repository(i uint32) {
	j.r, j.ri, j.mark = &j.repos[i], i, i+1
	j.hurt = false
	from := len(j.problems)
	clear(j.bad)
	clear(j.unjudged)
	j.cut = j.cutOf()
	pinned := j.r.pinned && !j.cut.all()
	pinned = j.revisions() || pinned
	certain, broken := j.tags()
	pinned = broken || pinned
	pinned = j.held() || pinned
	j.revive()

	pinned = j.reachAll() || pinned
	for v := range j.r.manifests() {
		if j.stateAt(v.id) == walker.ManifestGood && !j.isReached(v.id) {
			j.totals.Untagged++
		}
	}
	j.noteHead()
	all := !j.untagged() || !certain
	for v := range j.r.manifests() {
		rest := !j.cut.has(v.id) && (all || j.isYoung(v) || j.unclearSubject(v.id))
		if rest || j.fixed(j.r.placeOf(v.id)) {
			j.root(v.id)
		}
	}
	if !certain && !j.cut.all() { // a tag that stays may mean any of those that were to go
		for v := range j.r.manifests() {
			j.root(v.id)
		}
	}
	pinned = j.reachAll() || pinned
	if pinned || j.brokenStays() { // also where something broken came to light only now
		pinned = true
		j.rootAll()
		j.reachAll()
	}
	if j.hurt && j.before == nil {
		j.affects()
	}
	for _, s := range j.signed[i] {
		if s.fixed || !j.cut.all() {
			j.refer(s.by)
		}
	}
	j.withdraw(from)
	j.leftovers(pinned)
	if j.usage != nil && pinned {
		j.usage.pinned.add(i)
	}
	if j.usage != nil && !certain {
		j.usage.uncertain.add(i)
	}
}

func (j *judgement) isYoung(v revision) bool {
	return newer(v.modified, j.youngAfter) || j.young.has(v.id)
}

// unclearSubject reports whether a manifest refers to its subject by another
// algorithm's digest: nobody can say which one it belongs to.
func (j *judgement) unclearSubject(id uint32) bool {
	for of := range j.in(j.r, id).subjects {
		if j.isForeign(of) {
			return true
		}
	}
	return false
}

// revisions looks at every revision's manifest and link. What is broken pins.
func (j *judgement) revisions() (pinned bool) {
	for _, v := range j.r.revisions {
		pinned = j.manifestState(v.id, true) && !j.loses(v.id) || pinned
		if o, ok := j.r.odd[place{kind: layout.Revision, id: v.id}]; ok {
			j.oddLink(place{kind: layout.Revision, id: v.id}, o, j.stateAt(v.id) == walker.ManifestGood)
		}
	}
	return j.layersUnread() || pinned
}

// manifestState reports what is wrong with the manifest under id, and reports
// whether that pins the repository.
func (j *judgement) manifestState(id uint32, linked bool) bool {
	switch j.stateAt(id) {
	case walker.ManifestGood:
		if j.isArchived(id) { // the cache has it, and no registry does
			j.inArchive(id, citation{})
		}
		return false
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
	return true
}

// tags makes the tags' targets roots. It reports whether every tag's target is
// certain, and whether something broken pins the repository.
func (j *judgement) tags() (certain, pinned bool) {
	certain = true
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
		if j.cut.takes(uint32(i)) && !j.Removal.TagsOnly {
			continue
		}
		if t.target == none {
			certain = false
			pinned = j.uncertainTag(uint32(i), t) || pinned
			continue
		}
		pinned = j.tagTarget(uint32(i), t) || pinned
	}
	return certain, pinned
}

// uncertainTag keeps all that the tag may mean. What is broken of it pins.
func (j *judgement) uncertainTag(i uint32, t *tag) (pinned bool) {
	p := place{kind: layout.TagCurrent, tag: i}
	entries := historyOf(j.r, i)
	provable := len(entries) == 1 && j.stateAt(entries[0].id) == walker.ManifestGood
	for _, h := range entries { // it may mean any of these
		j.root(h.id)
		pinned = pinned || j.uncertain(h.id) || brokenState(j.stateAt(h.id))
	}
	if t.current {
		j.oddLink(p, j.r.odd[p], provable)
		return pinned
	}
	cure := finding.CureRemoveAsk
	if provable {
		cure = finding.CureRebuild
	}
	j.local(problem{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, tag: i, obj: none, name: layout.TagKey(j.r.name, t.name), cure: cure})
	return pinned
}

// historyOf returns the entries of a tag's index/.
func historyOf(r *repo, t uint32) []history {
	from, _ := slices.BinarySearchFunc(r.history, t, func(h history, t uint32) int { return cmp.Compare(h.tag, t) })
	to := from
	for to < len(r.history) && r.history[to].tag == t {
		to++
	}
	return r.history[from:to]
}

func (j *judgement) tagTarget(i uint32, t *tag) (pinned bool) {
	if !j.r.hasRevision(t.target) {
		switch state := j.stateAt(t.target); {
		case !j.witnessed(i, t):
			return j.foreignTarget(i, t)
		case state == walker.ManifestGood:
			j.rebuildRevision(t.target, citation{})
		case state == walker.ManifestMissing:
			if j.uncertain(t.target) {
				j.doubt(t.target)
				pinned = true
				break
			}
			j.local(problem{id: finding.TagDangling, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk})
		default:
			pinned = j.manifestState(t.target, false)
		}
	}
	j.root(t.target)
	return pinned
}

// witnessed reports whether something of the repository beside the tag's current
// link says that what it means was pushed here: an entry of the tag's history, whose
// path names it, or the links of the manifest or of all that it needs. A target that
// is gone, of a tag without any history, can't be told from one.
func (j *judgement) witnessed(i uint32, t *tag) bool {
	entries := historyOf(j.r, i)
	switch j.stateAt(t.target) {
	case walker.ManifestGood:
		if j.r.links(t.target) || j.in(j.r, t.target).proven() {
			return true
		}
	case walker.ManifestMissing:
		if len(entries) == 0 {
			return true
		}
	}
	return j.cache || j.uncertain(t.target) || slices.ContainsFunc(entries, func(h history) bool { return h.id == t.target })
}

// foreignTarget reports a tag whose target was never pushed here, and keeps what it
// meant before: all of its history. What it means now is kept, and not linked here.
func (j *judgement) foreignTarget(i uint32, t *tag) (pinned bool) {
	j.strays[tagRef{j.ri, i}] = true
	for _, h := range historyOf(j.r, i) {
		j.keepHere(h.id)
	}
	j.keepDim(t.target)
	if j.r.blind { // the links that could prove it may be among what wasn't read
		j.doubt(t.target)
		return true
	}
	p := problem{id: finding.TagTargetForeign, kind: layout.TagCurrent, tag: i, obj: t.target, cure: finding.CureRemoveAsk}
	if h := j.lastWhole(j.r, i); h != nil {
		p.cure, p.detail = finding.CureWriteAsk, "it can go back to "+j.nameOf(h.id)
	}
	j.local(p)
	return true
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

// weighUntagged sums up what a fix with Policy.Untagged would take and free besides
// what it does anyway. It is a second judgement, made only where there are manifests
// without a tag and nobody has asked about them.
func (c *Scan) weighUntagged(r *Result) {
	p := c.Policy
	if r.Totals.Untagged == 0 || p.Untagged || p.Removal != nil || p.Usage {
		return
	}
	p.Untagged = true
	as := c.policyOf(p)
	as.lost = c.lost
	j := c.g.judge(as)
	counts := j.counts()
	r.Totals.UntaggedGoing = counts[finding.ManifestUntagged].Count
	r.Totals.UntaggedBytes = reclaimable(&counts) - r.Totals.ReclaimableBytes
}

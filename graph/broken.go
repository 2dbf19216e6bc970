package graph

import (
	"maps"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// affects finds the tags of the repository that its problems keep from being
// pulled, and those of which nobody can say whether they can be.
func (j *judgement) affects() {
	j.verdicts = map[uint32]verdict{}
	for i := range j.r.tags {
		v := j.reasons(uint32(i))
		ref := tagRef{j.ri, uint32(i)}
		for _, at := range v.because {
			j.affect(at, ref)
		}
		tag := brokenTag{ref, slices.Clone(v.because[:min(len(v.because), finding.MaxAffects)]), v.doubts}
		switch {
		case v.unclear:
			j.totals.TagsUnknown++
			j.ambiguous = append(j.ambiguous, tag)
		case len(v.because) > 0:
			j.totals.TagsBroken++
			j.prospect(uint32(i), v)
			j.broken = append(j.broken, tag)
		}
	}
}

func (j *judgement) affect(at uint32, ref tagRef) {
	p := &j.problems[at]
	if p.affected == 0 {
		j.affected = append(j.affected, affected{})
		p.affected = uint32(len(j.affected))
	}
	a := &j.affected[p.affected-1]
	a.count++
	if len(a.first) < finding.MaxAffects {
		a.first = append(a.first, ref)
	}
}

// reasons returns what stands in the way of a tag.
func (j *judgement) reasons(i uint32) verdict {
	t := &j.r.tags[i]
	if t.target == none {
		return j.currentReasons(i)
	}
	for _, id := range []finding.Kind{finding.TagTargetForeign, finding.TagDangling} {
		if at, ok := j.known[problemKey{id: id, kind: layout.TagCurrent, repo: j.ri, tag: i, obj: t.target}]; ok {
			return verdict{because: []uint32{at}}
		}
	}
	v, ok := j.verdicts[t.target]
	if !ok {
		v = j.verdictOf(t.target)
		j.verdicts[t.target] = v
	}
	return v
}

// verdict is what stands in the way of a manifest or a tag. unclear says that nobody
// can tell whether it can be pulled: all that was found is something that could not
// be read or understood, or that changed meanwhile.
type verdict struct {
	because []uint32
	doubts  []string // what no problem speaks of, as BrokenTag has it
	unclear bool
}

// doubtful is the reason for which nobody can say anything about a key.
func (j *judgement) doubtful(key string) string {
	if j.covered(key) {
		return finding.StoreUnreadable.String() + " " + key
	}
	return "changed " + key
}

func (j *judgement) verdictOf(target uint32) verdict {
	var v verdict
	j.tagMark++
	sure := false
	todo := []uint32{target}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sure = j.addReasons(&v, id, asManifest) || sure
		n := j.nodeOf[id]
		if n == 0 || j.seen[n-1] == j.tagMark {
			continue
		}
		j.seen[n-1] = j.tagMark
		var broken bool
		todo, broken = j.follow(todo, &v, &j.nodes[n-1])
		sure = broken || sure
	}
	if v.unclear = v.unclear && !sure; !v.unclear {
		v.doubts = nil
	}
	return v
}

// follow adds what n needs in this repository, and reports whether any of it
// certainly stands in the way.
func (j *judgement) follow(todo []uint32, v *verdict, n *node) (more []uint32, sure bool) {
	for e, id := range j.in(j.r, n.id).needs {
		if !e.read() {
			continue
		}
		alias := id != e.id()
		switch role := e.role(); {
		case role == manifest.Config || role == manifest.Layer || j.r.links(e.id()) && (role == manifest.Claimed || role == manifest.Either),
			role == manifest.Claimed && n.kind != manifest.Index, e.isEntry() && alias:
			sure = j.addReasons(v, id, asBlob) || sure
		}
		if e.isEntry() && (j.r.hasRevision(id) || !alias && len(j.bad[id]) > 0) {
			todo = append(todo, id)
		}
	}
	return todo, sure
}

// use is what something is needed as.
type use uint8

const (
	asManifest use = iota
	asBlob
)

// hurts reports whether the problem stands in the way of those who need the thing
// as that: what is no manifest, or has no revision link, is as good a layer as any.
func (p *problem) hurts(as use) bool {
	switch p.id {
	case finding.ManifestUnparsable, finding.ManifestMissing, finding.RevisionLinkMissing:
		return as == asManifest
	case finding.LayerLinkMissing:
		return as == asBlob
	case finding.BlobArchived:
		if p.kind == 0 {
			return true
		}
		fallthrough
	case finding.LinkInvalid, finding.LinkMismatch:
		return (p.kind == layout.LayerLink) == (as == asBlob)
	}
	return true
}

// addReasons adds the problems of id, each once, and reports whether any of them
// certainly stands in the way. What could not be read or understood only may.
func (j *judgement) addReasons(v *verdict, id uint32, as use) (sure bool) {
	for _, at := range j.bad[id] {
		if at == unknown {
			v.unclear = true
			if why := j.doubtful(j.unjudged[id]); !slices.Contains(v.doubts, why) && len(v.doubts) < finding.MaxAffects {
				v.doubts = append(v.doubts, why)
			}
			continue
		}
		if !j.problems[at].hurts(as) {
			continue
		}
		for int(at) >= len(j.cited) {
			j.cited = append(j.cited, 0)
		}
		if j.cited[at] != j.tagMark {
			j.cited[at] = j.tagMark
			v.because = append(v.because, at)
		}
		if j.problems[at].id == finding.ManifestUnparsable {
			v.unclear = true
		} else {
			sure = true
		}
	}
	return sure
}

// currentReasons tells why a tag without a certain target can't be pulled.
func (j *judgement) currentReasons(i uint32) verdict {
	name := layout.TagKey(j.r.name, j.r.tags[i].name)
	for _, key := range []problemKey{
		{id: finding.LinkInvalid, kind: layout.TagCurrent, repo: j.ri, tag: i, obj: none},
		{id: finding.BlobArchived, kind: layout.TagCurrent, repo: j.ri, tag: i, obj: none},
		{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, repo: j.ri, tag: i, obj: none, name: name},
	} {
		if at, ok := j.known[key]; ok {
			return verdict{because: []uint32{at}}
		}
	}
	return verdict{unclear: true, doubts: []string{j.doubtful(layout.CurrentKey(j.r.name, j.r.tags[i].name))}}
}

// withdraws reports whether, as was asked for, the images are withdrawn that a
// problem of that kind keeps from being pulled. A blob that is moved away is
// missing then. A pull-through cache needs none of it: it fetches what is gone.
func (j *judgement) withdraws(id finding.Kind) bool {
	if j.Removal != nil || j.cache || !j.Also[finding.BlobMissing] {
		return false
	}
	return id == finding.BlobMissing || id == finding.BlobCorrupt && j.Also[finding.BlobCorrupt]
}

// withdraw reports the tags and revision links of the images of the repository
// being judged that can't be pulled since a blob is missing: a client that looks at
// the manifest first would take a push of them for done. An index goes with what it
// names. They stay roots of this judgement, so that nothing else goes with them. Of
// the problems from the given one on, those that would be cured for them aren't.
func (j *judgement) withdraw(from int) {
	if !j.hurt || !j.withdraws(finding.BlobMissing) {
		return
	}
	stays := j.mustStay()
	whys := map[uint32]string{}
	why := func(id uint32) string {
		text, known := whys[id]
		if !known {
			text = j.missingOf(id, stays[id])
			whys[id] = text
		}
		return text
	}
	for i := range j.r.tags {
		if t := &j.r.tags[i]; t.target != none && why(t.target) != "" {
			j.local(problem{
				id: finding.TagWithdrawn, kind: layout.TagCurrent, tag: uint32(i), obj: t.target, cure: finding.CureRemove,
				detail: why(t.target),
			})
		}
	}
	for _, v := range j.r.revisions {
		if why(v.id) != "" && !j.fixed(place{kind: layout.Revision, id: v.id}) {
			j.local(problem{
				id: finding.ManifestWithdrawn, kind: layout.Revision, obj: v.id, cure: finding.CureRemove,
				bytes: linkBytes, modified: int64(v.modified) * 1e9, detail: why(v.id),
			})
		}
	}
	for i := from; i < len(j.problems); i++ {
		if p := &j.problems[i]; p.id == finding.RevisionLinkMissing && p.repo == j.ri && why(p.obj) != "" {
			p.cure, p.withdrawn = finding.CureNone, true
		}
	}
}

// mustStay are the manifests of the repository being judged that can't be withdrawn:
// a tag that stays means them, or may, or an index that stays names them.
func (j *judgement) mustStay() map[uint32]bool {
	stays := map[uint32]bool{}
	for i := range j.r.tags {
		t, entries := &j.r.tags[i], historyOf(j.r, uint32(i))
		fixed := j.r.badName || t.badName || j.fixed(place{kind: layout.TagCurrent, tag: uint32(i)}) ||
			slices.ContainsFunc(entries, func(h history) bool { return j.fixed(place{layout.TagHistory, uint32(i), h.id}) })
		switch {
		case t.target == none:
			for _, h := range entries {
				stays[h.id] = true
			}
		case fixed:
			stays[t.target] = true
		}
	}
	for todo := slices.Collect(maps.Keys(stays)); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for e, needed := range j.in(j.r, id).needs {
			if e.isEntry() && !stays[needed] {
				stays[needed] = true
				todo = append(todo, needed)
			}
		}
	}
	return stays
}

// missingOf says what is missing of an image that is to be withdrawn, "" if it isn't:
// it can be pulled, or something else stands in its way, or it must stay.
func (j *judgement) missingOf(id uint32, stays bool) (why string) {
	if !j.isReached(id) {
		return ""
	}
	for _, at := range j.verdictOf(id).because {
		p := &j.problems[at]
		switch {
		case p.repo != none || !j.withdraws(p.id) || p.cure.Restores():
		case stays || j.r.badName:
			p.withheld = true
		case p.id == finding.BlobMissing:
			return "it can't be pulled: " + j.nameOf(p.obj) + " is missing"
		default:
			return "it can't be pulled: " + j.nameOf(p.obj) + " is corrupt, and is moved away"
		}
	}
	return ""
}

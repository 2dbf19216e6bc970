package check

import (
	"maps"
	"slices"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// tagRules find the tags that can't be pulled, and why.
type tagRules struct{ *checker }

// affects records the repository's tags that its problems block, and those whose state is
// unknown.
func (j tagRules) affects() {
	j.verdicts = map[uint32]verdict{}
	for i := range j.Current.Tags {
		v := j.reasons(uint32(i))
		ref := graph.TagRef{Repo: j.CurrentID, Tag: uint32(i)}
		for _, at := range v.because {
			j.affect(at, ref)
		}
		tag := brokenTag{TagRef: ref, because: slices.Clone(v.because[:min(len(v.because), finding.MaxAffects)]), doubts: v.doubts}
		switch {
		case v.unclear:
			j.totals.TagsUnknown++
			j.ambiguous = append(j.ambiguous, tag)
		case len(v.because) > 0:
			j.totals.TagsBroken++
			tag.outlook, tag.ask = j.prospect(uint32(i), v)
			j.broken = append(j.broken, tag)
		}
	}
}

func (j tagRules) affect(at uint32, ref graph.TagRef) {
	p := &j.problems[at]
	if p.affected == 0 {
		j.affected = append(j.affected, affected{})
		p.affected = uint32(len(j.affected))
	}
	a := &j.affected[p.affected-1]
	a.count++
	if j.allAffects || len(a.first) < finding.MaxAffects {
		a.first = append(a.first, ref)
	}
}

// reasons returns what blocks a tag.
func (j tagRules) reasons(i uint32) verdict {
	t := &j.Current.Tags[i]
	if t.Target == graph.None {
		return j.currentReasons(i)
	}
	for _, id := range []finding.Kind{finding.TagTargetForeign, finding.TagDangling} {
		if at, ok := j.known[problemKey{id: id, kind: layout.TagCurrent, repo: j.CurrentID, tag: i, obj: t.Target}]; ok {
			return verdict{because: []uint32{at}}
		}
	}
	v, ok := j.verdicts[t.Target]
	if !ok {
		v = j.verdictOf(t.Target)
		j.verdicts[t.Target] = v
	}
	return v
}

// verdict is what blocks a manifest or tag. unclear means that this is unknown: all that was
// found could not be read or parsed, or changed during the scan.
type verdict struct {
	because []uint32
	doubts  []string // reasons without a problem, as in BrokenTag
	unclear bool
}

// doubtful returns the reason why the state of a key is unknown.
func (j tagRules) doubtful(key string) string {
	if j.Covered(key) {
		return finding.StoreUnreadable.String() + " " + key
	}
	return "changed " + key
}

func (j tagRules) verdictOf(target uint32) verdict {
	var v verdict
	j.tagMark++
	sure := false
	todo := []uint32{target}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sure = j.addReasons(&v, id, asManifest) || sure
		n := j.NodeOf[id]
		if n == 0 || j.seen[n-1] == j.tagMark {
			continue
		}
		j.seen[n-1] = j.tagMark
		var broken bool
		todo, broken = j.follow(todo, &v, &j.Nodes[n-1])
		sure = broken || sure
	}
	if v.unclear = v.unclear && !sure; !v.unclear {
		v.doubts = nil
	}
	return v
}

// follow adds the problems of what n needs in this repository, and reports whether any
// certainly blocks a pull.
func (j tagRules) follow(todo []uint32, v *verdict, n *graph.Manifest) (more []uint32, sure bool) {
	for e, id := range j.In(j.Current, n.ID).Needs {
		if !e.Read() {
			continue
		}
		alias := id != e.ID()
		switch role := e.Role(); {
		case role == manifest.Config || role == manifest.Layer || j.Current.HasLink(e.ID()) && (role == manifest.Claimed || role == manifest.Either),
			role == manifest.Claimed && n.Kind != manifest.Index, e.IsEntry() && alias:
			sure = j.addReasons(v, id, asBlob) || sure
		}
		if e.IsEntry() && (j.Current.HasRevision(id) || !alias && len(j.bad[id]) > 0) {
			todo = append(todo, id)
		}
	}
	return todo, sure
}

// use is the role in which something is needed.
type use uint8

const (
	asManifest use = iota
	asBlob
)

// blocks reports whether the problem blocks this use: a layer needs no revision link and need
// not be a manifest.
func (p *problem) blocks(as use) bool {
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

// addReasons adds the problems of id, each once, and reports whether any certainly blocks a
// pull. What could not be read or parsed only may.
func (j tagRules) addReasons(v *verdict, id uint32, as use) (sure bool) {
	for _, at := range j.bad[id] {
		if at == unknown {
			v.unclear = true
			if why := j.doubtful(j.unjudged[id]); !slices.Contains(v.doubts, why) && len(v.doubts) < finding.MaxAffects {
				v.doubts = append(v.doubts, why)
			}
			continue
		}
		if !j.problems[at].blocks(as) {
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

// currentReasons returns what blocks a tag without a certain target.
func (j tagRules) currentReasons(i uint32) verdict {
	name := layout.TagKey(j.Current.Name, j.Current.Tags[i].Name)
	for _, key := range []problemKey{
		{id: finding.LinkInvalid, kind: layout.TagCurrent, repo: j.CurrentID, tag: i, obj: graph.None},
		{id: finding.BlobArchived, kind: layout.TagCurrent, repo: j.CurrentID, tag: i, obj: graph.None},
		{id: finding.TagWithoutCurrent, kind: layout.TagCurrent, repo: j.CurrentID, tag: i, obj: graph.None, name: name},
	} {
		if at, ok := j.known[key]; ok {
			return verdict{because: []uint32{at}}
		}
	}
	return verdict{unclear: true, doubts: []string{j.doubtful(layout.CurrentKey(j.Current.Name, j.Current.Tags[i].Name))}}
}

// withdraws reports whether images with a problem of that kind are withdrawn, as requested: a
// corrupt blob is missing once it is moved away. A pull-through cache fetches missing blobs,
// so nothing is withdrawn there.
func (j tagRules) withdraws(id finding.Kind) bool {
	if j.Removal != nil || j.Cache || !j.Also[finding.BlobMissing] {
		return false
	}
	return id == finding.BlobMissing || id == finding.BlobCorrupt && j.Also[finding.BlobCorrupt]
}

// withdraw reports the tags and revision links of images of the current repository that a
// missing blob blocks: clients that first ask for the manifest would skip the push of the
// blob. An index is removed with its children. All of them remain roots, so that nothing else
// is removed with them. Links that only they lack are not rebuilt; from is the first problem
// of the repository.
func (j tagRules) withdraw(from int) {
	if !j.blocking || !j.withdraws(finding.BlobMissing) {
		return
	}
	kept := j.unremovable()
	whys := map[uint32]string{}
	why := func(id uint32) string {
		text, known := whys[id]
		if !known {
			text = j.missingOf(id, kept[id])
			whys[id] = text
		}
		return text
	}
	for i := range j.Current.Tags {
		if t := &j.Current.Tags[i]; t.Target != graph.None && why(t.Target) != "" {
			j.local(problem{
				id: finding.TagWithdrawn, kind: layout.TagCurrent, tag: uint32(i), obj: t.Target, cure: finding.CureRemove,
				detail: why(t.Target),
			})
		}
	}
	for _, v := range j.Current.Revisions {
		if why(v.ID) != "" && !j.IsKept(graph.Link{Kind: layout.Revision, ID: v.ID}) {
			j.local(problem{
				id: finding.ManifestWithdrawn, kind: layout.Revision, obj: v.ID, cure: finding.CureRemove,
				bytes: graph.LinkBytes, modified: int64(v.Modified) * 1e9, detail: why(v.ID),
			})
		}
	}
	for i := from; i < len(j.problems); i++ {
		if p := &j.problems[i]; p.id == finding.RevisionLinkMissing && p.repo == j.CurrentID && why(p.obj) != "" {
			p.cure, p.withdrawn = finding.CureNone, true
		}
	}
}

// unremovable returns the manifests of the current repository that can't be withdrawn: a kept
// tag has or may have them as its target, or a kept index has them as children.
func (j tagRules) unremovable() map[uint32]bool {
	kept := map[uint32]bool{}
	for i := range j.Current.Tags {
		t, entries := &j.Current.Tags[i], graph.HistoryOf(j.Current, uint32(i))
		fixed := j.Current.BadName || t.BadName || j.IsKept(graph.Link{Kind: layout.TagCurrent, Tag: uint32(i)}) ||
			slices.ContainsFunc(entries, func(h graph.HistoryEntry) bool {
				return j.IsKept(graph.Link{Kind: layout.TagHistory, Tag: uint32(i), ID: h.ID})
			})
		switch {
		case t.Target == graph.None:
			for _, h := range entries {
				kept[h.ID] = true
			}
		case fixed:
			kept[t.Target] = true
		}
	}
	for todo := slices.Collect(maps.Keys(kept)); len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for e, needed := range j.In(j.Current, id).Needs {
			if e.IsEntry() && !kept[needed] {
				kept[needed] = true
				todo = append(todo, needed)
			}
		}
	}
	return kept
}

// missingOf describes what an image lacks that is to be withdrawn, "" if it isn't: it can be
// pulled, it has another problem, or kept is set.
func (j tagRules) missingOf(id uint32, kept bool) (why string) {
	if !j.IsReached(id) {
		return ""
	}
	for _, at := range j.verdictOf(id).because {
		p := &j.problems[at]
		switch {
		case p.repo != graph.None || !j.withdraws(p.id) || p.cure.Restores() || j.Unasked[p.obj] != "" || j.IsSpare(p.obj):
		case kept || j.Current.BadName:
			p.spared = true
		case p.id == finding.BlobMissing:
			return "it can't be pulled: " + j.NameOf(p.obj) + " is missing"
		default:
			return "it can't be pulled: " + j.NameOf(p.obj) + " is corrupt, and is moved away"
		}
	}
	return ""
}

// Prospect is the state of the broken tags after a fix under the same policy, without further
// requests.
type Prospect struct {
	Mended int `json:"tags_mended"`        // can be pulled
	Push   int `json:"tags_need_push"`     // need a push: what they lack can't be written, or isn't a matter of bytes
	Decide int `json:"tags_need_decision"` // need a decision: a cure on request
	Lost   int `json:"tags_in_no_source"`  // lack bytes that neither the store nor a source has

	Unasked int `json:"tags_not_asked_about"` // lack bytes for which no source was asked
}

// prospect returns what a broken tag needs after a fix, and counts it. It considers all
// problems of the tag, with those of healed manifests' references.
func (j tagRules) prospect(tag uint32, v verdict) (outlook finding.Outlook, ask finding.Kind) {
	because := v.because
	if t := &j.Current.Tags[tag]; t.Target == graph.None { // a fix sets it to the only entry of its history
		for _, h := range graph.HistoryOf(j.Current, tag) {
			because = append(because[:len(because):len(because)], j.verdictOf(h.ID).because...)
		}
	}
	outlook = finding.Mended
	unasked := false
	for _, at := range because {
		p := &j.problems[at]
		needs := finding.NeedsPush
		switch {
		case p.cure.Restores() && !j.Skips(p.id), p.cure == finding.CureWriteAsk && j.Cures(p.id):
			if needs = finding.Mended; p.cure == finding.CureHeal {
				needs = finding.MendedByCopy
			}
		case p.cure == finding.CureWriteAsk:
			needs = finding.NeedsDecision
		case p.id == finding.BlobArchived:
			needs = finding.NeedsRestore
		case p.lacksBytes():
			needs = finding.NeedsBytes
			unasked = unasked || j.Unasked[p.obj] != ""
		}
		if (p.cure == finding.CureWriteAsk || p.cure == finding.CureMoveAsk) && !j.Cures(p.id) && ask == finding.None {
			ask = p.id
		}
		if needs == finding.NeedsBytes || outlook != finding.NeedsBytes && needs > outlook {
			outlook = needs
		}
	}
	n := &j.totals.Prospect
	switch {
	case outlook == finding.NeedsBytes && unasked:
		n.Unasked++
	case outlook == finding.NeedsBytes:
		n.Lost++
	case outlook == finding.NeedsPush, outlook == finding.NeedsRestore:
		n.Push++
	case outlook == finding.NeedsDecision:
		n.Decide++
	default:
		n.Mended++
	}
	return outlook, ask
}

// lacksBytes reports whether the problem is the lack of a blob's bytes.
func (p *problem) lacksBytes() bool {
	switch p.id {
	case finding.BlobMissing, finding.BlobCorrupt, finding.ManifestMissing, finding.ManifestCorrupt, finding.TagDangling:
		return true
	}
	return false
}

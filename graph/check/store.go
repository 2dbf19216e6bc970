package check

import (
	"fmt"
	"strings"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// storeRules check what is of no single repository.
type storeRules struct{ *checker }

// store checks what is of no single repository.
func (j storeRules) store() {
	j.CurrentID, j.Current, j.Mark = graph.None, nil, 0
	clear(j.bad)
	for _, f := range j.Faults {
		p := problem{id: finding.StoreUnreadable, repo: graph.None, obj: graph.None, name: f.Key, cure: finding.CureNone, detail: f.Err.Error()}
		if i, ok := j.RepoID[f.Repository]; ok {
			p.repo = i
		}
		j.report(p)
	}
	for id, why := range j.Unasked {
		if key := j.BlobKey(id); !j.Covered(key) {
			j.report(problem{id: finding.StoreUnreadable, repo: graph.None, obj: graph.None, name: key, cure: finding.CureNone, detail: why})
		}
	}
	for i := range j.Nodes {
		if n := &j.Nodes[i]; n.State == walker.ManifestUnreadable && !j.Covered(j.BlobKey(n.ID)) {
			j.report(problem{id: finding.StoreUnreadable, repo: graph.None, obj: n.ID, cure: finding.CureNone, detail: graph.Reason(j.Whys[uint32(i)]).Error()})
		}
	}
	for s := range j.Changed {
		if j.Covered(j.KeyOf(s)) { // the listing lacked it; no change
			continue
		}
		p := problem{id: finding.StoreChanged, repo: s.Repo, kind: s.Kind, tag: s.Tag, obj: s.ID, cure: finding.CureNone}
		if s.Kind == layout.TagCurrent || s.Kind == 0 {
			p.obj = graph.None
		}
		if s.Kind == 0 {
			p.name = j.KeyOf(s)
		}
		j.report(p)
	}
	for i := range j.Entries {
		j.entry(uint32(i))
	}
	j.cacheState()
	j.rule()
	j.catalogMarkers()
	j.unknownBlobs()
	j.corruptOthers()
	j.descriptors()
	j.blobs()
}

// entry reports a key that is neither blob nor link.
func (j storeRules) entry(i uint32) {
	e := &j.Entries[i]
	p := problem{repo: graph.None, obj: graph.None, name: e.Key, bytes: e.Size, modified: e.Modified}
	if e.Repository != "" {
		p.repo = j.RepoID[e.Repository]
	}
	p.inGrace = j.Age.Covers(e.Modified)
	whole := p.repo != graph.None && j.Wholes.Has(p.repo)
	switch e.Kind {
	case walker.EntryMultipart:
		stale := j.multipart(e, &p)
		if !stale {
			return
		}
		p.tag = i // distinguishes multipart uploads at one key
	case walker.EntryForeign, walker.EntryReserved:
		p.id, p.cure, p.inGrace = finding.ForeignFile, finding.CureNone, false
	case walker.EntryTemp:
		p.id, p.cure = finding.TmpStale, finding.CureRemove
	case walker.EntrySignature:
		p.id, p.cure = finding.SignatureLegacy, finding.CureRemove
	case walker.EntryEmpty:
		if p.repo != graph.None && j.Repos[p.repo].BadName && !j.Repos[p.repo].Exists { // it has nothing of a repository
			p.id, p.cure, p.inGrace = finding.ForeignFile, finding.CureNone, false
			break
		}
		if whole { // it is removed with the repository's directories
			return
		}
		if p.repo != graph.None && j.emptyRepo(p.repo) && graph.PartOf(e.Repository, e.Key)&j.Repos[p.repo].Foreign == 0 {
			return
		}
		p.id, p.cure = finding.DirectoryEmpty, finding.CureRemove
	}
	if p.repo != graph.None && (j.Repos[p.repo].BadName || e.Tag != "" && !layout.ValidTag(e.Tag)) {
		p.cure = finding.CureNone // objects with invalid names are never changed
	}
	if whole && p.cure == finding.CureRemove {
		p.id, p.inGrace = finding.RepositoryRemoved, false
	}
	j.report(p)
}

// unknownBlobs reports blobs of unknown algorithms.
func (j storeRules) unknownBlobs() {
	for id := j.Table.First[256]; int(id) < j.Len(); id++ {
		if !j.Provable(id) {
			j.report(problem{
				id: finding.ForeignFile, repo: graph.None, obj: id, cure: finding.CureNone,
				detail: "the algorithm of its digest is unknown, so it is kept",
			})
		}
	}
}

// corruptOthers reports the corrupt manifests that no link and no tag led to: children that
// the index's repository lacks.
func (j storeRules) corruptOthers() {
	for i := range j.Nodes {
		n := &j.Nodes[i]
		if j.StoredState(n.ID) != walker.ManifestCorrupt || !j.Referenced.Has(n.ID) {
			continue
		}
		if _, ok := j.known[problemKey{id: finding.ManifestCorrupt, repo: graph.None, obj: n.ID}]; !ok {
			j.corrupt(n.ID)
		}
	}
}

// emptyRepo reports whether the repository as a whole is garbage or never changed, so that
// its directories aren't reported.
func (j storeRules) emptyRepo(i uint32) bool {
	r := &j.Repos[i]
	_, ok := j.known[problemKey{id: finding.RepoEmpty, repo: i, obj: graph.None, name: layout.RepositoryKey(r.Name)}]
	return ok || r.BadName
}

// descriptors reports blobs whose size differs from a kept manifest's descriptor though their
// bytes are right.
func (j storeRules) descriptors() {
	for _, m := range j.Suspects {
		n := &j.Nodes[m.Node]
		if !j.Referenced.Has(n.ID) || j.StoredState(m.ID) != walker.ManifestUnread && j.StoredState(m.ID) != walker.ManifestGood {
			continue
		}
		if h := j.BadHashes[m.ID]; h.State != walker.HashRight || !j.Hashed.Has(m.ID) && j.StoredState(m.ID) != walker.ManifestGood {
			continue
		}
		j.report(problem{
			id: finding.DescriptorWrong, repo: graph.None, obj: n.ID, about: m.ID, cure: finding.CureNone,
			detail: fmt.Sprintf("it states %d bytes for %s; the stored blob has %d and hashes right", m.Stated, j.NameOf(m.ID), j.SizeOf(m.ID)),
		})
	}
	for id, h := range j.BadHashes {
		switch h.State {
		case walker.HashWrong:
			if !j.Orphan(id) {
				j.corrupt(id)
			}
		case walker.HashUnreadable:
			if j.Covered(j.BlobKey(id)) {
				continue
			}
			j.report(problem{id: finding.StoreUnreadable, repo: graph.None, obj: id, cure: finding.CureNone, detail: graph.Reason(h.Err).Error()})
		}
	}
}

// blobs adds up the blobs and counts the orphans. Orphans are not problems: there can be
// millions, and the marks have them.
func (j storeRules) blobs() {
	t := &j.totals
	t.Blobs = j.Len()
	for id := range uint32(j.Len()) {
		size := j.Sizes[id]
		t.Bytes += size
		if j.Referenced.Has(id) {
			t.ReferencedBlobs++
			t.ReferencedBytes += size
		}
	}
}

// multipart reports whether a multipart upload is stale, and fills in p. Its time is when it
// began; if it was continued, it is as new as the newest file of its upload or any other
// multipart upload of it, since a registry continues the one that is listed first. One at a
// key where no registry uses multipart uploads is foreign and kept.
func (j storeRules) multipart(e *walker.Entry, p *problem) bool {
	p.id, p.cure, p.inGrace, p.detail = finding.MultipartStale, finding.CureNone, false, "upload id "+e.Upload
	newest := e.Modified
	switch key, err := layout.Parse(e.Key); {
	case err != nil || key.Kind != layout.Blob && key.Kind != layout.UploadData:
	case key.Kind == layout.Blob:
		p.cure = finding.CureAbort
	default:
		p.cure = finding.CureAbort
		if i, ok := j.RepoID[key.Repository]; ok {
			p.repo = i
		} else if !layout.ValidRepository(key.Repository) {
			p.cure = finding.CureNone
		}
		if u := j.UploadOf(key); u != nil {
			newest = max(newest, u.Touched())
			if u.Foreign && !(p.repo != graph.None && j.Wholes.Has(p.repo)) { // it is kept, and so is its upload
				p.cure = finding.CureNone
			}
		}
	}
	return newest <= j.uploadsAfter
}

// rule reports each rule that applies to a registry's files.
func (j storeRules) rule() {
	for i, rule := range j.Rules {
		p := problem{id: finding.LifecycleExpiry, repo: graph.None, obj: graph.None, tag: uint32(i), cure: finding.CureNone, detail: rule.Detail, name: layout.Root}
		switch {
		case strings.HasPrefix(layout.Root+"/", rule.Prefix):
		case strings.HasPrefix(rule.Prefix, layout.Root+"/"):
			p.name = strings.TrimSuffix(rule.Prefix, "/")
		default:
			continue
		}
		j.report(p)
	}
}

// catalogMarkers reports the markers of repositories and tags without anything else.
func (j storeRules) catalogMarkers() {
	for i := range j.Markers {
		e := &j.Markers[i]
		if !j.markerAlone(e) {
			continue
		}
		p := problem{
			id: finding.CatalogMarker, repo: graph.None, obj: graph.None, name: e.Key, modified: e.Modified, cure: finding.CureRemove,
			inGrace: j.Age.Covers(e.Modified),
		}
		if !layout.ValidRepository(e.Repository) || e.Tag != "" && !layout.ValidTag(e.Tag) {
			p.cure = finding.CureNone // objects with invalid names are never changed
		}
		j.report(p)
	}
}

// markerAlone reports whether a marker's repository or tag has nothing but markers.
func (j storeRules) markerAlone(e *walker.Entry) bool {
	i, ok := j.RepoID[e.Repository]
	if !ok || !j.Repos[i].Exists {
		return true
	}
	_, tagged := j.Repos[i].FindTag(e.Tag)
	return e.Tag != "" && !tagged
}

// cacheState reports a state file with which no registry starts.
func (j storeRules) cacheState() {
	s := j.CacheState
	if s == nil {
		return
	}
	p := problem{id: finding.StoreChanged, repo: graph.None, obj: graph.None, name: layout.SchedulerKey, cure: finding.CureNone}
	if s.Item.Modified <= j.ChangedFrom {
		p.id, p.cure, p.detail = finding.CacheStateInvalid, finding.CureMoveAsk, s.Why
		p.bytes, p.modified = s.Item.Size, s.Item.Modified
	}
	j.report(p)
}

// OrphanedReferrer is a referrers tag in another repository whose subject a removal removes;
// it is kept.
type OrphanedReferrer struct {
	Repository, Tag string
	Subject         layout.Digest
}

// Ref returns "repo:tag".
func (b OrphanedReferrer) Ref() string { return b.Repository + ":" + b.Tag }

// otherRegistry is why signatures aren't removed from a repository with nothing else.
const otherRegistry = "its repository holds only such tags, and none of their images is in this store: they may be in another registry"

// orphanedSignatures reports the referrers tags of manifests that aren't in the store:
// signatures can be in a repository of their own (cosign's COSIGN_REPOSITORY). If that has
// nothing else and none of the images is here, it may serve another registry, and has no
// cure.
func (j storeRules) orphanedSignatures() {
	if j.Cache || j.NoOrphans { // then absence is unknown
		return
	}
	there := j.imagesThere(nil)
	for i := range j.Repos {
		j.CurrentID, j.Current = uint32(i), &j.Repos[i]
		var gone []uint32
		for t := range j.Current.Tags {
			if d, ok := layout.SubjectOf(j.Current.Tags[t].Name); ok {
				if id := j.KnownID(d); id == graph.None || !there.Has(id) {
					gone = append(gone, uint32(t))
				}
			}
		}
		p := problem{id: finding.SignatureOrphaned, kind: layout.TagCurrent, cure: finding.CureRemoveAsk}
		if len(gone) == len(j.Current.Tags) {
			p.cure, p.detail = finding.CureNone, otherRegistry
		}
		for _, t := range gone {
			p.tag, p.obj = t, j.Current.Tags[t].Target
			j.local(p)
		}
	}
}

// imagesThere returns the manifests that the store has: by a revision link, a tag, or because
// they are kept. Links in gone don't count.
func (j storeRules) imagesThere(gone map[graph.Ref]bool) graph.Bitset {
	there := graph.NewBitset(j.Len() + len(j.Unlisted))
	for i := range j.Repos {
		r, repo := &j.Repos[i], uint32(i)
		for _, v := range r.Revisions {
			if !gone[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.Revision, ID: v.ID}}] {
				there.Add(v.ID)
			}
		}
		for t := range r.Tags {
			if target := r.Tags[t].Target; target != graph.None && !gone[graph.Ref{Repo: repo, Link: graph.Link{Kind: layout.TagCurrent, Tag: uint32(t)}}] {
				there.Add(target)
			}
		}
	}
	for id := range uint32(j.Len() + len(j.Unlisted)) {
		if j.Referenced.Has(id) || j.InGrace.Has(id) { // or a push is in progress
			there.Add(id)
		}
	}
	return there
}

// orphanedReferrers returns the kept signatures whose subjects the removal removes.
func (j storeRules) orphanedReferrers() (all []OrphanedReferrer) {
	gone := map[graph.Ref]bool{}
	for i := range j.problems {
		switch p := &j.problems[i]; p.id {
		case finding.RepositoryRemoved, finding.TagRemoved, finding.TagUnneeded, finding.ManifestRemoved, finding.ManifestUnneeded, finding.ManifestUntagged:
			s := graph.Ref{Repo: p.repo, Link: graph.Link{Kind: p.kind, Tag: p.tag}}
			if p.kind == layout.Revision {
				s.ID = p.obj
			}
			gone[s] = true
		}
	}
	before, after := storeRules{j.before}.imagesThere(nil), j.imagesThere(gone)
	for i := range j.Repos {
		r := &j.Repos[i]
		for t := range r.Tags {
			d, ok := layout.SubjectOf(r.Tags[t].Name)
			if !ok || gone[graph.Ref{Repo: uint32(i), Link: graph.Link{Kind: layout.TagCurrent, Tag: uint32(t)}}] {
				continue
			}
			if id := j.KnownID(d); id != graph.None && before.Has(id) && !after.Has(id) {
				all = append(all, OrphanedReferrer{r.Name, r.Tags[t].Name, d})
			}
		}
	}
	return all
}

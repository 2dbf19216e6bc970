package graph

import (
	"fmt"
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// store judges what belongs to no single repository.
func (j *judgement) store() {
	j.ri, j.r, j.mark = none, nil, 0
	clear(j.bad)
	for _, f := range j.faults {
		p := problem{id: finding.StoreUnreadable, repo: none, obj: none, name: f.Key, cure: finding.CureNone, detail: f.Err.Error()}
		if i, ok := j.repoID[f.Repository]; ok {
			p.repo = i
		}
		j.report(p)
	}
	for i := range j.nodes {
		if n := &j.nodes[i]; n.state == walker.ManifestUnreadable && !j.covered(j.blobKey(n.id)) {
			j.report(problem{id: finding.StoreUnreadable, repo: none, obj: n.id, cure: finding.CureNone, detail: reason(j.why[uint32(i)]).Error()})
		}
	}
	for s := range j.changed {
		if j.covered(j.placeOf(s)) { // the listing didn't know, which is no change
			continue
		}
		p := problem{id: finding.StoreChanged, repo: s.repo, kind: s.kind, tag: s.tag, obj: s.id, cure: finding.CureNone}
		if s.kind == layout.TagCurrent || s.kind == 0 {
			p.obj = none
		}
		if s.kind == 0 {
			p.name = j.placeOf(s)
		}
		j.report(p)
	}
	for i := range j.entries {
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

// entry reports what is neither blob nor link.
func (j *judgement) entry(i uint32) {
	e := &j.entries[i]
	p := problem{repo: none, obj: none, name: e.Key, bytes: e.Size, modified: e.Modified}
	if e.Repository != "" {
		p.repo = j.repoID[e.Repository]
	}
	p.young = e.Modified > j.youngAfter
	whole := p.repo != none && j.wholes.has(p.repo)
	switch e.Kind {
	case walker.EntryMultipart:
		stale := j.multipart(e, &p)
		if !stale {
			return
		}
		p.tag = i // tells it from others of its key
	case walker.EntryForeign, walker.EntryReserved:
		p.id, p.cure, p.young = finding.ForeignFile, finding.CureNone, false
	case walker.EntryTemp:
		p.id, p.cure = finding.TmpStale, finding.CureRemove
	case walker.EntrySignature:
		p.id, p.cure = finding.SignatureLegacy, finding.CureRemove
	case walker.EntryEmpty:
		if p.repo != none && j.repos[p.repo].badName && !j.repos[p.repo].exists { // it holds nothing of a repository
			p.id, p.cure, p.young = finding.ForeignFile, finding.CureNone, false
			break
		}
		if whole { // it goes with the repository's own folders
			return
		}
		if p.repo != none && j.emptyRepo(p.repo) && partOf(e.Repository, e.Key)&j.repos[p.repo].foreign == 0 {
			return
		}
		p.id, p.cure = finding.DirectoryEmpty, finding.CureRemove
	}
	if p.repo != none && (j.repos[p.repo].badName || e.Tag != "" && !layout.ValidTag(e.Tag)) {
		p.cure = finding.CureNone // nothing is touched where a name is odd
	}
	if whole && p.cure == finding.CureRemove {
		p.id, p.young = finding.RepositoryRemoved, false
	}
	j.report(p)
}

// unknownBlobs reports what is stored by an algorithm that isn't known.
func (j *judgement) unknownBlobs() {
	for id := j.table.first[256]; int(id) < j.len(); id++ {
		if !j.provable(id) {
			j.report(problem{
				id: finding.ForeignFile, repo: none, obj: id, cure: finding.CureNone,
				detail: "its digest is by an algorithm that isn't known, so nobody can say what it is, and it stays",
			})
		}
	}
}

// corruptOthers reports the corrupt manifests that no link and no tag led to:
// children of an index that its repository hasn't got.
func (j *judgement) corruptOthers() {
	for i := range j.nodes {
		n := &j.nodes[i]
		if j.storedState(n.id) != walker.ManifestCorrupt || !j.referenced.has(n.id) {
			continue
		}
		if _, ok := j.known[problemKey{id: finding.ManifestCorrupt, repo: none, obj: n.id}]; !ok {
			j.corrupt(n.id)
		}
	}
}

// emptyRepo reports whether the repository as a whole is garbage, so that its
// folders need no word of their own, or is never touched.
func (j *judgement) emptyRepo(i uint32) bool {
	r := &j.repos[i]
	_, ok := j.known[problemKey{id: finding.RepoEmpty, repo: i, obj: none, name: layout.RepositoryKey(r.name)}]
	return ok || r.badName
}

// descriptors reports blobs whose size differs from a kept manifest's word
// though their bytes are right.
func (j *judgement) descriptors() {
	for _, m := range j.suspects {
		n := &j.nodes[m.node]
		if !j.referenced.has(n.id) || j.stateAt(m.id) != walker.ManifestUnread && j.stateAt(m.id) != walker.ManifestGood {
			continue
		}
		if h := j.verified[m.id]; h.State != walker.HashRight || !j.hashed.has(m.id) && j.stateAt(m.id) != walker.ManifestGood {
			continue
		}
		j.report(problem{
			id: finding.DescriptorWrong, repo: none, obj: n.id, about: m.id, cure: finding.CureNone,
			detail: fmt.Sprintf("it states %d bytes for %s, of which %d are stored, and they hash right", m.stated, j.nameOf(m.id), j.sizeOf(m.id)),
		})
	}
	for id, h := range j.verified {
		switch h.State {
		case walker.HashWrong:
			if !j.orphan(id) {
				j.corrupt(id)
			}
		case walker.HashUnreadable:
			if j.covered(j.blobKey(id)) {
				continue
			}
			j.report(problem{id: finding.StoreUnreadable, repo: none, obj: id, cure: finding.CureNone, detail: reason(h.Err).Error()})
		}
	}
}

// blobs adds up the blobs and counts those that nothing needs. Those are not
// problems one by one: there can be millions, and the marks tell all.
func (j *judgement) blobs() {
	t := &j.totals
	t.Blobs = j.len()
	for id := range uint32(j.len()) {
		size := j.sizes[id]
		t.Bytes += size
		if j.referenced.has(id) {
			t.ReferencedBlobs++
			t.ReferencedBytes += size
		}
	}
}

// multipart reports whether a multipart upload is stale, and fills in what p says
// of it then. One that is gone on with keeps the time at which it began: it is as
// young as the newest file of the upload that it is a part of, and as any other
// part, for a registry takes up whichever is listed first. One at a key where no
// registry writes in parts is somebody else's, and stays.
func (j *judgement) multipart(e *walker.Entry, p *problem) bool {
	p.id, p.cure, p.young, p.detail = finding.MultipartStale, finding.CureNone, false, "upload id "+e.Upload
	newest := e.Modified
	switch key, err := layout.Parse(e.Key); {
	case err != nil || key.Kind != layout.Blob && key.Kind != layout.UploadData:
	case key.Kind == layout.Blob:
		p.cure = finding.CureAbort
	default:
		p.cure = finding.CureAbort
		if i, ok := j.repoID[key.Repository]; ok {
			p.repo = i
		} else if !layout.ValidRepository(key.Repository) {
			p.cure = finding.CureNone
		}
		if u := j.uploadOf(key); u != nil {
			newest = max(newest, u.touched())
			if u.foreign && !(p.repo != none && j.wholes.has(p.repo)) { // it stays, and with it the upload
				p.cure = finding.CureNone
			}
		}
	}
	return newest <= j.uploadsAfter
}

// rule reports each of these rules that reaches a registry's files.
func (j *judgement) rule() {
	for i, rule := range j.rules {
		p := problem{id: finding.LifecycleExpiry, repo: none, obj: none, tag: uint32(i), cure: finding.CureNone, detail: rule.Detail, name: layout.Root}
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

// catalogMarkers reports the markers of repositories and tags of which there is
// nothing else.
func (j *judgement) catalogMarkers() {
	for i := range j.markers {
		e := &j.markers[i]
		if !j.ghost(e) {
			continue
		}
		p := problem{
			id: finding.CatalogMarker, repo: none, obj: none, name: e.Key, modified: e.Modified, cure: finding.CureRemove,
			young: e.Modified > j.youngAfter,
		}
		if !layout.ValidRepository(e.Repository) || e.Tag != "" && !layout.ValidTag(e.Tag) {
			p.cure = finding.CureNone // nothing is touched where a name is odd
		}
		j.report(p)
	}
}

// ghost reports whether there is nothing of a marker's repository, or of its tag,
// but markers.
func (j *judgement) ghost(e *walker.Entry) bool {
	i, ok := j.repoID[e.Repository]
	if !ok || !j.repos[i].exists {
		return true
	}
	_, tagged := j.repos[i].tagIndex(e.Tag)
	return e.Tag != "" && !tagged
}

// cacheState reports a file with which no registry starts.
func (j *judgement) cacheState() {
	s := j.state
	if s == nil {
		return
	}
	p := problem{id: finding.StoreChanged, repo: none, obj: none, name: layout.SchedulerKey, cure: finding.CureNone}
	if s.item.Modified <= j.motionAfter {
		p.id, p.cure, p.detail = finding.CacheStateInvalid, finding.CureMoveAsk, s.why
		p.bytes, p.modified = s.item.Size, s.item.Modified
	}
	j.report(p)
}

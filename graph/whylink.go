package graph

import (
	"slices"

	"regfsck/walker"
)

// links tells of the links of the repository that keep the digest for themselves,
// where no manifest does.
func (p *paths) links() (more bool) {
	j, r := p.j, p.r
	pinned := j.usage.pinned.has(p.ri)
	if p.told > 0 {
		return true
	}
	at, ok := slices.BinarySearchFunc(r.layers, p.id, func(l layer, id uint32) int { return int(int64(l.id()) - int64(id)) })
	switch {
	case ok && r.layers[at].young():
		return p.alone(HoldYoung, "")
	case ok && linkMismatches(r, p.id):
		return p.alone(HoldMismatch, "")
	case ok && !j.spare.has(j.firstLink[p.ri]+uint32(at)):
		return p.alone(HoldPinned, "")
	}
	for _, a := range r.aliases {
		young := newer(a.modified, j.youngAfter)
		if a.target != p.id || !pinned && !young {
			continue
		}
		return p.alone(map[bool]Hold{true: HoldYoung, false: HoldPinned}[young], "")
	}
	for _, h := range r.history {
		if h.id == p.id && j.keepsHistory(r, h) {
			return p.alone(HoldHistory, r.tags[h.tag].name)
		}
	}
	if slices.ContainsFunc(j.signed[p.ri], func(s signed) bool { return s.by == p.id }) {
		return p.alone(HoldSignature, "")
	}
	return true
}

// keepsHistory reports whether an entry of a tag's history, whose digest nothing else
// of the repository keeps, keeps it: it is young, or isn't called stale.
func (j *judgement) keepsHistory(r *repo, h history) bool {
	t := &r.tags[h.tag]
	stale := t.target != none && t.target != h.id && (!r.hasRevision(h.id) || j.Untagged && j.stateAt(h.id) == walker.ManifestGood)
	return newer(h.modified, j.youngAfter) || !stale || r.badName || t.badName
}

// Known is what a store has of a digest.
type Known struct {
	Stored   bool
	Manifest bool  // it was read as a manifest
	Corrupt  bool  // its bytes don't hash to the digest, as far as they were hashed
	Size     int64 // bytes of what is stored
	Kept     bool  // something needs it, or keeps it
	Young    bool  // it, or a link to it, is within the grace period
}

// Known tells what the store has of a digest. It is false where nothing speaks of
// it.
func (u *Usage) Known(digest string) (k Known, ok bool) {
	id := u.j.knownIDOf(digest)
	if id == none {
		return k, false
	}
	k = Known{
		Stored: u.j.present(id), Manifest: u.j.stateAt(id) == walker.ManifestGood, Corrupt: u.j.wrong(id),
		Kept: u.j.referenced.has(id) || u.j.noOrphans, Young: u.j.young.has(id),
	}
	if k.Stored {
		k.Size = u.j.sizeOf(id)
	}
	return k, true
}

// Own returns how many bytes are freed if a manifest of a repository goes, with
// what only it leads to; pinned says why nothing would. It is false where the
// repository has no such manifest.
func (u *Usage) Own(repository, digest string) (bytes int64, pinned string, ok bool) {
	i, known := u.j.repoID[repository]
	id := u.j.knownIDOf(digest)
	if !known || id == none {
		return 0, "", false
	}
	f := u.j.flowOf(i)
	v, ok := f.number[vertex{manifestVertex, id}]
	if !ok {
		return 0, "", false
	}
	if pinned = u.j.pinnedBy(i); pinned != "" {
		return 0, pinned, true
	}
	return f.behind()[v], "", true
}

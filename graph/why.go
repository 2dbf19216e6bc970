package graph

import (
	"iter"
	"slices"
	"strings"
)

// Hold says what a Path begins with.
type Hold string

// The holds. All but the first are without a tag.
const (
	HoldTag       Hold = "tag"
	HoldUntagged  Hold = "untagged"  // a revision that no tag leads to, and that isn't to go
	HoldYoung     Hold = "young"     // a link within the grace period
	HoldPinned    Hold = "pinned"    // a link of a repository of which nothing goes, because something in it is broken
	HoldMismatch  Hold = "mismatch"  // a link that holds this digest, and another stands in its path
	HoldHistory   Hold = "history"   // a tag's history
	HoldSignature Hold = "signature" // a signature of the first schema
)

// Path is one way in which a repository keeps a digest.
type Path struct {
	Repository string
	Hold       Hold
	Tag        string // of HoldTag and HoldHistory
	Steps      []Step // from the manifest at the top to the digest; it alone if a link keeps it for itself
}

// Step is one thing on a Path; its role is to the one before it.
type Step struct {
	Digest string
	Role   Role
	Index  bool // it is a manifest that names others
}

// Match returns the digests that the store speaks of and that begin with the hex
// digits, up to a limit, sorted: of those by other algorithms than sha256 the ones
// that are stored.
func (u *Usage) Match(hex string, limit int) (digests []string) {
	j := u.j
	for id := range uint32(j.len() + len(j.past)) {
		if j.isForeign(id) && !j.present(id) {
			continue
		}
		if name := j.nameOf(id); strings.HasPrefix(name[strings.IndexByte(name, ':')+1:], hex) {
			digests = append(digests, name)
		}
	}
	slices.Sort(digests)
	return digests[:min(limit, len(digests))]
}

// Paths are all ways in which repositories keep a digest: by repository, and there
// by tag, then what keeps it without one. With the name of a repository they are
// that one's alone. There is one exactly if the judgement keeps the blob.
func (u *Usage) Paths(digest, repository string) iter.Seq[Path] {
	return func(yield func(Path) bool) {
		id := u.j.knownIDOf(digest)
		if id == none {
			return
		}
		p := &paths{j: u.j, id: id, yield: yield}
		p.above()
		for i := range u.j.repos {
			if r := &u.j.repos[i]; (repository == "" || r.name == repository) && !p.repository(uint32(i)) {
				return
			}
		}
	}
}

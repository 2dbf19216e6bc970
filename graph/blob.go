package graph

import (
	"context"
	"path"
	"slices"
	"strings"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// IsArchived reports whether the blob must be restored before it can be read, as far as is
// known.
func (g *Graph) IsArchived(id uint32) bool {
	return g.StateAt(id) == walker.ManifestArchived || g.archived.Has(id) && !g.restored[id]
}

// maxArchiveRechecks is the most archived blobs to recheck; each costs a request. For the
// others, the storage class in the listing counts.
const maxArchiveRechecks = 1000

// archives rechecks which of the archived blobs that something refers to were restored.
func (l rechecker) archives(ctx context.Context) error {
	g := l.g
	if len(g.archived) == 0 {
		return nil
	}
	var ids []uint32
	want := func(id uint32) {
		if g.archived.Has(id) && g.archiveSeen.Add(id) {
			ids = append(ids, id)
		}
	}
	for i := range g.Nodes {
		want(g.Nodes[i].ID)
		for e := range g.In(nil, g.Nodes[i].ID).References {
			want(e.ID())
		}
	}
	slices.Sort(ids)
	ids = ids[:min(len(ids), maxArchiveRechecks-g.archiveRechecks)]
	g.archiveRechecks += len(ids)
	key := func(i int) string { return g.BlobKey(ids[i]) }
	return l.w.Recheck(ctx, len(ids), key, func(i int, look walker.Recheck) error {
		if look.Err == nil && !look.Absent && !look.Archived {
			g.restored[ids[i]] = true
		}
		return nil
	})
}

// WellKnown are the bytes of blobs that are in countless images and that their digests alone
// prove, for each algorithm that a registry serves: no bytes, the empty object that is the
// config of OCI artifacts without one, and the empty layer of Docker's old builders, 1,024
// zeros packed by gzip.
var WellKnown = func() map[layout.AnyDigest]string {
	all := map[layout.AnyDigest]string{}
	for _, body := range []string{
		"", "{}",
		"\x1f\x8b\x08\x00\x00\x09\x6e\x88\x00\xff\x62\x18\x05\xa3\x60\x14\x8c\x58\x00\x08\x00\x00\xff\xff\x2e\xaf\xb5\xef\x00\x04\x00\x00",
	} {
		for _, d := range layout.Sums([]byte(body)) {
			all[d] = body
		}
	}
	return all
}()

// ProvenBytes returns the bytes of a blob that isn't stored, if they are proven: by its
// digest alone, or because a manifest contains them. A corrupt blob in its place must be
// small enough for a journal.
func (g *Graph) ProvenBytes(id uint32) (body string, proven bool) {
	if g.Present(id) && g.SizeOf(id) > manifest.MaxInline {
		return "", false
	}
	if body, proven = WellKnown[g.AnyOf(id)]; !proven {
		body, proven = g.inline[id]
	}
	return body, proven
}

// KnownCorrupt reports whether the blob's bytes are known not to hash to its digest.
func (g *Graph) KnownCorrupt(id uint32) bool {
	return g.BadHashes[id].State == walker.HashWrong || g.StoredState(id) == walker.ManifestCorrupt
}

// Uncertain reports whether it is unknown if a blob is there and what it contains: it could
// not be read, or was listed and then not found.
func (g *Graph) Uncertain(id uint32) bool {
	state := g.StateAt(id)
	return state == walker.ManifestUnreadable || state == walker.ManifestMissing && int(id) < g.Len() ||
		g.BadHashes[id].State == walker.HashUnreadable || g.Unconfirmed[Ref{None, Link{Kind: layout.Blob, ID: id}}]
}

// BrokenState reports whether a manifest is there but can't be parsed, so that its references
// are unknown.
func BrokenState(s walker.ManifestState) bool {
	return s == walker.ManifestCorrupt || s == walker.ManifestUnparsable || s == walker.ManifestArchived || s == walker.ManifestUnreadable
}

// DoubtOf returns why the manifest under id isn't known, "" if it is.
func (g *Graph) DoubtOf(id uint32) string {
	switch state := g.StateAt(id); state {
	case walker.ManifestGood:
		return ""
	case walker.ManifestUnread:
		return "its manifest was not read"
	default:
		return "its manifest is " + state.String()
	}
}

// Blind reports whether something that could refer to any blob is unknown: then no blob is an
// orphan.
func (g *Graph) Blind() bool {
	if len(g.Unasked) > 0 {
		return true
	}
	for _, f := range g.Faults {
		if !strings.HasPrefix(f.Key, layout.Blobs+"/") {
			return true
		}
	}
	if g.unreadLinks {
		return true
	}
	for i := range g.Nodes {
		// an archived manifest will be restored with its references
		if state := g.Nodes[i].State; state == walker.ManifestUnreadable || state == walker.ManifestArchived {
			return true
		}
	}
	return false
}

// Covered reports whether there is a fault at key, or at a directory above it.
func (g *Graph) Covered(key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if g.faulty[key] {
			return true
		}
	}
	return false
}

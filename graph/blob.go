package graph

import (
	"context"
	"slices"

	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// isArchived reports whether the blob under id has to be restored before anybody
// can read it, as far as is known.
func (g *graph) isArchived(id uint32) bool {
	return g.stateAt(id) == walker.ManifestArchived || g.archived.has(id) && !g.restored[id]
}

// maxArchiveLooks bounds how many archived blobs are looked at: each costs a
// request. Of the others the storage class in the listing is believed.
const maxArchiveLooks = 1000

// archives looks which of the archived blobs that something speaks of were
// restored, since the last time.
func (l looker) archives(ctx context.Context) error {
	g := l.g
	if len(g.archived) == 0 {
		return nil
	}
	var ids []uint32
	want := func(id uint32) {
		if g.archived.has(id) && g.archiveSeen.add(id) {
			ids = append(ids, id)
		}
	}
	for i := range g.nodes {
		want(g.nodes[i].id)
		for e := range g.in(nil, g.nodes[i].id).references {
			want(e.id())
		}
	}
	slices.Sort(ids)
	ids = ids[:min(len(ids), maxArchiveLooks-g.archiveLooks)]
	g.archiveLooks += len(ids)
	key := func(i int) string { return g.blobKey(ids[i]) }
	return l.w.Look(ctx, len(ids), key, func(i int, look walker.Look) error {
		if look.Err == nil && !look.Absent && !look.Archived {
			g.restored[ids[i]] = true
		}
		return nil
	})
}

// wellKnown are the bytes of the blobs that stand in countless images and that
// their digests alone prove, by each algorithm that a registry serves: nothing, the
// empty object that is the config of every OCI artifact without one, and the layer
// of nothing that Docker's old builders made, 1,024 zeros packed by gzip.
var wellKnown = func() map[layout.AnyDigest]string {
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

// provenBytes returns the bytes that a blob is proven to have though they aren't stored:
// its digest alone tells them, or a manifest that needs it carries them. What is
// stored in their place must be small enough to be kept in a journal.
func (g *graph) provenBytes(id uint32) (body string, proven bool) {
	if g.present(id) && g.sizeOf(id) > manifest.MaxInline {
		return "", false
	}
	if body, proven = wellKnown[g.anyOf(id)]; !proven {
		body, proven = g.inline[id]
	}
	return body, proven
}

// wrong reports whether the blob's bytes are known not to hash to its digest.
func (g *graph) wrong(id uint32) bool {
	return g.verified[id].State == walker.HashWrong || g.storedState(id) == walker.ManifestCorrupt
}

// uncertain reports whether nobody can say of a blob whether it is there and what
// it holds: it could not be read, or was listed and then not found.
func (g *graph) uncertain(id uint32) bool {
	state := g.stateAt(id)
	return state == walker.ManifestUnreadable || state == walker.ManifestMissing && int(id) < g.len() ||
		g.verified[id].State == walker.HashUnreadable || g.unsure[spot{none, place{kind: layout.Blob, id: id}}]
}

// brokenState reports whether a manifest is there and can't be understood, so
// that nobody knows what it needs.
func brokenState(s walker.ManifestState) bool {
	return s == walker.ManifestCorrupt || s == walker.ManifestUnparsable || s == walker.ManifestArchived || s == walker.ManifestUnreadable
}

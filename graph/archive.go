package graph

import (
	"context"
	"slices"

	"regfsck/graph/finding"
	"regfsck/walker"
)

// isArchived reports whether the blob under id has to be restored before anybody
// can read it, as far as is known.
func (g *graph) isArchived(id uint32) bool {
	return g.stateAt(id) == walker.ManifestArchived || g.archived.has(id) && !g.restored[id]
}

// inArchive reports the blob under id, which is kept and can't be served.
func (j *judgement) inArchive(id uint32, by citation) {
	j.global(problem{id: finding.BlobArchived, obj: id, by: by, cure: finding.CureNone})
}

// layersUnread reports the archived blobs that may be manifests which a registry
// linked as layers, and whether they pin the repository: what they need is unknown.
func (j *judgement) layersUnread() (pinned bool) {
	if j.cut.all() {
		return false
	}
	for _, id := range j.r.layersUnread {
		j.global(problem{
			id: finding.BlobArchived, obj: id, cure: finding.CureNone,
			detail: "no manifest of " + j.r.name + " needs it as a layer, so it may be a manifest itself, and what that needs is kept",
		})
	}
	return len(j.r.layersUnread) > 0
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

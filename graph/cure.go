package graph

import (
	"context"

	"regfsck/graph/finding"
)

// inArchive reports the blob under id, which is kept and can't be served.
func (j *judgement) inArchive(id uint32, by citation) {
	j.global(problem{id: finding.BlobArchived, obj: id, by: by, cure: finding.CureNone})
}

// layersUnread reports the archived blobs that may be manifests which a registry
// linked as layers: what they need is unknown.
func (j *judgement) layersUnread() {
	if j.cut.all() {
		return
	}
	for _, id := range j.r.layersUnread {
		j.global(problem{
			id: finding.BlobArchived, obj: id, cure: finding.CureNone,
			detail: "no manifest of " + j.r.name + " needs it as a layer, so it may be a manifest itself, and what that needs is kept",
		})
	}
}

// rebuilds reports whether a fix writes a blob anew that is missing or corrupt.
func (j *judgement) rebuilds(id uint32) bool {
	_, proven := j.provenBytes(id)
	return proven && !j.cache
}

// cureOfBlob is the cure of a blob that is missing or corrupt: otherwise, unless its
// bytes are known.
func (j *judgement) cureOfBlob(id uint32, otherwise finding.Cure) finding.Cure {
	if j.rebuilds(id) {
		return finding.CureRebuild
	}
	return otherwise
}

// rebuiltBlob says of a blob that is missing or corrupt what a fix goes by.
func (j *judgement) rebuiltBlob(p *problem) *finding.Blob {
	b := &finding.Blob{Present: j.present(p.obj), Time: j.modifiedOf(p.obj)}
	b.Body, _ = j.provenBytes(p.obj)
	if !b.Present && p.by.repo > 0 {
		b.Time = j.modifiedOf(p.by.id)
	}
	return b
}

// readInline looks for the bytes of blobs that are missing or corrupt in the
// manifests that need them, and reports whether it found any. Only a manifest that a
// repository keeps is asked.
func (j *judgement) readInline(ctx context.Context, s *Scan) (found bool, err error) {
	lacking := map[uint32]bool{}
	for i := range j.problems {
		if p := &j.problems[i]; (p.id == finding.BlobMissing || p.id == finding.BlobCorrupt) && p.repo == none && p.cure != finding.CureRebuild {
			lacking[p.obj] = true
		}
	}
	if len(lacking) == 0 || j.cache || j.Removal != nil {
		return false, nil
	}
	var ids []uint32
	for id := range j.carriers {
		if j.reached[j.nodeOf[id]-1] == 0 {
			continue
		}
		for e := range j.in(nil, id).references {
			if lacking[e.id()] {
				ids = append(ids, id)
				break
			}
		}
	}
	return s.readInline(ctx, ids, lacking)
}

package graph

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// listMultiparts takes in the multipart uploads of a bucket, once all uploads are
// known that files show. They are garbage or under way, and no link refers to
// them: that they can't be listed hides no more than that.
func (c *Scan) listMultiparts(ctx context.Context) error {
	from := len(c.g.entries)
	err := c.w.ListMultiparts(ctx, counting{c.g, c})
	slices.SortFunc(c.g.entries[from:], func(a, b walker.Entry) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Modified, b.Modified), cmp.Compare(a.Upload, b.Upload))
	})
	if ctx.Err() == nil {
		c.unlisted, err = err, nil
	}
	return err
}

// multipart takes in a multipart upload. Of an upload to a repository it is a
// part, and makes that as young as it is.
func (g *graph) multipart(e walker.Entry) {
	e.Key, e.Upload = strings.Clone(e.Key), strings.Clone(e.Upload)
	g.entries = append(g.entries, e)
	key, err := layout.Parse(e.Key)
	if err != nil || key.Kind != layout.UploadData {
		return
	}
	if u := g.uploadOf(key); u != nil {
		u.part = max(u.part, e.Modified)
	}
}

// uploadOf returns what the files say of an upload, nil where there are none.
func (g *graph) uploadOf(key layout.Key) *upload {
	if i, ok := g.repoID[key.Repository]; ok {
		return g.repos[i].uploads[key.Upload]
	}
	return nil
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

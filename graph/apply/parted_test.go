package apply

import (
	"context"
	"io/fs"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// parted is a store with multipart uploads, for one goroutine.
type parted struct {
	*fixtures.FaultyStore
	m        *fixtures.Memory
	blob     string // the key of one that is needed
	uploads  []backend.Upload
	listings int
	list     func(n int) error                    // is called before the n-th listing
	abort    func(u backend.Upload) (bool, error) // says whether an abort is made, and what is said of it
}

func (p *parted) Uploads(_ context.Context, each func(backend.Upload) error) error {
	p.listings++
	if err := p.list(p.listings); err != nil {
		return err
	}
	for _, u := range slices.Clone(p.uploads) {
		if err := each(u); err != nil {
			return err
		}
	}
	return nil
}

func (p *parted) Abort(_ context.Context, u backend.Upload) error {
	made, err := p.abort(u)
	if made && err == nil && !slices.Contains(p.uploads, u) {
		err = &fs.PathError{Op: "abort", Path: u.Key, Err: fs.ErrNotExist}
	}
	if made {
		p.drop(u.ID)
	}
	return err
}

func (p *parted) add(key, id string, started time.Time) {
	p.uploads = append(p.uploads, backend.Upload{Key: key, ID: id, Started: started.UnixNano()})
}

func (p *parted) drop(id string) {
	p.uploads = slices.DeleteFunc(p.uploads, func(u backend.Upload) bool { return u.ID == id })
}

func (p *parted) ids() (all []string) {
	for _, u := range p.uploads {
		all = append(all, u.ID)
	}
	return all
}

// partly is a store with garbage, a stale upload that has two parts, one part at
// the key of a blob that is needed, and a young one.
func partly() (p *parted, data string) {
	b := garbage()
	data, blob := layout.UploadKey("a", "u")+"/data", b.Image("a", "v2", fixtures.Image{}).Blobs[1].Key()
	b.Put(layout.UploadKey("a", "u")+"/startedat", []byte("then"))
	p = &parted{m: b.Memory(), blob: blob}
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), nil)
	p.add(data, "2", fixtures.Epoch)
	p.add(data, "1", fixtures.Epoch)
	p.add(blob, "copy", fixtures.Epoch)
	p.add(blob, "young", now)
	p.list = func(int) error { return nil }
	p.abort = func(backend.Upload) (bool, error) { return true, nil }
	return p, data
}

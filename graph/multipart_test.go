package graph

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
)

// multiparts is a store with multipart uploads.
type multiparts struct {
	backend.Reader
	uploads []backend.Upload
	err     error
}

func (p multiparts) Uploads(_ context.Context, each func(backend.Upload) error) error {
	for _, u := range p.uploads {
		if err := each(u); err != nil {
			return err
		}
	}
	return p.err
}

// Old multipart uploads are garbage, each by itself; those under way are nothing.
// Where they can't be listed that is said, and hides nothing else.
func TestMultipartUploads(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	now := b.Now().AddDate(0, 1, 0)
	at := func(days int) int64 { return now.AddDate(0, 0, -days).UnixNano() }
	store := multiparts{Reader: b.Memory(), uploads: []backend.Upload{
		{Key: "docker/registry/v2/blobs/sha256/aa/x/data", ID: "copy", Started: at(30)},
		{Key: "docker/registry/v2/repositories/a/_uploads/u/data", ID: "1", Started: at(20)},
		{Key: "docker/registry/v2/repositories/a/_uploads/u/data", ID: "2", Started: at(10)},
		{Key: "docker/registry/v2/repositories/a/_uploads/w/data", ID: "3", Started: at(1)},
	}}
	o := Options{Now: now, Grace: time.Hour, UploadsOlderThan: 7 * 24 * time.Hour}
	check := func() (r *Result, found []string) {
		r, _, err := Check(context.Background(), store, o)
		if err != nil || !r.Complete || r.Damaged() {
			t.Fatalf("%v, %+v", err, r)
		}
		for f := range r.Findings {
			found = append(found, f.ID.String()+" "+f.Path+" "+f.Detail)
		}
		return r, found
	}
	r, found := check()
	want := []string{
		"multipart-stale docker/registry/v2/blobs/sha256/aa/x/data upload id copy",
		"multipart-stale docker/registry/v2/repositories/a/_uploads/u/data upload id 1",
		"multipart-stale docker/registry/v2/repositories/a/_uploads/u/data upload id 2",
	}
	if !slices.Equal(found, want) || r.Counts[MultipartStale].Count != 3 {
		t.Errorf("found %q, want %q", found, want)
	}
	store.uploads, store.err = store.uploads[:1], fs.ErrPermission
	r, found = check()
	if !slices.Equal(found, want[:1]) || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "could not be listed") }) {
		t.Errorf("found %q, notes %q", found, r.Notes)
	}
}

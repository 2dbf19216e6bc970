package check

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
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

// stalled returns a store with multipart uploads at keys of a registry and others. Uploads u
// and w of a have files, w's in grace; upload p has old files and a multipart upload in
// grace.
func stalled(b *fixtures.Builder) (store multiparts, now time.Time) {
	b.Image("a", "v1", fixtures.Image{})
	now = b.Now().AddDate(0, 1, 0)
	at := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	for id, days := range map[string]int{"u": 20, "w": 1, "p": 20} {
		b.PutAt(layout.UploadKey("a", id)+"/startedat", []byte("then"), at(days))
	}
	b.PutAt(layout.UploadKey("a", "f")+"/startedat", []byte("then"), at(20))
	b.PutAt(layout.UploadKey("a", "f")+"/notes", []byte("mine"), at(20))
	add := func(key, id string, days int) {
		store.uploads = append(store.uploads, backend.Upload{Key: key, ID: id, Started: at(days).UnixNano()})
	}
	add("backups/all.tar", "strange", 30)
	add(layout.BlobKey(layout.Digest{1}), "copy", 30)
	add(layout.BlobKey(layout.Digest{1}), "young", 3)
	add(layout.UploadKey("Odd", "u")+"/data", "odd", 30)
	add(layout.UploadKey("a", "f")+"/data", "kept", 30)
	add(layout.UploadKey("a", "gone")+"/data", "alone", 30)
	add(layout.UploadKey("a", "p")+"/data", "old", 30)
	add(layout.UploadKey("a", "p")+"/data", "part", 3)
	add(layout.UploadKey("a", "u")+"/data", "\" \x01<é>", 20)
	add(layout.UploadKey("a", "u")+"/data", "2", 10)
	add(layout.UploadKey("a", "u")+"/data", "1", 10)
	add(layout.UploadKey("a", "w")+"/data", "resumed", 90)
	store.Reader = b.Memory()
	return store, now
}

// TestWhichMultipartUploadsAreStale: one is stale only where a registry uses them. It is as
// new as the newest file of its upload, and an upload as its newest multipart upload, in any
// order of listing.
func TestWhichMultipartUploadsAreStale(t *testing.T) {
	store, now := stalled(fixtures.New(1))
	o := Options{Options: graph.Options{Now: now, Grace: time.Hour, UploadsOlderThan: 7 * 24 * time.Hour}}
	want := []string{
		"upload-stale a f none", "upload-stale a u remove",
		"multipart-stale  strange none", "multipart-stale  copy abort", "multipart-stale  odd none",
		"multipart-stale a kept none", "multipart-stale a alone abort",
		"multipart-stale a \" \x01<é> abort", "multipart-stale a 1 abort", "multipart-stale a 2 abort",
	}
	for range 2 {
		r, _, err := Store(context.Background(), store, o)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for f := range r.Findings {
			if f.Kind == finding.MultipartStale || f.Kind == finding.UploadStale {
				name := f.Upload
				if f.Kind == finding.UploadStale {
					name = f.Path[strings.LastIndexByte(f.Path, '/')+1:]
				}
				found = append(found, fmt.Sprint(f.Kind, " ", f.Repository, " ", name, " ", f.Cure))
			}
		}
		if !slices.Equal(found, want) {
			t.Errorf("found\n%q, want\n%q", found, want)
		}
		slices.Reverse(store.uploads)
	}
}

// TestMultipartUploads: old ones are garbage, each by itself. If they can't be listed, a note
// says so, and all else is found.
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
	o := Options{Options: graph.Options{Now: now, Grace: time.Hour, UploadsOlderThan: 7 * 24 * time.Hour}}
	check := func() (r *Result, found []string) {
		r, _, err := Store(context.Background(), store, o)
		if err != nil || !r.Complete || r.Damaged() {
			t.Fatalf("%v, %+v", err, r)
		}
		for f := range r.Findings {
			found = append(found, f.Kind.String()+" "+f.Path+" "+f.Detail)
		}
		return r, found
	}
	r, found := check()
	want := []string{
		"multipart-stale docker/registry/v2/blobs/sha256/aa/x/data upload id copy",
		"multipart-stale docker/registry/v2/repositories/a/_uploads/u/data upload id 1",
		"multipart-stale docker/registry/v2/repositories/a/_uploads/u/data upload id 2",
	}
	if !slices.Equal(found, want) || r.Counts[finding.MultipartStale].Count != 3 {
		t.Errorf("found %q, want %q", found, want)
	}
	store.uploads, store.err = store.uploads[:1], fs.ErrPermission
	r, found = check()
	if !slices.Equal(found, want[:1]) || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "could not be listed") }) {
		t.Errorf("found %q, notes %q", found, r.Notes)
	}
}

package s3

import (
	"io/fs"
	"slices"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// mark writes markers of folders below the root.
func (r *rig) mark(t *testing.T, folders ...string) {
	t.Helper()
	all := map[string][]byte{}
	for _, folder := range folders {
		all["root/"+folder+"/"] = nil
	}
	r.b.Fill(t, bucket.Map(all))
}

// TestMarkersGo: those that a listing told of and that are alone, and they come
// back where the bucket keeps versions.
func TestMarkersGo(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		run := freeing
		if versioned {
			run = keeping1
		}
		r := newRig(t, versioned, "full/file")
		r.mark(t, "full", "ghost", "ghost/_layers", "unseen")
		for _, prefix := range []string{"full", "ghost"} {
			if _, _, err := keysOf(t, r.s.Reader, prefix); err != nil {
				t.Fatal(err)
			}
		}
		must(t, r.s.Remove(t.Context(), run, []string{"ghost/"})[0].Err, backend.ErrNotEmpty)
		receipts := r.remove(t, run, "ghost/_layers/")
		receipts = append(receipts, r.remove(t, run, "ghost/")...)
		must(t, r.s.Remove(t.Context(), run, []string{"full/"})[0].Err, backend.ErrNotEmpty)
		before := r.p.Total()
		for _, folder := range []string{"unseen/", "none/"} {
			must(t, r.s.Remove(t.Context(), run, []string{folder})[0].Err, fs.ErrNotExist)
		}
		if n := r.p.Total() - before; n > 0 {
			t.Errorf("%d requests for folders of which no listing told", n)
		}
		if got := r.b.Keys(t, "root/"); !slices.Equal(got, []string{"root/full/", "root/full/file", "root/unseen/"}) {
			t.Errorf("%q are left", got)
		}
		if !versioned {
			continue
		}
		r.restore(t, run, receipts, nil)
		if got := r.b.Keys(t, "root/ghost"); !slices.Equal(got, []string{"root/ghost/", "root/ghost/_layers/"}) {
			t.Errorf("%q came back", got)
		}
	}
}

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// Markers that a console left go, and come back with an undo; and those of what
// goes in the same run go with it.
func TestMarkersOfABucketGo(t *testing.T) {
	for _, status := range []s3test.Status{"", s3test.Enabled} {
		b := fixtures.Standard()
		f, _, made := change(t, b, status)
		old := f.now
		f.now = func() time.Time { return old().AddDate(1, 0, 0) }
		ghosts := []string{
			layout.RepositoryKey("ghost") + "/_layers/", layout.RepositoryKey("ghost") + "/_layers/sha256/",
			layout.RepositoryKey("app") + "/_manifests/tags/gone/",
		}
		others := []string{layout.RepositoryKey("app") + "/_layers/", layout.RepositoryKey("twin") + "/_layers/", layout.RepositoryKey("twin") + "/"}
		markers := map[string][]byte{}
		for _, key := range slices.Concat(ghosts, others) {
			markers["some/path/"+key] = nil
		}
		made.Fill(t, s3test.Map(markers))
		before := objects(t, made)
		undo := []string{"--undo", "none"}
		if status != "" {
			undo = nil
		}
		var a applied
		f.document(t, &a, append([]string{"fix", "STORE", "--apply", "--yes"}, undo...)...)
		if a.Totals.Done != len(ghosts) || len(a.Left) > 0 {
			t.Errorf("%q: %+v", status, a)
		}
		for _, key := range ghosts {
			if _, there := made.Get(t, "some/path/"+key); there {
				t.Errorf("%q: %s is still there", status, key)
			}
		}
		if status != "" {
			if code := f.run("undo", "STORE"); code != 0 {
				t.Errorf("undo: exit %d, %s%s", code, f.out.String(), f.errs.String())
			}
			sameObjects(t, "undone", before, objects(t, made))
			f.document(t, &a, "fix", "STORE", "--apply", "--yes")
		}
		f.run(append([]string{"rm", "STORE", "twin", "--apply", "--yes"}, undo...)...)
		for _, key := range made.Keys(t, "some/path/"+layout.RepositoryKey("twin")) {
			if !strings.HasSuffix(key, "/twin/") { // which makes no repository appear
				t.Errorf("%q: %s is left of twin: %s%s", status, key, f.out.String(), f.errs.String())
			}
		}
	}
}

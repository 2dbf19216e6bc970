package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"regfsck/fixtures/s3test"
)

// TestTheWholeCycleOnEachServer: on two real servers a damaged store is checked, fixed,
// undone, fixed without undo, purged, and checked again.
func TestTheWholeCycleOnEachServer(t *testing.T) {
	for name, opts := range map[string]s3test.Options{"versitygw": {Versioning: true}, "minio": {MinIO: true}} {
		t.Run(name, func(t *testing.T) {
			f, _, made := changeOn(t, rotten(), s3test.Enabled, opts)
			f.now = func() time.Time { return time.Now().AddDate(0, 0, 30) } // all is old, also objects just written
			before := objects(t, made)
			checked := func(when string) answer {
				t.Helper()
				a := f.judge(t)
				if a.Exit.Code != 4 || !a.Complete {
					t.Errorf("%s: check ends with %d: %s", when, a.Exit.Code, f.errs.String())
				}
				return a
			}
			first := checked("damaged")
			plan := f.plan(t)
			sameObjects(t, "planned", before, objects(t, made))
			if len(plan.Refusals) > 0 || len(plan.Steps) == 0 {
				t.Fatalf("%+v", plan)
			}

			var a applied
			if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes"); exit != 5 || a.Totals.Done != len(plan.Steps) || a.Kept == 0 {
				t.Fatalf("exit %d, %+v\n%s", exit, a, f.errs.String())
			}
			if again := f.plan(t); len(again.Steps) > 0 {
				t.Errorf("a second fix has %+v to do", again.Steps)
			}
			if exit := f.run("undo", "STORE"); exit != 0 {
				t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			sameObjects(t, "undone", before, objects(t, made))
			if again := checked("undone"); len(again.Findings) != len(first.Findings) {
				t.Errorf("%d findings, and undone %d", len(first.Findings), len(again.Findings))
			}

			if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--undo", "none", "--only", "blob-orphan"); exit != 4 || a.Freed == 0 || a.Kept != 0 {
				t.Errorf("exit %d, %+v\n%s", exit, a, f.errs.String())
			}
			if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes"); exit != 5 || a.Totals.Done == 0 {
				t.Errorf("exit %d, %+v\n%s", exit, a, f.errs.String())
			}
			fixed := objects(t, made)
			if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 {
				t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
			}
			sameObjects(t, "purged", fixed, objects(t, made))
			for _, v := range made.Versions(t, "some/path/docker/") {
				if _, ok := fixed[v.Key]; !ok {
					t.Errorf("%s is left of what was purged, marker %t", v.Key, v.Marker)
				}
			}
			checked("purged")
			if again := f.plan(t); len(again.Steps) > 0 {
				t.Errorf("after all that there is %+v to do", again.Steps)
			}
		})
	}
}

// TestMultipartUploadsOnEachServer: a stale multipart upload is found below the root and
// aborted; MinIO lists none for a prefix that is a directory.
func TestMultipartUploadsOnEachServer(t *testing.T) {
	for name, opts := range map[string]s3test.Options{"versitygw": {Versioning: true}, "minio": {MinIO: true}} {
		t.Run(name, func(t *testing.T) {
			f, _, made := changeOn(t, small(), s3test.Enabled, opts)
			f.now = func() time.Time { return time.Now().AddDate(0, 0, 30) }
			const key = "docker/registry/v2/repositories/app/_uploads/0b7cf1c4-0f0e-4b8c-9a3e-0d3f0f5f9a11/data"
			made.StartUpload(t, "some/path/"+key, bytes.Repeat([]byte("x"), 5<<20), []byte("y"))
			made.StartUpload(t, "elsewhere/"+key, []byte("another's"))
			stale := func() (keys []string) {
				for _, found := range f.judge(t).Findings {
					if found.ID == "multipart-stale" {
						keys = append(keys, found.Path)
					}
				}
				return keys
			}
			if got := stale(); !slices.Equal(got, []string{key}) {
				t.Errorf("found: %q", got)
			}
			var a applied
			if exit := f.document(t, &a, "fix", "STORE", "--apply", "--yes"); exit != 0 || a.Totals.Done != 1 {
				t.Errorf("exit %d, %+v\n%s", exit, a, f.errs.String())
			}
			if got := stale(); len(got) > 0 {
				t.Errorf("left: %q", got)
			}
		})
	}
}

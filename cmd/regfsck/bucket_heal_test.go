package main

import (
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// TestABucketIsHealed heals a bucket from a directory and from another bucket, and a
// directory from a bucket: the tags that the dry run announces can be pulled, and an undo
// restores every object.
func TestABucketIsHealed(t *testing.T) {
	b := fixtures.Standard()
	damaged := b.Clone(3)
	disaster(damaged, 3, 0.3)
	f, s, made := change(t, damaged, s3test.Enabled)
	replica := s.Make(t, "replica")
	replica.Fill(t, s3test.From(b.Into, "copy/"))
	backup := filepath.Join(f.dir, "backup")
	if err := b.WriteDir(backup); err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(f.dir, "store")
	if err := damaged.WriteDir(directory); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ store, from string }{{f.store, backup}, {f.store, "s3://replica/copy"}, {directory, "s3://replica/copy"}} {
		f.store = c.store
		before := objects(t, made)
		var said healing
		f.document(t, &said, "check", "STORE", "--no-wait", "--verify", "all", "--from", c.from)
		hurt := len(said.Broken)
		if said.Healing.Mended == 0 || said.Healing.Broken != hurt {
			t.Fatalf("%+v: %+v", c, said.Healing)
		}
		var a applied
		exit := f.document(t, &a, "fix", "STORE", "--no-wait", "--verify", "all", "--from", c.from, "--apply", "--yes", "--max-delete", "100%")
		if len(a.Left) > 0 || a.Totals.Done == 0 {
			t.Errorf("%+v: exit %d, %+v, %s", c, exit, a, f.errs.String())
		}
		if left := f.broken(t, "--no-wait", "--verify", "all"); len(left) != hurt-said.Healing.Mended {
			t.Errorf("%+v: %d of %d are left, and %+v was announced: %v", c, len(left), hurt, said.Healing, left)
		}
		if exit := f.run("undo", "STORE"); exit != 0 || !strings.Contains(f.out.String(), "Before you allow pushes: restart the registry.") {
			t.Errorf("%+v: undo: exit %d, %s%s", c, exit, f.out.String(), f.errs.String())
		}
		sameObjects(t, "undone", before, objects(t, made))
	}
	f.store = "s3://registry/some/path"
	for _, key := range made.Keys(t, "some/path/"+layout.RepositoryKey("app")+"/") {
		made.Delete(t, key, "")
	}
	var a applied
	exit := f.document(t, &a, "fix", "STORE", "--no-wait", "--from", backup, "--also", "tag-from-source", "--repo", "app", "--apply", "--yes", "--max-delete", "100%")
	var whole replicas
	f.document(t, &whole, "check", "STORE", "--no-wait", "--from", backup)
	for _, d := range whole.Replicas[0].MissingHere {
		if strings.HasPrefix(d.Ref, "app:") {
			t.Errorf("%s is missing: exit %d, %+v, %s", d.Ref, exit, a, f.errs.String())
		}
	}
	if len(whole.Replicas[0].Elsewhere) > 0 || len(whole.Replicas[0].MissingHere) == 0 || a.Totals.Done == 0 || len(a.Left) > 0 {
		t.Errorf("%+v, %+v", whole.Replicas[0], a)
	}
	now := b.Clone(4)
	now.RemoveAll(layout.RepositoryKey("app"))
	if err := now.WriteDir(filepath.Join(f.dir, "now")); err != nil {
		t.Fatal(err)
	}
	f.store = filepath.Join(f.dir, "now")
	var said replicas
	f.document(t, &said, "check", "STORE", "--from", "s3://replica/copy")
	if r := said.Replicas[0]; !r.Compared || r.Same != r.Tags || r.Tags == 0 || len(r.MissingHere) == 0 || r.There != r.Tags+len(r.MissingHere) {
		t.Errorf("%+v", r)
	}
}

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// TestHealAll: a fix copies what a tag needs, with referrers and shared blobs, and other lost
// blobs only with --from-all. Until then nothing is withdrawn for them.
func TestHealAll(t *testing.T) {
	b := fixtures.New(1)
	tagged := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200}})
	sbom := b.Referrer(tagged, "application/vnd.example.sbom")
	child := b.Image("app", "", fixtures.Image{Layers: []int{300}})
	b.Index("app", "multi", child)
	spare := b.Image("app", "", fixtures.Image{Layers: []int{400}})
	bare := b.Image("app", "", fixtures.Image{Layers: []int{500}})
	b.Index("app", "", b.Image("app", "", fixtures.Image{Layers: []int{600}}))
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	needed := []string{tagged.Blobs[1].Key(), sbom.Key(), child.Key(), child.Blobs[1].Key()}
	more := []string{spare.Key(), bare.Blobs[1].Key()}
	damaged := b.Clone(1)
	for _, key := range slices.Concat(needed[:3], more[:1]) {
		damaged.Erase(key)
	}
	for _, key := range []string{needed[3], more[1]} {
		damaged.Edit(key, func(x []byte) []byte { return nil })
	}
	orphan := []byte("nobody's")
	damaged.Put(layout.BlobKey(layout.Sum(orphan)), orphan)
	f.rewrite(t, damaged)
	before := f.content(t)

	type document struct {
		healing
		Healing struct {
			Spare int `json:"blobs_no_tag_needs"`
		}
	}
	healed := func(d *document) (keys []string) {
		for _, step := range d.Steps {
			if step.From != "" {
				keys = append(keys, step.Key)
			}
		}
		slices.Sort(keys)
		return keys
	}
	slices.Sort(needed)
	all := slices.Sorted(slices.Values(slices.Concat(needed, more)))
	give := []string{"--also", "manifest-missing,manifest-corrupt,blob-missing,blob-corrupt"}
	for _, extra := range [][]string{nil, give} {
		var some, every document
		f.document(t, &some, append([]string{"fix", "STORE", "--from", "DIR/backup"}, extra...)...)
		if got := healed(&some); !slices.Equal(got, needed) || some.Healing.Spare != len(more) {
			t.Errorf("%v: %d more, of these a tag needs\n%v, and is given\n%v", extra, some.Healing.Spare, needed, got)
		}
		for _, step := range some.Steps { // only the orphan is removed
			if step.From == "" && step.Key != layout.BlobKey(layout.Sum(orphan)) && step.Finding != "folder-empty" {
				t.Errorf("%v: %+v", extra, step)
			}
		}
		f.document(t, &every, append([]string{"fix", "STORE", "--from", "DIR/backup", "--from-all"}, extra...)...)
		if got := healed(&every); !slices.Equal(got, all) || every.Healing.Spare != 0 {
			t.Errorf("%v, --from-all: %d more,\n%v", extra, every.Healing.Spare, got)
		}
	}
	f.run("check", "STORE", "--from", "DIR/backup")
	if said := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(said, "2 more lost blobs are in a source, and no tag is known to need them: a fix copies them with --from-all.") {
		t.Error(f.out.String())
	}

	// A saved plan is carried out unchanged, and a second fix heals the rest.
	plan := filepath.Join(f.dir, "all.plan")
	f.run("fix", "STORE", "--from", "DIR/backup", "--from-all", "--save-plan", plan)
	var done struct {
		applied
		document
	}
	if f.document(t, &done, "apply", plan, "--yes"); done.Totals.Done < len(all) || len(done.Left) > 0 || done.document.Healing.Spare != 0 {
		t.Errorf("apply: %+v, left %v\n%s", done.Totals, done.Left, f.errs.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d\n%s", exit, f.errs.String())
	}
	f.untouched(t, "undo", before)
	for _, step := range [][]string{nil, {"--from-all"}} {
		if f.document(t, &done, append([]string{"fix", "STORE", "--from", "DIR/backup", "--apply", "--yes"}, step...)...); len(done.Left) > 0 || done.document.Healing.Spare != len(more)*(1-len(step)) {
			t.Errorf("apply %v: %+v, %d more, left %v\n%s", step, done.Totals, done.document.Healing.Spare, done.Left, f.errs.String())
		}
	}
	if exit := f.run("check", "STORE", "--verify", "all"); exit != 0 {
		t.Errorf("after all: exit %d\n%s", exit, f.out.String())
	}
}

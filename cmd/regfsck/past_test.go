package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend/statedir"
	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// reborn returns a store with an image that is removed from it, and one that isn't; links are
// the files of the first that are restored without its blobs, as from a backup of the links.
func reborn() (b *fixtures.Builder, image fixtures.Manifest, links map[string][]byte) {
	b = fixtures.New(1)
	image = b.Image("app", "v1", fixtures.Image{Layers: []int{100, 300_000}})
	b.Image("web", "v1", fixtures.Image{Layers: []int{200}})
	links = map[string][]byte{}
	for _, key := range b.Keys() {
		if f, _ := b.File(key); strings.Contains(key, "/repositories/app/") {
			links[key] = f.Body
		}
	}
	return b, image, links
}

// TestTheOwnPastHeals removes an image, restores its links, and heals the store from the
// removal's quarantine, without a named source. The announced tags can be pulled; runs are
// undone in order, and a copy whose original was purged remains.
func TestTheOwnPastHeals(t *testing.T) {
	for _, purged := range []bool{false, true} {
		b, image, links := reborn()
		f := newFix(t, b)
		var removed, healed applied
		if exit := f.document(t, &removed, "rm", "STORE", "app", "--apply", "--yes"); exit != 0 {
			t.Fatalf("rm: exit %d, %s", exit, f.errs.String())
		}
		for key, body := range links {
			write(t, filepath.Join(f.store, key), string(body))
		}
		bereft := f.content(t)
		f.heals(t, image, &healed)
		for _, blob := range append(image.Blobs, image.Descriptor) {
			if _, err := os.Stat(filepath.Join(f.store, blob.Key())); err != nil {
				t.Error(err)
			}
		}
		if purged {
			whole := f.content(t)
			if exit := f.run("purge", "STORE", removed.Run, "--yes"); exit != 0 {
				t.Fatalf("purge: exit %d, %s", exit, f.errs.String())
			}
			var undone applied
			if exit := f.document(t, &undone, "undo", "STORE", healed.Run); exit&8 == 0 || undone.Totals.Skipped != len(image.Blobs)+1 ||
				!strings.Contains(undone.Left[0].Reason, "the file that it was copied from is not kept where this undo can find it") {
				t.Errorf("undo after the purge: exit %d, %+v", exit, undone)
			}
			f.untouched(t, "undo after the purge", whole)
			if broken := f.broken(t, "--verify", "all"); len(broken) > 0 {
				t.Errorf("broken: %v", broken)
			}
			continue
		}
		if exit := f.run("undo", "STORE", removed.Run); exit != 64 {
			t.Errorf("undo of the earlier run: exit %d, %s", exit, f.errs.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
		}
		f.untouched(t, "undo of the heal", bereft)
		f.run("undo", "STORE", removed.Run) // its links were restored already
		if broken := f.broken(t, "--verify", "all"); len(broken) > 0 {
			t.Errorf("broken: %v", broken)
		}
	}
}

// heals checks, plans and fixes a store with lost blobs in its own past.
func (f *fake) heals(t *testing.T, image fixtures.Manifest, run *applied) {
	t.Helper()
	lacking := len(image.Blobs) + 1
	if exit := f.run("check", "STORE", "--no-progress", "--no-wait"); exit != 4 || !strings.Contains(f.out.String(), "fix copies it from this store's own past") ||
		!strings.Contains(f.out.String(), "1 of 1 broken tag can be pulled again.") || strings.Contains(f.out.String(), "nothing in this store") {
		t.Errorf("check: exit %d\n%s%s", exit, f.out.String(), f.errs.String())
	}
	var p healing
	f.document(t, &p, "fix", "STORE", "--no-wait")
	from := 0
	for _, s := range p.Steps {
		if s.From == "this store's own past" {
			from++
		}
	}
	if p.Healing.Mended != 1 || p.Healing.Broken != 1 || len(p.Healing.Sources) != 1 || from != lacking {
		t.Errorf("%+v, %d of %d from the past", p.Healing, from, lacking)
	}
	if exit := f.document(t, run, "fix", "STORE", "--no-wait", "--apply", "--yes", "--max-delete", "100%"); exit != 1 || run.Totals.Done != lacking {
		t.Errorf("fix: exit %d, %+v, %s", exit, run, f.errs.String())
	}
	if broken := f.broken(t, "--no-wait", "--verify", "all"); len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
}

// TestABucketsOwnPastHeals does the same in a bucket, whose versions hold what was removed by
// a run or otherwise, or overwritten.
func TestABucketsOwnPastHeals(t *testing.T) {
	b, image, links := reborn()
	f, _, made := change(t, b, s3test.Enabled)
	var removed, healed applied
	if exit := f.document(t, &removed, "rm", "STORE", "app", "--apply", "--yes"); exit != 0 {
		t.Fatalf("rm: exit %d, %s", exit, f.errs.String())
	}
	for key, body := range links {
		made.Put(t, "some/path/"+key, body)
	}
	bereft := objects(t, made)
	f.heals(t, image, &healed)
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sameObjects(t, "undone", bereft, objects(t, made))
	f.heals(t, image, &healed)
	if exit := f.run("purge", "STORE", removed.Run, "--yes"); exit != 0 {
		t.Fatalf("purge: exit %d, %s", exit, f.errs.String())
	}
	whole := objects(t, made)
	if exit := f.run("undo", "STORE", healed.Run); exit&8 == 0 {
		t.Errorf("undo after the purge: exit %d, %s", exit, f.out.String())
	}
	sameObjects(t, "undo after the purge", whole, objects(t, made))

	lost, torn := "some/path/"+image.Blobs[0].Key(), "some/path/"+image.Blobs[1].Key()
	made.Delete(t, lost, "")
	made.Delete(t, torn, "") // otherwise the run would take it for its own version
	made.Put(t, torn, []byte("x"))
	if exit := f.document(t, &healed, "fix", "STORE", "--no-wait", "--apply", "--yes", "--max-delete", "100%"); exit != 1 || healed.Totals.Done != 2 {
		t.Errorf("fix: exit %d, %+v, %s", exit, healed, f.errs.String())
	}
	sameObjects(t, "healed", whole, objects(t, made))
}

// TestCorruptPast: corrupt bytes in the quarantine heal nothing.
func TestCorruptPast(t *testing.T) {
	b := fixtures.New(1)
	image := b.Image("app", "v1", fixtures.Image{Layers: []int{100}})
	layer := image.Blobs[1]
	b.Edit(layer.Key(), func(x []byte) []byte { x = slices.Clone(x); x[0] ^= 1; return x })
	f := newFix(t, b)
	if exit := f.run("fix", "STORE", "--verify", "all", "--also", "blob-corrupt", "--apply", "--yes", "--max-delete", "100%"); exit&8 != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	if _, err := os.Stat(filepath.Join(f.store, layer.Key())); err == nil {
		t.Fatal("the corrupt blob is there still")
	}
	f.run("check", "STORE", "--no-progress")
	if out := f.out.String(); strings.Contains(out, "past") || !strings.Contains(out, "0 of 1 broken tag can be pulled again") || !strings.Contains(out, "blob-missing") {
		t.Errorf("%s", out)
	}
}

// TestUnreadablePast: a check without access to the state directory reports that once; what
// can be read is healed.
func TestUnreadablePast(t *testing.T) {
	b, image, links := reborn()
	f := newFix(t, b)
	if exit := f.run("rm", "STORE", "app", "--apply", "--yes"); exit != 0 {
		t.Fatalf("rm: exit %d, %s", exit, f.errs.String())
	}
	for key, body := range links {
		write(t, filepath.Join(f.store, key), string(body))
	}
	state := filepath.Join(f.store, outside.StateName)
	if err := os.Rename(state, state+".away"); err != nil {
		t.Fatal(err)
	}
	write(t, state, "no directory") // unreadable for root too
	f.run("check", "STORE", "--no-progress")
	if n := strings.Count(strings.Join(strings.Fields(f.out.String()), " "), "could not be read, so more may be healed"); n != 1 {
		t.Errorf("it is said %d times\n%s", n, f.out.String())
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	f.run("check", "STORE", "--no-progress")
	if strings.Contains(f.out.String(), "looked at") {
		t.Errorf("%s", f.out.String())
	}
	if err := os.Rename(state+".away", state); err != nil {
		t.Fatal(err)
	}
	var healed applied
	f.heals(t, image, &healed)
}

// TestPastElsewhere: if something remains lost, other state directories that may have it are
// listed: on other machines, and on disks that aren't mounted; otherwise not. A directory of
// another store has nothing.
func TestPastElsewhere(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("app", "v1", fixtures.Image{Layers: []int{100}})
	f := newFix(t, b)
	whole := b.Clone(1)
	b.Erase(m.Blobs[1].Key())
	unmounted, others := filepath.Join(f.dir, "unmounted"), filepath.Join(f.dir, "others")
	if err := os.Mkdir(unmounted, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(others, "store"), "/another/store\n")
	if err := os.Chmod(others, 0o700); err != nil {
		t.Fatal(err)
	}
	here := statedir.Hostname()
	const gone = " (nothing of this store is there now)"
	for _, command := range []string{"check", "fix"} {
		for _, lost := range []bool{true, false} {
			f.rewrite(t, map[bool]*fixtures.Builder{true: b, false: whole}[lost])
			write(t, filepath.Join(f.store, outside.StateName, "states"),
				"elsewhere\t/var/lib/regfsck\n"+here+"\t"+unmounted+"\n"+here+"\t"+unmounted+"/none\n"+here+"\t"+others+"\n")
			var said struct{ Notes []string }
			f.document(t, &said, command, "STORE")
			want := "could not be read: /var/lib/regfsck on elsewhere, " + unmounted + gone + ", " + unmounted + "/none" + gone + "."
			if named := strings.Contains(strings.Join(said.Notes, "\n"), want); named != lost {
				t.Errorf("%s: %q", command, said.Notes)
			}
		}
	}
}

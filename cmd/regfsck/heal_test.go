package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/walker/layout"
)

// healing is the part of a document about sources.
type healing struct {
	Healing struct {
		Sources []string
		Broken  int `json:"tags_broken"`
		Mended  int `json:"tags_mended"`
		Push    int `json:"tags_need_push"`
		Decide  int `json:"tags_need_decision"`
		Lost    int `json:"tags_in_no_source"`
	}
	Broken []struct{ Ref string } `json:"broken_tags"`
	Steps  []struct {
		Key, Kind, Finding, From string
		Bytes                    int64
	}
	Exit struct{ Code int }
}

// disaster deletes, empties and corrupts a share of a store's blobs, manifests among them.
func disaster(b *fixtures.Builder, seed uint64, share float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	for _, key := range b.Keys() {
		k, err := layout.Parse(key)
		if err != nil || k.Kind != layout.Blob || r.Float64() > share {
			continue
		}
		switch f, _ := b.File(key); r.IntN(4) {
		case 0:
			b.Edit(key, func([]byte) []byte { return nil })
		case 1:
			spoiled := slices.Clone(f.Body)
			if len(spoiled) > 0 {
				spoiled[0] ^= 1
			}
			b.PutAt(key, spoiled, f.Modified)
		default:
			b.Erase(key)
		}
	}
}

// writeFlat writes the store's blobs as an OCI layout.
func writeFlat(t *testing.T, b *fixtures.Builder, dir string, keep func(hex string) bool) {
	t.Helper()
	for _, key := range b.Keys() {
		k, err := layout.Parse(key)
		if err != nil || k.Kind != layout.Blob || !keep(k.Hex) {
			continue
		}
		at := filepath.Join(dir, "blobs", k.Algorithm, k.Hex)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		f, _ := b.File(key)
		if err := os.WriteFile(at, f.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// broken returns the broken tags of a check.
func (f *fake) broken(t *testing.T, flags ...string) (refs map[string]bool) {
	t.Helper()
	refs = map[string]bool{}
	for _, tag := range f.judge(t, flags...).Broken {
		refs[tag.Ref] = true
	}
	return refs
}

// TestDrill deletes and corrupts a random share of all blobs and heals the store from several
// kinds of sources. The number of tags that can be pulled must be the announced one, and an
// undo restores the store.
func TestDrill(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := fixtures.Standard()
			if seed >= 3 {
				b, _ = fixtures.Random(seed)
			}
			f := newFix(t, b)
			backup := filepath.Join(f.dir, "backup")
			if err := b.WriteDir(backup); err != nil {
				t.Fatal(err)
			}
			some := rand.New(rand.NewPCG(seed, 2))
			writeFlat(t, b, filepath.Join(f.dir, "node", "io.containerd.content.v1.content"), func(string) bool { return some.IntN(2) == 0 })
			whole := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
			damaged := b.Clone(seed)
			disaster(damaged, seed, 0.3)
			f.rewrite(t, damaged)
			before := f.content(t)
			hurt := f.broken(t, "--verify", "all")
			for _, from := range [][]string{{"--from", backup}, {"--from", filepath.Join(f.dir, "node")}, {"--from", filepath.Join(f.dir, "node"), "--from", backup}} {
				flags := append([]string{"--verify", "all"}, from...)
				var said, planned healing
				f.document(t, &said, append([]string{"check", "STORE"}, flags...)...)
				f.untouched(t, "check --from", before)
				if n := said.Healing; n.Broken != len(said.Broken) || n.Broken != n.Mended+n.Push+n.Decide+n.Lost || len(n.Sources) != len(from)/2 {
					t.Errorf("%q: %+v of %d", from, n, len(said.Broken))
				}
				f.document(t, &planned, append([]string{"fix", "STORE"}, flags...)...)
				if fmt.Sprint(planned.Healing) != fmt.Sprint(said.Healing) {
					t.Errorf("%q: a check announces %+v, and a plan %+v", from, said.Healing, planned.Healing)
				}
				var a struct {
					applied
					healing
				}
				exit := f.document(t, &a, append([]string{"fix", "STORE", "--apply", "--yes", "--max-delete", "100%"}, flags...)...)
				if fmt.Sprint(a.Healing) != fmt.Sprint(said.Healing) {
					t.Errorf("%q: a check announces %+v, and the run says %+v", from, said.Healing, a.Healing)
				}
				if a.Totals.Done != len(planned.Steps) || len(a.Left) > 0 {
					t.Errorf("%q: exit %d, %+v of %d steps, %s", from, exit, a.Totals, len(planned.Steps), f.errs.String())
				}
				left := f.broken(t, "--verify", "all")
				pulls := oracle.Read(oracle.Dir(f.store), time.Time{}).Pulls()
				mended := 0
				for ref := range hurt {
					if !left[ref] {
						mended++
						if whole[ref] && !pulls[ref] {
							t.Errorf("%q: %s is said to be healed, and can't be pulled", from, ref)
						}
					}
				}
				if mended != said.Healing.Mended || len(left) != said.Healing.Broken-mended {
					t.Errorf("%q: %d tags can be pulled again, and %+v was announced; %d of %d are left", from, mended, said.Healing, len(left), len(hurt))
				}
				if len(from) == 2 && from[1] == backup {
					for ref := range whole {
						if hurt[ref] && !pulls[ref] {
							t.Errorf("with a whole backup %s isn't healed: %v", ref, slices.Sorted(maps.Keys(left)))
						}
					}
				}
				if exit := f.run("undo", "STORE"); exit != 0 {
					t.Errorf("%q: undo: exit %d, %s%s", from, exit, f.out.String(), f.errs.String())
				}
				f.untouched(t, "undo", before)
			}
		})
	}
}

// TestInvalidSources: invalid sources are refused with a reason.
func TestInvalidSources(t *testing.T) {
	f := newFix(t, small())
	for _, dir := range []string{"empty", "docker/overlay2"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, f.dir+"/images.tar", "")
	for from, want := range map[string]string{
		"DIR/empty":      "neither a registry's storage nor a directory with blobs/sha256",
		"DIR/docker":     "docker save",
		"DIR/images.tar": "is an archive: unpack it",
		"DIR/nothing":    "there is no such file",
		"STORE":          "is the store itself",
		"STORE/docker":   "is the store itself",
		"s4://x":         "s4://x",
		"":               "needs a SOURCE",
	} {
		for _, command := range []string{"check", "fix"} {
			if exit := f.run(command, "STORE", "--from", from); exit != 16 || !strings.Contains(f.errs.String(), want) {
				t.Errorf("%s --from %s: exit %d, %s", command, from, exit, f.errs.String())
			}
		}
	}
}

// TestALyingSource: bytes of a source must hash to the digest. Otherwise the next source is
// tried, and without right bytes only that step fails.
func TestALyingSource(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200, 300}})
	b.Image("app", "v2", fixtures.Image{Layers: []int{400}})
	f := newFix(t, b)
	writeFlat(t, b, filepath.Join(f.dir, "good"), func(string) bool { return true })
	writeFlat(t, b, filepath.Join(f.dir, "liar"), func(string) bool { return true })
	lost := m.Blobs[1]
	lie := filepath.Join(f.dir, "liar", "blobs", "sha256", lost.Digest.Hex())
	body, err := os.ReadFile(lie)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-1] ^= 1
	write(t, lie, string(body))
	damaged := b.Clone(1)
	damaged.Erase(lost.Key())
	damaged.Erase(m.Blobs[2].Key())
	f.rewrite(t, damaged)
	before := f.content(t)
	change := []string{"fix", "STORE", "--apply", "--yes", "--max-delete", "100%", "--from", "DIR/liar"}
	var a applied
	if exit := f.run(change...); exit&8 == 0 || !strings.Contains(f.out.String(), "0 of 1 broken tag can be pulled again; 1 can't: 1 needs a blob that is in no source.") {
		t.Errorf("exit %d\n%s", exit, f.out.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %s", f.errs.String())
	}
	if exit := f.document(t, &a, change...); exit&8 == 0 || a.Totals.Done != 1 || a.Totals.Failed != 1 || len(a.Left) != 1 {
		t.Errorf("exit %d, %+v", exit, a)
	} else if left := a.Left[0]; left.Key != lost.Key() || !strings.Contains(left.Reason, "liar: has bytes that don't hash to the digest") {
		t.Errorf("%+v", left)
	}
	if _, err := os.Stat(filepath.Join(f.store, lost.Key())); err == nil {
		t.Error("a lie has the name of a blob")
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %s", f.errs.String())
	}
	f.untouched(t, "undo", before)
	if exit := f.document(t, &a, append(change, "--from", "DIR/good")...); exit != 1 || a.Totals.Done != 2 {
		t.Errorf("exit %d, %+v", exit, a)
	}
	if broken := f.broken(t, "--verify", "all"); len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
}

// TestAMissingSource: if a source of a saved plan is gone, only the blobs that it alone has
// fail, with their dependents.
func TestAMissingSource(t *testing.T) {
	b := fixtures.New(1)
	lost, other := b.Image("app", "v1", fixtures.Image{Layers: []int{100}}), b.Image("web", "v1", fixtures.Image{Layers: []int{200}})
	f := newFix(t, b)
	writeFlat(t, b, filepath.Join(f.dir, "old"), func(string) bool { return true })
	damaged := b.Clone(1)
	damaged.Erase(lost.Blobs[1].Key())
	damaged.Erase(layout.BlobKey(lost.Digest))
	damaged.Unlink(layout.LayerKey("web", other.Blobs[1].Digest))
	body := []byte("nobody's")
	damaged.Put(layout.BlobKey(layout.Sum(body)), body)
	f.rewrite(t, damaged)
	var p healing
	f.document(t, &p, "fix", "STORE", "--from", "DIR/old", "--save-plan", "DIR/p")
	if p.Healing.Mended != 2 || len(p.Steps) != 4 {
		t.Fatalf("%+v", p)
	}
	before := f.content(t)
	if err := os.Rename(f.dir+"/old", f.dir+"/older"); err != nil {
		t.Fatal(err)
	}
	var a applied
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes", "--max-delete", "100%"); exit&8 == 0 || a.Totals.Failed != 2 {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	for _, left := range a.Left {
		if strings.Contains(left.Key, lost.Digest.Hex()) && !strings.Contains(left.Reason, "can't be used any more") {
			t.Errorf("%+v", left)
		}
	}
	if broken := f.broken(t); !maps.Equal(broken, map[string]bool{"app:v1": true}) {
		t.Errorf("broken: %v", broken)
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %s", f.errs.String())
	}
	f.untouched(t, "undo", before)
	if err := os.Rename(f.dir+"/older", f.dir+"/old"); err != nil {
		t.Fatal(err)
	}
	if exit := f.document(t, &a, "apply", "DIR/p", "--yes", "--max-delete", "100%"); exit != 1 || a.Totals.Done != 4 {
		t.Errorf("with the source: exit %d, %+v, %s", exit, a, f.errs.String())
	}
	if broken := f.broken(t, "--verify", "all"); len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
}

// TestRecipesOfHealing runs the commands of the topic heal on a damaged store, with a backup
// and a node's image store.
func TestRecipesOfHealing(t *testing.T) {
	topic, err := os.ReadFile("help/heal.md")
	if err != nil {
		t.Fatal(err)
	}
	b := fixtures.New(1)
	m := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200}})
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	writeFlat(t, b, filepath.Join(f.dir, "node", "io.containerd.content.v1.content"), func(string) bool { return true })
	damaged := b.Clone(1)
	damaged.Erase(m.Key())
	damaged.Erase(m.Blobs[1].Key())
	deleted := b.Clone(2)
	deleted.RemoveAll(layout.RepositoryKey("app"))
	deleted.Image("other", "v1", fixtures.Image{Layers: []int{50}})
	mirror := httptest.NewServer(http.NotFoundHandler()) // an empty registry
	defer mirror.Close()
	run := 0
	for line := range strings.Lines(string(topic)) {
		command, ok := strings.CutPrefix(line, "    regfsck ")
		if !ok {
			continue
		}
		run++
		returns := strings.Contains(command, "tag-from-source")
		switch {
		case strings.Contains(command, "--apply"):
		case returns:
			f.rewrite(t, deleted)
		default:
			f.rewrite(t, damaged)
		}
		words := strings.Fields(strings.NewReplacer("https://mirror.example", mirror.URL, "/var/lib/registry", f.store, "/mnt", f.dir, "/var/lib/containerd", f.dir+"/node").Replace(command))
		exit, want, said := f.run(append(words, "--no-progress")...), 4, "1 of 1 broken tag can be pulled again."
		if returns {
			want, said = 0, "is restored from the source"
		}
		if slices.Contains(words, "--apply") {
			exit, want = f.run(append(words, "--no-progress", "--yes", "--max-delete", "100%")...), 1
		} else if !strings.Contains(f.out.String(), said) {
			t.Errorf("%s\n%s", command, f.out.String())
		}
		if exit != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", command, exit, want, f.out.String(), f.errs.String())
		}
	}
	if run != 6 {
		t.Errorf("%d commands", run)
	}
	if broken := f.broken(t, "--verify", "all"); len(broken) > 0 {
		t.Errorf("broken: %v", broken)
	}
}

// TestAHealWithoutAReceipt: if a run crashed after a copy and before its receipt, the list of
// runs confirms it with the store, and it can be undone.
func TestAHealWithoutAReceipt(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200}})
	f := newFix(t, b)
	writeFlat(t, b, filepath.Join(f.dir, "node"), func(string) bool { return true })
	damaged := b.Clone(1)
	damaged.Erase(m.Blobs[1].Key())
	damaged.Edit(m.Blobs[2].Key(), func([]byte) []byte { return nil })
	f.rewrite(t, damaged)
	before := f.content(t)
	var a applied
	if exit := f.document(t, &a, "fix", "STORE", "--from", "DIR/node", "--apply", "--yes", "--max-delete", "100%"); exit != 1 || a.Totals.Done != 2 {
		t.Fatalf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	path := filepath.Join(f.store, outside.StateName, "runs", a.Run, "journal.jsonl")
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	intents, _, ok := strings.Cut(string(journal), `{"receipt"`)
	if !ok || strings.Count(intents, `{"intent"`) != 2 {
		t.Fatalf("%s", journal)
	}
	write(t, path, intents)
	var list struct {
		Runs []struct {
			Done    int `json:"steps_done"`
			Unknown int `json:"steps_unknown"`
		}
	}
	f.document(t, &list, "undo", "STORE", "--list")
	if len(list.Runs) != 1 || list.Runs[0].Done != 2 || list.Runs[0].Unknown != 0 {
		t.Errorf("%+v\n%s", list, f.out.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	f.untouched(t, "undo", before)
}

// TestASourceThatCannotBeAsked: what an unavailable source may have isn't withdrawn. Nothing
// is removed, and the answer is incomplete.
func TestASourceThatCannotBeAsked(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	for what, damage := range map[string]func(b *fixtures.Builder, m, index fixtures.Manifest){
		"manifest": func(b *fixtures.Builder, m, _ fixtures.Manifest) {
			b.Erase(m.Key())
			b.Unlink(layout.RevisionKey("app", m.Digest))
		},
		"layer": func(b *fixtures.Builder, m, _ fixtures.Manifest) { b.Erase(m.Blobs[1].Key()) },
		"child": func(b *fixtures.Builder, _, child fixtures.Manifest) {
			b.Erase(child.Key())
			b.Unlink(layout.RevisionKey("app", child.Digest))
		},
	} {
		b := fixtures.New(1)
		m, child := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200}}), b.Image("app", "", fixtures.Image{Layers: []int{300}})
		b.Index("app", "multi", child)
		f := newFix(t, b)
		damaged := b.Clone(1)
		damage(damaged, m, child)
		if err := b.WriteDir(filepath.Join(f.dir, "bad")); err != nil {
			t.Fatal(err)
		}
		for _, lost := range []string{m.Key(), child.Key(), m.Blobs[1].Key()} { // a file in place of a directory
			shard := filepath.Join(f.dir, "bad", filepath.Dir(filepath.Dir(lost)))
			if err := os.RemoveAll(shard); err != nil {
				t.Fatal(err)
			}
			write(t, shard, "")
		}
		f.rewrite(t, damaged)
		before := f.content(t)
		for _, from := range []string{down.URL, "DIR/bad"} {
			if exit := f.run("check", "STORE", "--from", from); exit&8 == 0 || !strings.Contains(f.out.String(), "may be in a place that could not be read") {
				t.Errorf("%s, check --from %s: exit %d\n%s%s", what, from, exit, f.out.String(), f.errs.String())
			}
			if said := f.out.String(); what != "child" && (!strings.Contains(said, "that could not be asked") || strings.Contains(said, "in no source")) {
				t.Errorf("%s, %s:\n%s", what, from, said)
			}
			for _, also := range [][]string{nil, {"--also", "blob-missing", "--also", "tag-dangling"}} {
				exit := f.run(append([]string{"fix", "STORE", "--from", from, "--apply", "--yes", "--undo", "none", "--max-delete", "100%"}, also...)...)
				if empty := strings.Contains(f.out.String(), "NOTHING TO DO"); exit != 12 && empty || !empty && (exit != 64 || !strings.Contains(f.errs.String(), "may be in a place that could not be read")) {
					t.Errorf("%s, fix --from %s %v: exit %d\n%s%s", what, from, also, exit, f.out.String(), f.errs.String())
				}
				f.untouched(t, what+" "+from, before)
				var p healing
				f.document(t, &p, append([]string{"fix", "STORE", "--from", from}, also...)...)
				for _, step := range p.Steps {
					if step.Finding != "folder-empty" {
						t.Errorf("%s, --from %s %v: %+v", what, from, also, step)
					}
				}
			}
		}
	}
}

// TestSkippedRepairs: what a skipped repair needs is no garbage.
func TestSkippedRepairs(t *testing.T) {
	b := fixtures.New(1)
	m, child := b.Image("app", "v1", fixtures.Image{Layers: []int{100, 200}}), b.Image("app", "", fixtures.Image{Layers: []int{300}})
	index := b.Index("app", "multi", child)
	f := newFix(t, b)
	if err := b.WriteDir(filepath.Join(f.dir, "backup")); err != nil {
		t.Fatal(err)
	}
	damaged := b.Clone(1)
	damaged.Erase(m.Key())
	damaged.Unlink(layout.RevisionKey("app", m.Digest))
	damaged.Erase(index.Key())
	damaged.Unlink(layout.RevisionKey("app", child.Digest))
	body := []byte("nobody's")
	damaged.Put(layout.BlobKey(layout.Sum(body)), body)
	f.rewrite(t, damaged)
	for _, less := range [][]string{{"--only", "garbage"}, {"--skip", "repairs"}} {
		var p healing
		f.document(t, &p, append([]string{"fix", "STORE", "--from", "DIR/backup"}, less...)...)
		orphans := 0
		for _, step := range p.Steps {
			if step.Finding == "blob-orphan" && step.Key == layout.BlobKey(layout.Sum(body)) {
				orphans++
			} else if step.Finding != "folder-empty" {
				t.Errorf("%v: %+v", less, step)
			}
		}
		if orphans != 1 || p.Healing.Broken == 0 || p.Healing.Mended != 0 {
			t.Errorf("%v: %+v, %d orphans", less, p.Healing, orphans)
		}
	}
}

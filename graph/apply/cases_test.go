package apply

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"regfsck/fixtures"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// unmount are the ways in which an unmounted disk appears.
var unmount = map[string]func(*fixtures.Memory){
	"an empty directory": func(m *fixtures.Memory) { m.Delete(layout.Blobs); m.Mkdir(layout.Blobs) },
	"no directory":       func(m *fixtures.Memory) { m.Delete(layout.Blobs) },
}

// TestBlobsThatAreNotMounted: whether the plan is made before or after, nothing is changed,
// and with the disk mounted all tags can be pulled.
func TestBlobsThatAreNotMounted(t *testing.T) {
	for how, gone := range unmount {
		for asked, policy := range policies() {
			t.Run(how+", "+asked, func(t *testing.T) {
				b := fixtures.Standard()
				b.Upload("app", 20)
				m := b.Memory()
				whole := dump(m)
				gone(m)
				refusedFix(t, m, policy, "are missing")

				g := guard(t, b, policy)
				gone(g.m)
				g.refused("are missing")
				after := dump(g.m)
				for key, content := range whole {
					if strings.HasPrefix(key, layout.Blobs) {
						after[key] = content
					}
				}
				delete(after, layout.Blobs+"/")
				if len(pulls(whole)) < 15 || !maps.Equal(pulls(whole), pulls(after)) {
					t.Errorf("pulled before: %v, after: %v", pulls(whole), pulls(after))
				}
				stillPulls(t, whole, after)
			})
		}
	}
}

// TestAManifestBlobThatIsGone: the layers of a missing manifest are unknown: all links of its
// repository are kept, and garbage elsewhere is removed.
func TestAManifestBlobThatIsGone(t *testing.T) {
	for asked, policy := range plain() {
		for _, tag := range []string{"v2", ""} {
			t.Run(asked+", tag "+tag, func(t *testing.T) {
				b := fixtures.New(1)
				b.Image("a", "v1", fixtures.Image{})
				m := b.Image("a", tag, fixtures.Image{Layers: []int{40, 50}})
				loose := b.Push("a", fixtures.OCILayer, []byte("it may need this"))
				b.Erase(m.Key())
				spare := waste(b)
				store := b.Memory()
				was := dump(store)
				mustFix(t, store.Store(), t.TempDir(), policy)
				is := dump(store)
				onlyGone(t, was, is, spare)
				stay(t, was, is, loose.Key(), layout.LayerKey("a", loose.Digest))
				stay(t, was, is, append(parts(m)[2:], m.RevisionKey())...)
				stillPulls(t, was, is)
			})
		}
	}
}

// TestAZeroByteCurrentLinkWithTwoHistoryEntries: an ambiguous tag keeps both of its possible
// targets.
func TestAZeroByteCurrentLinkWithTwoHistoryEntries(t *testing.T) {
	for _, unlinked := range []bool{false, true} {
		b := fixtures.New(1)
		first := b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
		second := b.Image("a", "v1", fixtures.Image{Layers: []int{30}})
		b.Image("a", "v2", fixtures.Image{})
		current := layout.CurrentKey("a", "v1")
		b.Edit(current, func([]byte) []byte { return nil })
		if unlinked {
			b.Erase(first.RevisionKey())
			b.Erase(second.RevisionKey())
		}
		spare := waste(b)
		store := b.Memory()
		was := dump(store)
		mustFix(t, store.Store(), t.TempDir(), gc.Policy{Untagged: true})
		is := dump(store)
		onlyGone(t, was, is, spare)
		stillPulls(t, was, is)
		for _, m := range []fixtures.Manifest{first, second} {
			is[m.RevisionKey()] = "0 " + m.Digest.String()
			is[current] = is[m.RevisionKey()]
			if !pulls(is)["a:v1"] {
				t.Errorf("unlinked %v: if the tag meant %s, it is lost", unlinked, m.Digest)
			}
		}
	}
}

// TestAManifestWithAWrongSizeOfASharedLayer: the wrong size in one manifest doesn't affect
// the layer, whatever is requested.
func TestAManifestWithAWrongSizeOfASharedLayer(t *testing.T) {
	for asked, policy := range policies() {
		for _, by := range []int64{-7, 7} {
			b := fixtures.New(1)
			honest := b.Image("a", "v1", fixtures.Image{})
			layer := honest.Blobs[1]
			layer.Size += by
			liar := b.Image("b", "v1", fixtures.Image{Shared: []fixtures.Descriptor{layer}, Layers: []int{}})
			store := b.Memory()
			r, _, err := check.Store(context.Background(), store, options(policy))
			if err != nil || r.Counts[finding.DescriptorWrong].Count != 1 {
				t.Fatalf("%s: %v, and %d wrong sizes", asked, err, r.Counts[finding.DescriptorWrong].Count)
			}
			was := dump(store)
			mustFix(t, store.Store(), t.TempDir(), policy)
			is := dump(store)
			onlyGone(t, was, is)
			stay(t, was, is, append(parts(honest), parts(liar)...)...)
			stillPulls(t, was, is)
		}
	}
}

// undone undoes a run without failures; later changes may be skipped.
func undone(t *testing.T, m *fixtures.Memory, state, id string) *Outcome {
	t.Helper()
	out, err := Undo(context.Background(), m.Store(), state, id)
	if err != nil || out.Steps.Failed > 0 {
		t.Fatalf("undo: %v, %+v", err, out)
	}
	return out
}

// nothingButWaste fixes a store under every policy: only an orphan is removed, and all tags
// can be pulled as before.
func nothingButWaste(t *testing.T, build func(b *fixtures.Builder)) {
	t.Helper()
	for asked, policy := range policies() {
		t.Run(asked, func(t *testing.T) {
			b := fixtures.New(1)
			build(b)
			spare := waste(b)
			m := b.Memory()
			was := dump(m)
			mustFix(t, m.Store(), t.TempDir(), policy)
			is := dump(m)
			onlyGone(t, was, is, spare)
			stillPulls(t, was, is)
		})
	}
}

// TestABuildKitCacheIndex: entries of such an index are kept, though the registry's own
// collector removes them.
func TestABuildKitCacheIndex(t *testing.T) {
	for _, image := range []bool{false, true} { // alone in its repository, or not
		nothingButWaste(t, func(b *fixtures.Builder) {
			if image {
				b.Image("cache", "v1", fixtures.Image{})
			}
			b.BuildKitCache("cache", "buildcache", 3)
			if !pulls(dump(b.Memory()))["cache:buildcache"] {
				t.Error("the cache can't be pulled")
			}
		})
	}
}

// TestAPullThroughCache: a cache may lack layers, links and children; nothing is rebuilt.
func TestAPullThroughCache(t *testing.T) {
	nothingButWaste(t, func(b *fixtures.Builder) {
		b.PullThrough("library/x", "latest")
		half := b.PullThrough("library/y", "latest")
		b.Erase(half.LayerKey(1))
		arm, amd := b.Image("library/z", "", fixtures.Image{}), b.Image("other", "v1", fixtures.Image{})
		b.Index("library/z", "latest", arm, amd)
	})
}

// sha512 pushes an image whose only layer has a digest of another algorithm.
func sha512(b *fixtures.Builder) (layer fixtures.Descriptor) {
	const form = `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},` +
		`"layers":[{"mediaType":%q,"digest":"sha512:%s","size":19}]}`
	config := b.Push("a", fixtures.OCIConfig, []byte("{}"))
	layer = b.Push("a", fixtures.OCILayer, []byte("known by its sha512"))
	key, err := layout.Parse(b.Alias("a", layer))
	if err != nil {
		panic(err)
	}
	b.PushManifest("a", "v1", fixtures.OCIManifest, fmt.Appendf(nil, form,
		fixtures.OCIManifest, fixtures.OCIConfig, config.Digest, fixtures.OCILayer, key.Hex))
	return layer
}

func TestASHA512Alias(t *testing.T) {
	nothingButWaste(t, func(b *fixtures.Builder) {
		sha512(b)
		if !pulls(dump(b.Memory()))["a:v1"] {
			t.Error("the image can't be pulled")
		}
	})
}

// TestASHA512AliasWhoseOwnLinkIsGone: a registry serves an alias only with a link to its
// target.
func TestASHA512AliasWhoseOwnLinkIsGone(t *testing.T) {
	for asked, policy := range policies() {
		b := fixtures.New(1)
		layer := sha512(b)
		b.Erase(layout.LayerKey("a", layer.Digest))
		m := b.Memory()
		was := dump(m)
		mustFix(t, m.Store(), t.TempDir(), policy)
		is := dump(m)
		stillPulls(t, was, is)
		if pulls(was)["a:v1"] || !pulls(is)["a:v1"] {
			t.Errorf("%s: pulls before: %v, after: %v", asked, pulls(was), pulls(is))
		}
	}
}

// sparse returns an index in one repository whose child is only in another one, untagged.
func sparse() (b *fixtures.Builder, index, child fixtures.Manifest) {
	b = fixtures.New(1)
	child = b.Image("z", "v1", fixtures.Image{})
	b.Image("z", "v2", fixtures.Image{})
	index = b.Index("a", "v1", child, b.Image("a", "", fixtures.Image{}))
	b.DeleteTag("z", "v1")
	return b, index, child
}

func TestASparseIndex(t *testing.T) {
	b, index, child := sparse()
	spare := waste(b)
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	mustFix(t, m.Store(), state, gc.Policy{Untagged: true})
	is := dump(m)
	if _, ok := is[spare]; ok {
		t.Error("garbage is left")
	}
	stay(t, was, is, index.Key(), index.RevisionKey(), child.Key())
	for i := range child.Blobs {
		stay(t, was, is, child.Blobs[i].Key())
	}
	stillPulls(t, was, is)

	ask := gc.Policy{Untagged: true} // then its links can be rebuilt
	ask.Also[finding.IndexChildMissing] = true
	completed(t, m, state, ask)
}

// TestATagIsRestoredInOneRun: a tag that lost its current link gets it back with the revision
// link of its only possible target.
func TestATagIsRestoredInOneRun(t *testing.T) {
	for what, spoil := range map[string]func(*fixtures.Builder, string){
		"missing": (*fixtures.Builder).Unlink,
		"empty":   func(b *fixtures.Builder, key string) { b.Edit(key, func([]byte) []byte { return nil }) },
	} {
		for asked, policy := range plain() {
			t.Run(what+", "+asked, func(t *testing.T) {
				b := fixtures.New(1)
				m := b.Image("a", "v1", fixtures.Image{})
				spoil(b, layout.CurrentKey("a", "v1"))
				b.Erase(m.RevisionKey())
				b.Erase(layout.LayerKey("a", m.Blobs[1].Digest))
				completed(t, b.Memory(), t.TempDir(), policy)
			})
		}
	}
}

// completed fails if one run doesn't complete a:v1, or if anything is left to do.
func completed(t *testing.T, m *fixtures.Memory, state string, policy gc.Policy) {
	t.Helper()
	was := dump(m)
	mustFix(t, m.Store(), state, policy)
	is := dump(m)
	stillPulls(t, was, is)
	if !pulls(is)["a:v1"] {
		t.Error("the index can't be pulled as a whole")
	}
	if out := mustFix(t, m.Store(), state, policy); out.Run != "" {
		t.Errorf("a second run did %+v", out.Steps)
	}
}

// TestASparseIndexIsCompletedOnRequest: its links, and those of its blobs, are written in the
// run that removes those of the other repository. Its child may be an index.
func TestASparseIndexIsCompletedOnRequest(t *testing.T) {
	policy := gc.Policy{Untagged: true}
	policy.Also[finding.IndexChildMissing] = true
	b, _, child := sparse()
	completed(t, b.Memory(), t.TempDir(), policy)
	b.DeleteTag("a", "v1")
	b.Index("a", "v1", b.Index("z", "", child, b.Image("z", "", fixtures.Image{})))
	completed(t, b.Memory(), t.TempDir(), policy)
}

// TestALongLink: a scan reads only the beginning of a long link, but it is removed, rebuilt
// and restored as a whole.
func TestALongLink(t *testing.T) {
	for _, more := range []int{walker.MaxLink, maxLink, 2 * maxLink} {
		b := fixtures.New(1)
		needed := b.Image("a", "v1", fixtures.Image{}).LayerKey(1)
		spare := layout.LayerKey("a", b.Push("a", fixtures.OCILayer, []byte("loose")).Digest)
		long := func(was []byte) []byte { return append(slices.Clone(was), make([]byte, more)...) }
		b.Edit(needed, long)
		b.Edit(spare, long)
		m, state := b.Memory(), t.TempDir()
		was := dump(m)
		mustFix(t, m.Store(), state, gc.Policy{})
		is := dump(m)
		if _, ok := is[spare]; ok || is[needed] == was[needed] {
			t.Errorf("%d bytes more: it isn't fixed", more)
		}
		for range 2 {
			undoRest(t, m, state)
			if d := diff(was, dump(m)); d != "" {
				t.Errorf("%d bytes more, after the undo:\n%.500s", more, d)
			}
			notUndone(t, state)
		}
	}
}

// notUndone makes an undo look as if it was killed before its last line.
func notUndone(t *testing.T, state string) {
	t.Helper()
	runs, err := journal.Summaries(state)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(journal.Dir(state, runs[0].ID), journal.FileName)
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, all[:bytes.LastIndex(all, []byte(`{"undone"`))], 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestANameThatIsNotUTF8: a name that a journal can't store could not be restored: its step
// is skipped and reported.
func TestANameThatIsNotUTF8(t *testing.T) {
	upload := layout.RepositoryKey("a") + "/_uploads/0e4d1aeb-4fb7-4d4a-9a1f-111111111111"
	empty := layout.RepositoryKey("gone")
	for name, c := range map[string]struct {
		odd  func(m *fixtures.Memory)
		step string // that is skipped and reported; "" for none
	}{
		"a file in an upload": {func(m *fixtures.Memory) {
			m.Put(upload+"/data", []byte("d"), fixtures.Epoch)
			m.Put(upload+"/startedat", []byte("2025-01-01T00:00:00Z"), fixtures.Epoch)
			m.Put(upload+"/hashstates/sha\xff/0", []byte("1"), fixtures.Epoch)
		}, ""},
		"a directory in an upload": {func(m *fixtures.Memory) {
			m.Put(upload+"/data", []byte("d"), fixtures.Epoch)
			m.Mkdir(upload + "/hashstates/sha\xff")
		}, ""},
		"a directory in a repository": {func(m *fixtures.Memory) {
			for _, dir := range []string{"/_layers/sha256", "/_manifests/revisions/sha256", "/_manifests/tags", "/_layers/tarsum/v\xff"} {
				m.Mkdir(empty + dir)
			}
		}, empty + "/_layers/"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			b.Image("a", "v1", fixtures.Image{})
			m, state := b.Memory(), t.TempDir()
			c.odd(m)
			was := dump(m)
			out, err := fix(m.Store(), state, gc.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			if c.step != "" && !strings.Contains(reasons(out)[c.step], "no UTF-8") {
				t.Errorf("it isn't named: %+v", out.NotDone)
			}
			if d := diff(was, dump(m)); c.step == "" && d != "" { // it is foreign to an upload, which is kept
				t.Errorf("not left alone:\n%s", d)
			}
			for key := range was {
				if _, ok := dump(m)[key]; !ok && !utf8.ValidString(key) {
					t.Errorf("%q is gone", key)
				}
			}
			undoRest(t, m, state)
			if d := diff(was, dump(m)); d != "" {
				t.Errorf("after the undo:\n%s", d)
			}
		})
	}
}

// inOneRun fixes a store in one run and undoes it.
func inOneRun(t *testing.T, b *fixtures.Builder, policy gc.Policy) (was, is map[string]string) {
	t.Helper()
	m, state := b.Memory(), t.TempDir()
	was = dump(m)
	mustFix(t, m.Store(), state, policy)
	is = dump(m)
	if again := mustFix(t, m.Store(), state, policy); again.Run != "" {
		t.Errorf("a second fix has something to do: %+v", again)
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
	return was, is
}

// TestRemovedKeysAreNotWritten: a tag that is removed isn't repaired before.
func TestRemovedKeysAreNotWritten(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	subject := b.Image("a", "v2", fixtures.Image{})
	b.Cosign(subject, "sig")
	b.DeleteManifest(subject)
	tag := strings.Replace(subject.Digest.String(), ":", "-", 1) + ".sig"
	current := layout.CurrentKey("a", tag)
	b.Edit(current, func([]byte) []byte { return nil })
	var policy gc.Policy
	p, _ := planned(t, b.Memory(), policy)
	if !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Op == plan.Write && s.Key == current }) {
		t.Fatalf("nothing writes %s:\n%s", current, listed(p))
	}
	policy.Also[finding.SignatureOrphaned] = true
	p, _ = planned(t, b.Memory(), policy)
	ops := map[string]plan.Op{}
	for _, s := range p.Steps {
		if other, twice := ops[s.Key]; twice {
			t.Errorf("%s: %s and %s", s.Key, other, s.Op)
		}
		ops[s.Key] = s.Op
	}
	if ops[current] != plan.Remove {
		t.Errorf("the tag is kept:\n%s", listed(p))
	}
	_, is := inOneRun(t, b, policy)
	for key := range is {
		if strings.HasPrefix(key, layout.TagKey("a", tag)) {
			t.Errorf("%s is left", key)
		}
	}
}

// TestATemporaryFileInAnUpload: it is removed with its upload, and a younger one doesn't keep
// the upload once both are old.
func TestATemporaryFileInAnUpload(t *testing.T) {
	for _, in := range []string{"/data", "/startedat", "/hashstates/sha256/0"} {
		b := fixtures.New(1)
		b.Image("a", "v1", fixtures.Image{})
		upload := b.Upload("a", 30)
		temp := b.Temp(upload + in)
		was, is := inOneRun(t, b, gc.Policy{})
		if was[temp] == "" {
			t.Fatalf("%s was never there", temp)
		}
		for key := range is {
			if strings.HasPrefix(key, upload) {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// TestARepositoryIsRemovedWithItsLastManifest: if --untagged removes the last manifest, the
// repository is removed in the same run; a nested one is kept, with its layers.
func TestARepositoryIsRemovedWithItsLastManifest(t *testing.T) {
	b := fixtures.New(1)
	gone := b.Image("a", "", fixtures.Image{})
	b.Upload("a", 30)
	nested := b.Image("a/b", "v1", fixtures.Image{})
	_, is := inOneRun(t, b, gc.Policy{Untagged: true})
	for key := range is {
		if strings.HasPrefix(key, layout.RepositoryKey("a")+"/_") {
			t.Errorf("%s is left", key)
		}
	}
	for _, key := range parts(gone) {
		if _, left := is[key]; left {
			t.Errorf("%s is left", key)
		}
	}
	if !pulls(is)["a/b:v1"] {
		t.Errorf("%s can't be pulled", nested.Digest)
	}
}

// TestForeignFilesAreKept: foreign files and their directories are kept, the rest is removed,
// and the next fix has no steps.
func TestForeignFilesAreKept(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a/b", "v1", fixtures.Image{})
	b.Image("z", "v1", fixtures.Image{})
	orphan := b.Image("a", "", fixtures.Image{})
	upload := b.Upload("z", 30)
	notes := []string{
		layout.RepositoryKey("a") + "/_uploads/notes", layout.RepositoryKey("a") + "/notes",
		upload + "/notes", strings.TrimSuffix(orphan.Key(), "data") + "notes", layout.Blobs + "/sha256/notes",
	}
	for _, key := range notes {
		b.Put(key, []byte("somebody's"))
	}
	was, is := inOneRun(t, b, gc.Policy{Untagged: true})
	stay(t, was, is, append(notes, upload+"/data", upload+"/startedat")...)
	for _, key := range append(parts(orphan), layout.RepositoryKey("a")+"/_manifests/", layout.RepositoryKey("a")+"/_layers/") {
		if _, left := is[key]; left {
			t.Errorf("%s is left", key)
		}
	}
	stillPulls(t, was, is)
}

// reuse returns a store with an orphaned layer, and the push of an image with it: the client
// finds the layer and doesn't upload it.
func reuse(linked bool, tag string) (b *fixtures.Builder, pushed fixtures.Manifest, push func(*fixtures.Memory)) {
	b = fixtures.New(1)
	b.Image("a", "v1", fixtures.Image{})
	b.Erase(b.Image("b", "v1", fixtures.Image{}).RevisionKey())
	layer := b.Push("a", fixtures.OCILayer, []byte("an old layer"))
	if !linked {
		b.Erase(layout.LayerKey("a", layer.Digest))
	}
	after := b.Clone(2)
	pushed = after.Image("a", tag, fixtures.Image{Shared: []fixtures.Descriptor{layer}})
	had := b.Keys()
	return b, pushed, func(m *fixtures.Memory) {
		for _, key := range after.Keys() {
			if f, _ := after.File(key); !slices.Contains(had, key) {
				m.Put(key, f.Body, now.Add(-time.Minute))
			}
		}
	}
}

// pushes runs check for a layer with and without its link, for pushes by tag and by digest,
// and under each policy.
func pushes(t *testing.T, check func(t *testing.T, linked bool, tag string, policy gc.Policy)) {
	for asked, policy := range plain() {
		for _, tag := range []string{"v2", ""} {
			t.Run(asked+", linked, tag "+tag, func(t *testing.T) { check(t, true, tag, policy) })
			t.Run(asked+", tag "+tag, func(t *testing.T) { check(t, false, tag, policy) })
		}
	}
}

// TestAPushOverAnOrphanedLayerBetweenPlanAndApply: the plan is refused, and a new one keeps
// the layer.
func TestAPushOverAnOrphanedLayerBetweenPlanAndApply(t *testing.T) {
	pushes(t, func(t *testing.T, linked bool, tag string, policy gc.Policy) {
		b, pushed, push := reuse(linked, tag)
		layer := pushed.Blobs[1].Key()
		g := guard(t, b, policy)
		push(g.m)
		was := dump(g.m)
		for _, found := range []*check.Result{g.in.Found, nil} { // in the same run, or saved
			g.in.Found = found
			r := g.refused("stale")
			if !slices.Contains(r.Reasons[0].Keys, layer) {
				t.Errorf("it names %q, want %s too", r.Reasons[0].Keys, layer)
			}
		}
		mustFix(t, g.m.Store(), t.TempDir(), policy)
		is := dump(g.m)
		onlyGone(t, was, withoutRebuilt(b, is))
		stay(t, was, is, parts(pushed)...)
		stillPulls(t, was, is)
		if tag != "" && !pulls(is)["a:"+tag] {
			t.Errorf("a:%s can't be pulled", tag)
		}
	})
}

// TestAPushOverAnOrphanedLayerBeforeTheFirstRemoval: the push comes while the run writes
// links.
func TestAPushOverAnOrphanedLayerBeforeTheFirstRemoval(t *testing.T) {
	pushes(t, func(t *testing.T, linked bool, tag string, policy gc.Policy) {
		b, pushed, push := reuse(linked, tag)
		m := b.Memory()
		was := dump(m)
		f := fixtures.NewFaultyStore(m.Store(), atFirst(fixtures.OpPut, func() { push(m) }))
		out, err := fix(f, t.TempDir(), policy)
		if err != nil || len(out.NotDone) == 0 {
			t.Fatalf("%v, left nothing: %+v", err, out)
		}
		is := dump(m)
		if gone := deleted(was, is); len(gone) > 0 {
			t.Errorf("gone: %v", gone)
		}
		for _, key := range parts(pushed) {
			if _, ok := is[key]; !ok {
				t.Errorf("%s is gone", key)
			}
		}
		stillPulls(t, was, is)
		if tag != "" && !pulls(is)["a:"+tag] {
			t.Errorf("a:%s can't be pulled", tag)
		}
	})
}

// withoutRebuilt removes the link that a fix of that store rebuilds.
func withoutRebuilt(b *fixtures.Builder, is map[string]string) map[string]string {
	delete(is, b.Tagged("b", "v1").RevisionKey())
	return is
}

// TestATagPushedAnewBetweenFixAndUndo: an undo skips and reports what a push has written
// since, and restores the rest.
func TestATagPushedAnewBetweenFixAndUndo(t *testing.T) {
	b := fixtures.New(1)
	b.Image("a", "kept", fixtures.Image{})
	nobody := layout.Sum([]byte("nobody"))
	b.Tag("a", "v1", nobody)
	gone := b.Image("a", "", fixtures.Image{})
	var policy gc.Policy
	policy.Untagged, policy.Also[finding.TagDangling] = true, true

	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	out := mustFix(t, m.Store(), state, policy)
	current := layout.CurrentKey("a", "v1")
	fixed := dump(m)
	for _, key := range append(parts(gone), current, layout.HistoryKey("a", "v1", nobody)) {
		if _, ok := fixed[key]; ok {
			t.Fatalf("%s wasn't removed", key)
		}
	}

	other := b.Clone(2)
	fresh := other.Image("a", "v1", fixtures.Image{})
	brought := append(parts(fresh), current, layout.HistoryKey("a", "v1", fresh.Digest))
	again := parts(gone) // the untagged image is pushed again, with a tag
	other.Tag("a", "v2", gone.Digest)
	brought = append(brought, layout.CurrentKey("a", "v2"), layout.HistoryKey("a", "v2", gone.Digest))
	for _, key := range append(brought, again...) {
		f, _ := other.File(key)
		m.Put(key, f.Body, now)
	}
	pushed := dump(m)

	back := undone(t, m, state, out.Run)
	is := dump(m)
	stay(t, pushed, is, append(brought, again...)...)
	stay(t, was, is, layout.HistoryKey("a", "v1", nobody))
	left := reasons(back)
	for _, key := range append(again, current) {
		if left[key] == "" {
			t.Errorf("%s isn't named", key)
		}
	}
	if len(left) != len(again)+1 {
		t.Errorf("left: %v", left)
	}
	stillPulls(t, pushed, is)
	for _, ref := range []string{"a:v1", "a:v2", "a:kept"} {
		if !pulls(is)[ref] {
			t.Errorf("%s can't be pulled", ref)
		}
	}
}

// unremovable makes removals of keys with the word fail.
func unremovable(word string) fixtures.Rule {
	return func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpRemove && strings.Contains(key, word) {
			return fixtures.Fail
		}
		return fixtures.Right
	}
}

// given are stores with a tag that is removed on request, and the images that only it keeps.
var given = map[finding.Kind]func(b *fixtures.Builder) []fixtures.Manifest{
	finding.SignatureOrphaned: func(b *fixtures.Builder) []fixtures.Manifest {
		subject := b.Image("a", "v1", fixtures.Image{})
		signature := b.Cosign(subject, "sig")
		b.DeleteManifest(subject)
		return []fixtures.Manifest{signature}
	},
	finding.TagWithoutCurrent: func(b *fixtures.Builder) []fixtures.Manifest {
		first := b.Image("a", "v1", fixtures.Image{Layers: []int{20}})
		second := b.Image("a", "v1", fixtures.Image{Layers: []int{30}})
		b.Erase(layout.CurrentKey("a", "v1"))
		return []fixtures.Manifest{first, second}
	},
}

// TestTagsThatCanNotBeRemovedWhileBlobsCan: a tag that the store can't remove keeps all that
// it needs, in later runs too; the rest is removed.
func TestTagsThatCanNotBeRemovedWhileBlobsCan(t *testing.T) {
	for id, build := range given {
		policy := gc.Policy{Untagged: true}
		policy.Also[id] = true
		for _, word := range []string{"/_manifests/tags/", "/index/", "/current/"} {
			if word == "/current/" && id == finding.TagWithoutCurrent {
				continue
			}
			t.Run(id.String()+", "+word, func(t *testing.T) {
				b := fixtures.New(1)
				kept := build(b)
				b.Image("a", "v2", fixtures.Image{})
				spare := waste(b)
				m, state := b.Memory(), t.TempDir()
				was := dump(m)
				for range 2 {
					f := fixtures.NewFaultyStore(m.Store(), unremovable(word))
					out, err := fix(f, state, policy)
					if err != nil || out.Steps.Failed == 0 {
						t.Fatalf("nothing failed: %v, %+v", err, out)
					}
					is := dump(m)
					if _, ok := is[spare]; ok {
						t.Error("what the tag doesn't reach is left")
					}
					for _, i := range kept {
						stay(t, was, is, parts(i)...)
					}
					if word != "/current/" { // otherwise its history could be removed
						stillPulls(t, was, is)
					}
				}
				fixAll(t, m, state, policy)
				goneNow(t, dump(m), kept)
			})
		}
	}
}

// goneNow fails if something of the images exists.
func goneNow(t *testing.T, is map[string]string, images []fixtures.Manifest) {
	t.Helper()
	for _, m := range images {
		for _, key := range parts(m) {
			if _, ok := is[key]; ok {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// only returns the policy of --only.
func only(ids ...finding.Kind) (p gc.Policy) {
	for id := range finding.Kinds {
		p.Skip[id] = true
	}
	for _, id := range ids {
		p.Skip[id] = false
	}
	return p
}

// TestOnlyBlobOrphanWithUntaggedManifestsLeftIn: findings that are skipped keep what they
// need.
func TestOnlyBlobOrphanWithUntaggedManifestsLeftIn(t *testing.T) {
	for asked, base := range plain() {
		t.Run(asked, func(t *testing.T) {
			b, untagged, upload := leftovers()
			loose := b.Push("b", fixtures.OCILayer, []byte("linked, and of no manifest"))
			spare := waste(b)
			m := b.Memory()
			was := dump(m)
			policy := only(finding.BlobOrphan)
			policy.Untagged = base.Untagged
			mustFix(t, m.Store(), t.TempDir(), policy)
			is := dump(m)
			onlyGone(t, was, is, spare)
			stay(t, was, is, parts(untagged)...)
			stay(t, was, is, upload+"/data", loose.Key(), layout.LayerKey("b", loose.Digest))
			stillPulls(t, was, is)
		})
	}
}

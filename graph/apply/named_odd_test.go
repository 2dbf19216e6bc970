package apply

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// undone undoes a run, and wants nothing to fail; what came since may be left.
func undone(t *testing.T, m *fixtures.Memory, state, id string) *Outcome {
	t.Helper()
	out, err := Undo(context.Background(), m.Store(), state, id)
	if err != nil || out.Total().Failed > 0 {
		t.Fatalf("undo: %v, %+v", err, out)
	}
	return out
}

// nothingButWaste fixes a store under every policy: an orphan goes, and all
// else stays as it is. Whatever is wrong with the tags, they can be pulled as
// before.
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

// The registry's own collector takes the entries for manifests.
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

// A cache lacks layers, links and children, and that is no damage: nothing is
// rebuilt either.
func TestAPullThroughCache(t *testing.T) {
	nothingButWaste(t, func(b *fixtures.Builder) {
		b.PullThrough("library/x", "latest")
		half := b.PullThrough("library/y", "latest")
		b.Erase(half.LayerKey(1))
		arm, amd := b.Image("library/z", "", fixtures.Image{}), b.Image("other", "v1", fixtures.Image{})
		b.Index("library/z", "latest", arm, amd)
	})
}

// sha512 pushes an image whose only layer it names by another algorithm.
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

// A registry that serves a blob by its alias wants the link of its sha256 too.
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

// sparse is an index in one repository whose child stands in another, where
// nothing keeps it any more.
func sparse() (b *fixtures.Builder, index, child fixtures.Manifest) {
	b = fixtures.New(1)
	child = b.Image("z", "v1", fixtures.Image{})
	b.Image("z", "v2", fixtures.Image{})
	index = b.Index("a", "v1", child, b.Image("a", "", fixtures.Image{}))
	b.DeleteTag("z", "v1")
	return b, index, child
}

func TestASparseIndexWhoseChildLivesElsewhere(t *testing.T) {
	b, index, child := sparse()
	spare := waste(b)
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	mustFix(t, m.Store(), state, graph.Policy{Untagged: true})
	is := dump(m)
	if _, ok := is[spare]; ok {
		t.Error("garbage is left")
	}
	stay(t, was, is, index.Key(), index.RevisionKey(), child.Key())
	for i := range child.Blobs {
		stay(t, was, is, child.Blobs[i].Key())
	}
	stillPulls(t, was, is)

	ask := graph.Policy{Untagged: true} // then it can be made whole
	ask.Also[graph.IndexChildMissing] = true
	fixAll(t, m, state, ask)
	stillPulls(t, is, dump(m))
	if !pulls(dump(m))["a:v1"] {
		t.Error("the index can't be pulled as a whole")
	}
}

// Made whole in the run that takes the links of the other repository away.
func TestASparseIndexIsMadeWholeOnRequest(t *testing.T) {
	b, _, _ := sparse()
	m := b.Memory()
	was := dump(m)
	policy := graph.Policy{Untagged: true}
	policy.Also[graph.IndexChildMissing] = true
	fixAll(t, m, t.TempDir(), policy)
	is := dump(m)
	stillPulls(t, was, is)
	if !pulls(is)["a:v1"] {
		t.Error("the index can't be pulled as a whole")
	}
}

// A link may hold more than a scan reads of it. What goes and what is rebuilt is
// the link as it was all the same, and comes back whole.
func TestALinkThatIsTooLong(t *testing.T) {
	for _, more := range []int{walker.MaxLink, maxLink, 2 * maxLink} {
		b := fixtures.New(1)
		needed := b.Image("a", "v1", fixtures.Image{}).LayerKey(1)
		spare := layout.LayerKey("a", b.Push("a", fixtures.OCILayer, []byte("loose")).Digest)
		long := func(was []byte) []byte { return append(slices.Clone(was), make([]byte, more)...) }
		b.Edit(needed, long)
		b.Edit(spare, long)
		m, state := b.Memory(), t.TempDir()
		was := dump(m)
		mustFix(t, m.Store(), state, graph.Policy{})
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

// notUndone makes an undo look as if it had been killed before its last line.
func notUndone(t *testing.T, state string) {
	t.Helper()
	runs, err := Runs(state)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(runDir(state, runs[0].ID), journalName)
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, all[:bytes.LastIndex(all, []byte(`{"undone"`))], 0o600); err != nil {
		t.Fatal(err)
	}
}

// A name that no journal can hold could not be put back: what is in the way of
// it is left, and named.
func TestANameThatIsNoUTF8(t *testing.T) {
	upload := layout.RepositoryKey("a") + "/_uploads/0e4d1aeb-4fb7-4d4a-9a1f-111111111111"
	empty := layout.RepositoryKey("gone")
	for name, c := range map[string]struct {
		odd  func(m *fixtures.Memory)
		step string // that is left and named; "" where there is none
	}{
		"a file in an upload": {func(m *fixtures.Memory) {
			m.Put(upload+"/data", []byte("d"), fixtures.Epoch)
			m.Put(upload+"/startedat", []byte("2025-01-01T00:00:00Z"), fixtures.Epoch)
			m.Put(upload+"/hashstates/sha\xff/0", []byte("1"), fixtures.Epoch)
		}, ""},
		"a folder in an upload": {func(m *fixtures.Memory) {
			m.Put(upload+"/data", []byte("d"), fixtures.Epoch)
			m.Mkdir(upload + "/hashstates/sha\xff")
		}, ""},
		"a folder in a repository": {func(m *fixtures.Memory) {
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
			out, err := fix(m.Store(), state, graph.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			if c.step != "" && !strings.Contains(reasons(out)[c.step], "no UTF-8") {
				t.Errorf("it isn't named: %+v", out.NotDone)
			}
			if d := diff(was, dump(m)); c.step == "" && d != "" { // it is foreign to an upload, which stays
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

package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

func TestDoubts(t *testing.T) {
	b := fixtures.Standard()
	if d := examine(t, b.Memory(), nil).Doubts; d.Database != "" || d.Linkless > 0 || len(d.Tagless) > 0 {
		t.Errorf("a healthy store raises %+v", d)
	}
	b.Image("z", "", fixtures.Image{})
	b.Image("harbour", "", fixtures.Image{})
	old, late := layout.Sum([]byte("old")), layout.Sum([]byte("late"))
	b.PutAt(layout.BlobKey(old), []byte("old"), b.Now().Add(-time.Hour))
	b.PutAt(layout.BlobKey(late), []byte("late"), b.Now().Add(2*time.Second))
	b.Put("docker/registry/lockfiles/database-in-use", nil)
	d := examine(t, b.Memory(), nil).Doubts
	if d.Database != layout.Locks+"/database-in-use" || d.Linkless != 1 || !slices.Equal(d.Tagless, []string{"harbour", "z"}) {
		t.Errorf("got %+v", d)
	}
}

// TestANewBlobWithALinkRaisesNoDoubt: a blob with a link or a manifest that needs it is no
// sign of a database.
func TestANewBlobWithALinkRaisesNoDoubt(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	stray := b.Push("a", "x", []byte("linked, and of no manifest"))
	for _, key := range []string{m.Key(), m.Blobs[0].Key(), m.Blobs[1].Key(), stray.Key()} {
		b.Touch(key, b.Now().Add(time.Hour))
	}
	b.Erase(m.LayerKey(0))
	if d := examine(t, b.Memory(), nil).Doubts; d.Linkless != 0 {
		t.Errorf("%d blobs are called linkless", d.Linkless)
	}
}

// tagsElsewhere pushes to so many repositories with a tag v1, and then again without a tag,
// as a registry that now keeps tags in a database.
func tagsElsewhere(b *fixtures.Builder, repositories int) (names []string) {
	for i := range repositories {
		names = append(names, fmt.Sprintf("p/r%02d", i))
		b.Image(names[i], "v1", fixtures.Image{})
	}
	for _, name := range names {
		b.Image(name, "", fixtures.Image{})
	}
	return names
}

func TestTagsThatADatabaseHolds(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(b *fixtures.Builder) []string // the repositories to report
	}{
		{"so many", func(b *fixtures.Builder) []string { return tagsElsewhere(b, few+1) }},
		{"a few", func(b *fixtures.Builder) []string { tagsElsewhere(b, few); return nil }},
		{"one tag was touched, another written by hand", func(b *fixtures.Builder) []string {
			names := tagsElsewhere(b, 8)
			b.Touch(layout.CurrentKey(names[2], "v1"), b.Now().Add(time.Hour))
			b.Tag(names[5], "back", b.Tagged(names[5], "v1").Digest)
			return slices.DeleteFunc(names, func(name string) bool { return name == "p/r02" || name == "p/r05" })
		}},
		{"over many that nobody pushed to since", func(b *fixtures.Builder) []string {
			for i := range 40 {
				b.Image(fmt.Sprintf("old%02d", i), "v1", fixtures.Image{})
			}
			return tagsElsewhere(b, 12)
		}},
		{"builds whose tag moved on", func(b *fixtures.Builder) []string {
			for range 3 {
				for i := range 20 {
					b.Image(fmt.Sprintf("ci%02d", i), "latest", fixtures.Image{})
				}
			}
			return nil
		}},
		{"newest tags that were deleted, in a store that goes on by tags", func(b *fixtures.Builder) []string {
			for i := range 40 {
				name := fmt.Sprintf("ci%02d", i)
				b.Image(name, "v1", fixtures.Image{})
				b.Image(name, "branch", fixtures.Image{})
				if i%2 == 0 {
					b.DeleteTag(name, "branch")
				}
			}
			return nil
		}},
		{"what was pushed last refers to what has a tag", func(b *fixtures.Builder) []string {
			for i := range 12 {
				b.Referrer(b.Image(fmt.Sprintf("signed%02d", i), "v1", fixtures.Image{}), "x/sig")
			}
			return nil
		}},
	} {
		b := fixtures.New(1)
		want := c.build(b)
		for _, p := range []func(*Options){nil, func(o *Options) { o.Untagged = true }} {
			if got := examine(t, b.Memory(), p).Doubts.Overtaken; !slices.Equal(got, want) {
				t.Errorf("%s: told are %q, want %q", c.name, got, want)
			}
		}
	}
}

// unlinked adds n blobs without links.
func unlinked(b *fixtures.Builder, n int) {
	for i := range n {
		body := fmt.Appendf(nil, "lone %d", i)
		b.Put(layout.BlobKey(layout.Sum(body)), body)
	}
}

// TestLinksThatADatabaseHolds: this is judged by the last pushes, not by the newest link,
// which may have been touched.
func TestLinksThatADatabaseHolds(t *testing.T) {
	images := func(b *fixtures.Builder, n int) (all []fixtures.Manifest) {
		for i := range n {
			all = append(all, b.Image("app", fmt.Sprintf("v%d", i), fixtures.Image{}))
		}
		return all
	}
	for _, c := range []struct {
		name  string
		build func(b *fixtures.Builder)
		want  int
	}{
		{"since some day", func(b *fixtures.Builder) { images(b, 3); unlinked(b, 600) }, 600},
		{"one link was touched", func(b *fixtures.Builder) {
			m := images(b, 3)
			unlinked(b, 600)
			b.Touch(m[0].LayerKey(0), b.Now().Add(time.Hour))
		}, 600},
		{"all old links were touched", func(b *fixtures.Builder) {
			images(b, 3)
			keys := b.Keys()
			unlinked(b, 600)
			for _, key := range keys {
				if strings.HasPrefix(key, layout.Repositories) {
					b.Touch(key, b.Now().Add(time.Hour))
				}
			}
		}, 600},
		{"three links were rebuilt, with the time of that", func(b *fixtures.Builder) {
			m := images(b, 3)
			unlinked(b, 600)
			for i := range m {
				b.Mount("app", m[i].Digest)
			}
		}, 600},
		{"a blob was touched, and its links", func(b *fixtures.Builder) {
			m := images(b, 3)
			unlinked(b, 600)
			for _, key := range []string{m[0].Key(), m[0].RevisionKey(), layout.CurrentKey("app", "v0")} {
				b.Touch(key, b.Now().Add(time.Hour))
			}
		}, 600},
		{"all files carry one date", func(b *fixtures.Builder) {
			images(b, 3)
			unlinked(b, 600)
			for _, key := range b.Keys() {
				b.Touch(key, fixtures.Epoch)
			}
		}, 600},
		{"one date, and a third is garbage", func(b *fixtures.Builder) {
			images(b, 6)
			unlinked(b, 12)
			for _, key := range b.Keys() {
				b.Touch(key, fixtures.Epoch)
			}
		}, 0},
		{"a push that crashed", func(b *fixtures.Builder) { images(b, 3); unlinked(b, 4) }, 4},
		{"pushes went on since", func(b *fixtures.Builder) { unlinked(b, 600); images(b, 1) }, 0},
		{"manifests were deleted through the API", func(b *fixtures.Builder) {
			for _, m := range images(b, 30) {
				b.DeleteManifest(m)
			}
		}, 1}, // of the last of them: its layers' links are older
		{"repositories were removed by hand", func(b *fixtures.Builder) {
			for i := range 20 {
				b.Image(fmt.Sprintf("old%d", i), "v1", fixtures.Image{})
				b.Image("app", fmt.Sprintf("v%d", i), fixtures.Image{})
				b.RemoveAll(layout.RepositoryKey(fmt.Sprintf("old%d", i)))
			}
		}, 0},
	} {
		b := fixtures.New(1)
		c.build(b)
		if got := examine(t, b.Memory(), nil).Doubts.Linkless; got != c.want {
			t.Errorf("%s: %d blobs, want %d", c.name, got, c.want)
		}
	}
}

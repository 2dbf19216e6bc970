package apply

import (
	"context"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
)

// A client that pushes an image skips the upload of a layer whose link is there,
// whoever wrote that: an undo leaves what such a push relies on, and takes back
// all else that the run wrote.
func TestAnUndoLeavesWhatAPushSinceReliesOn(t *testing.T) {
	for name, c := range map[string]struct {
		push func(b *fixtures.Builder, old fixtures.Manifest) // at a later time
		want []int                                            // whose layer links stay, by their places in the old image
	}{
		"nothing":            {func(*fixtures.Builder, fixtures.Manifest) {}, nil},
		"an image":           {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a", "new", shared(old, 1)) }, []int{1}},
		"an untagged image":  {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a", "", shared(old, 1, 2)) }, []int{1, 2}},
		"a tag of the image": {func(b *fixtures.Builder, old fixtures.Manifest) { b.Tag("a", "again", old.Digest) }, []int{1, 2}},
		"elsewhere":          {func(b *fixtures.Builder, old fixtures.Manifest) { b.Image("a/b", "new", shared(old, 1)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := fixtures.New(1)
			old := b.Image("a", "v1", fixtures.Image{Layers: []int{20, 30}})
			m, state := b.Memory(), t.TempDir()
			for _, at := range []int{1, 2} {
				m.Delete(old.LayerKey(at))
			}
			mustFix(t, m.Store(), state, graph.Policy{})
			b.SetClock(now.Add(time.Hour))
			c.push(b, old)
			for _, key := range b.Keys() {
				if _, err := m.Stat(context.Background(), key); err != nil {
					if f, ok := b.File(key); ok {
						m.Put(key, f.Body, f.Modified)
					}
				}
			}
			is := needs(dump(m))
			out, err := Undo(context.Background(), m.Store(), state, "")
			if err != nil {
				t.Fatal(err)
			}
			after := dump(m)
			if len(out.NotDone) != len(c.want) {
				t.Errorf("%d are left: %+v", len(c.want), out.NotDone)
			}
			for _, l := range out.NotDone {
				if l.Reason != errNeeded.Error() || l.Failed {
					t.Errorf("%s: %s", l.Step.Key, l.Reason)
				}
			}
			for _, at := range []int{1, 2} {
				key, stays := old.LayerKey(at), false
				for _, w := range c.want {
					stays = stays || w == at
				}
				if _, there := after[key]; there != stays {
					t.Errorf("%s is there: %v, want %v", key, there, stays)
				}
				delete(is, key)
			}
			for key := range is {
				if _, there := after[key]; !there {
					t.Errorf("%s is gone", key)
				}
			}
		})
	}
}

// Nothing of a repository is taken back while it can't be read what was pushed
// there: the undo isn't over then.
func TestAnUndoThatCannotReadPushesIsNotOver(t *testing.T) {
	b := fixtures.New(1)
	old := b.Image("a", "v1", fixtures.Image{})
	m, state := b.Memory(), t.TempDir()
	m.Delete(old.LayerKey(1))
	was := dump(m)
	mustFix(t, m.Store(), state, graph.Policy{})
	is := dump(m)
	blind := fixtures.NewFaultyStore(m.Store(), func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		if op == fixtures.OpItem && key == old.RevisionKey() {
			return fixtures.Fail
		}
		return fixtures.Right
	})
	out, err := Undo(context.Background(), blind, state, "")
	if err != nil || out.Total().Failed != 1 || diff(is, dump(m)) != "" {
		t.Errorf("%v, %+v\n%s", err, out, diff(is, dump(m)))
	}
	out, err = Undo(context.Background(), m.Store(), state, "")
	if err != nil || len(out.NotDone) > 0 || diff(was, dump(m)) != "" {
		t.Errorf("%v, %+v\n%s", err, out, diff(was, dump(m)))
	}
}

// shared is an image of some of another one's blobs.
func shared(old fixtures.Manifest, at ...int) fixtures.Image {
	image := fixtures.Image{Layers: []int{}}
	for _, i := range at {
		image.Shared = append(image.Shared, old.Blobs[i])
	}
	return image
}

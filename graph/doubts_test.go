package graph

import (
	"slices"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/walker/layout"
)

func TestDoubts(t *testing.T) {
	b := fixtures.Standard()
	if d := examine(t, memory(b), nil).Doubts; d.Database || d.Linkless > 0 || len(d.Tagless) > 0 {
		t.Errorf("a healthy store raises %+v", d)
	}
	b.Image("z", "", fixtures.Image{})
	b.Image("harbour", "", fixtures.Image{})
	old, late := layout.Sum([]byte("old")), layout.Sum([]byte("late"))
	b.PutAt(layout.BlobKey(old), []byte("old"), b.Now().Add(-time.Hour))
	b.PutAt(layout.BlobKey(late), []byte("late"), b.Now().Add(2*time.Second))
	b.Put("docker/registry/lockfiles/database-in-use", nil)
	d := examine(t, memory(b), nil).Doubts
	if !d.Database || d.Linkless != 1 || !slices.Equal(d.Tagless, []string{"harbour", "z"}) {
		t.Errorf("got %+v", d)
	}
}

// A blob that a link names, or that a manifest needs, is no sign of a database.
func TestANewBlobWithALinkRaisesNoDoubt(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	stray := b.Push("a", "x", []byte("linked, and of no manifest"))
	for _, key := range []string{m.Key(), m.Blobs[0].Key(), m.Blobs[1].Key(), stray.Key()} {
		b.Touch(key, b.Now().Add(time.Hour))
	}
	b.Erase(m.LayerKey(0))
	if d := examine(t, memory(b), nil).Doubts; d.Linkless != 0 {
		t.Errorf("%d blobs are called linkless", d.Linkless)
	}
}

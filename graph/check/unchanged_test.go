package check

import (
	"context"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// TestSame: what counts as a change of references to blobs, and what doesn't.
func TestSame(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	other := b.Image("a", "v2", fixtures.Image{})
	layer := layout.LayerKey("a", m.Blobs[0].Digest)
	file, _ := b.File(layer)
	late := b.Now().Add(time.Minute)
	for name, c := range map[string]struct {
		change func(*fixtures.Memory)
		same   bool
	}{
		"nothing":            {func(*fixtures.Memory) {}, true},
		"a blob":             {func(m *fixtures.Memory) { m.Put(layout.BlobKey(layout.Sum([]byte("x"))), []byte("x"), late) }, true},
		"a link written":     {func(m *fixtures.Memory) { m.Put(layer, file.Body, late) }, false},
		"a link gone":        {func(m *fixtures.Memory) { m.Delete(layer) }, false},
		"a new link":         {func(m *fixtures.Memory) { m.Put(layout.LayerKey("b", other.Digest), file.Body, file.Modified) }, false},
		"another size":       {func(m *fixtures.Memory) { m.Put(layer, append(file.Body, 10), file.Modified) }, false},
		"one that is broken": {func(m *fixtures.Memory) { m.Put(layer, nil, file.Modified) }, false},
		"a tag moved": {func(m *fixtures.Memory) {
			current, _ := b.File(layout.CurrentKey("a", "v1"))
			m.Put(layout.CurrentKey("a", "v1"), []byte(other.Digest.String()), current.Modified)
		}, false},
		"a foreign file": {func(m *fixtures.Memory) { m.Put(layout.Repositories+"/a/x", nil, late) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := b.Memory()
			r, _, err := Store(context.Background(), store, Options{Options: graph.Options{Now: late, Fingerprint: true}})
			if err != nil {
				t.Fatal(err)
			}
			c.change(store)
			if same, err := r.Scan.Unchanged(context.Background(), store); err != nil || same != c.same {
				t.Errorf("same: %v, %v", same, err)
			}
		})
	}
}

// TestNothingIsUnchangedAfterASurprise: after a blob that the listing lacked was read,
// Unchanged is false.
func TestNothingIsUnchangedAfterASurprise(t *testing.T) {
	b := fixtures.New(1)
	m := b.Image("a", "v1", fixtures.Image{})
	store := b.Memory()
	blob, _ := b.File(m.Blobs[0].Key())
	store.Delete(m.Blobs[0].Key())
	back := func() { store.Put(m.Blobs[0].Key(), blob.Body, blob.Modified) }
	r := moving{Reader: store, before: map[string]func(){layout.Repositories: back}}
	scan, err := graph.Read(context.Background(), r, graph.Options{Now: b.Now(), Fingerprint: true})
	if err != nil {
		t.Fatal(err)
	}
	if same, err := scan.Unchanged(context.Background(), store); err != nil || same {
		t.Errorf("same: %v, %v", same, err)
	}
}

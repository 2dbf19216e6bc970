package check

import (
	"context"
	"path"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// marked is a store with directory markers, as in a bucket.
type marked struct {
	backend.Reader
	directories map[string]time.Time // by the marker's key
}

func (m marked) List(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	for key, at := range m.directories {
		if prefix != layout.Repositories {
			break
		}
		if err := each(backend.Batch{Dir: path.Dir(key), Items: []backend.Item{{Name: path.Base(key) + "/", Marker: true, Modified: at.UnixNano()}}}); err != nil {
			return err
		}
	}
	return m.Reader.List(ctx, prefix, expect, each)
}

// TestMarkers: markers that alone list a repository or tag are found; a marker makes neither.
func TestMarkers(t *testing.T) {
	b := fixtures.Standard()
	healthy := examine(t, b.Memory(), nil).Totals
	repository := layout.RepositoryKey
	old := fixtures.Epoch
	fresh := fixtures.Epoch.AddDate(1, 0, 0).Add(-time.Minute)
	m := marked{b.Memory(), map[string]time.Time{
		repository("ghost") + "/_layers":                 old,
		repository("ghost") + "/_layers/sha256":          old,
		repository("other/ghost") + "/_manifests":        old,
		repository("app") + "/_manifests/tags/gone":      old,
		repository("young") + "/_layers":                 fresh,
		repository("Odd") + "/_layers":                   old,
		repository("app"):                                old,
		repository("app") + "/_layers":                   old,
		repository("app") + "/_manifests/tags/1.0":       old,
		repository("nothing"):                            old, // not listed by the catalog
		repository("uploads") + "/_uploads":              old,
		layout.Repositories:                              old,
		layout.Blobs:                                     old,
		repository("app") + "/_manifests/tags/1.0/index": old,
	}}
	r := examine(t, m, nil)
	expect(t, r,
		"catalog-marker "+repository("ghost")+"/_layers remove",
		"catalog-marker "+repository("ghost")+"/_layers/sha256 remove",
		"catalog-marker "+repository("other/ghost")+"/_manifests remove",
		"catalog-marker "+repository("app")+"/_manifests/tags/gone remove",
		"catalog-marker "+repository("young")+"/_layers remove",
		"catalog-marker "+repository("Odd")+"/_layers none",
	)
	for f := range r.Findings {
		if f.Repository == "" || f.InGrace != (f.Repository == "young") || (f.Tag == "gone") != (f.Repository == "app") {
			t.Errorf("%+v", f)
		}
	}
	if r.Totals != healthy {
		t.Errorf("with markers %+v, without %+v", r.Totals, healthy)
	}
}

package check

import (
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// TestFutureTimesAreInGrace: a time after now is in grace, also if 32 bits of seconds or 64
// of nanoseconds can't hold it.
func TestFutureTimesAreInGrace(t *testing.T) {
	for _, year := range []int{1, 1600, 1960, 1970, 2020} {
		inGrace(t, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), fixtures.Epoch.AddDate(1, 0, 0), false)
	}
	for _, year := range []int{2105, 2106, 2107, 2261, 2262, 2263, 2400, 2446, 2555, 2600, 9999} {
		at := time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)
		inGrace(t, at, fixtures.Epoch.AddDate(1, 0, 0), true)
		if year > 2200 {
			inGrace(t, at, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), true)
		}
	}
}

func inGrace(t *testing.T, at, now time.Time, want bool) {
	t.Helper()
	b := fixtures.New(1)
	m := b.Image("a", "", fixtures.Image{})
	orphan := b.Push("a", "x/y", []byte("nothing needs it"))
	b.Erase(layout.LayerKey("a", orphan.Digest))
	b.Touch(orphan.Key(), at)
	b.Touch(m.RevisionKey(), at)
	upload := b.Upload("a", 10)
	for _, key := range b.Keys() {
		if layout.ParseDirectory(key).Upload == upload {
			b.Touch(key, at)
		}
	}
	r := examine(t, b.Memory(), func(o *Options) { o.Now, o.Untagged = now, true })
	for _, id := range []finding.Kind{finding.BlobOrphan, finding.ManifestUntagged} {
		if got := r.Counts[id].Count == 0; got != want {
			t.Errorf("%v in %v, %v: in grace %v, want %v", at.Year(), now.Year(), id, got, want)
		}
	}
}

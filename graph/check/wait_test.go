package check

import (
	"context"
	"errors"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// truncated returns a store with a current link that was truncated so long before the check,
// and its key.
func truncated(before time.Duration) (*fixtures.Builder, string) {
	b := fixtures.Standard()
	key := layout.CurrentKey("base", "stable")
	b.Edit(key, empty)
	b.Touch(key, fixtures.Epoch.AddDate(1, 0, 0).Add(-before))
	return b, key
}

// TestConcurrentChangesAreAwaited: a link that was just truncated is waited for once, and
// then judged; older ones aren't waited for.
func TestConcurrentChangesAreAwaited(t *testing.T) {
	now := fixtures.Epoch.AddDate(1, 0, 0)
	for before, waits := range map[time.Duration]int{20 * time.Second: 1, 2 * time.Minute: 0} {
		b, key := truncated(before)
		var waited []graph.ConcurrentChange
		r := examine(t, b.Memory(), func(o *Options) {
			o.Wait = func(_ context.Context, m graph.ConcurrentChange) error {
				waited = append(waited, m)
				return nil
			}
		})
		if len(waited) != waits || waits > 0 && waited[0] != (graph.ConcurrentChange{Keys: 1, Key: key, Until: time.Unix(0, now.Add(time.Minute-before).UnixNano())}) {
			t.Errorf("%v before: waited for %+v", before, waited)
		}
		expect(t, r, "link-invalid "+key+" rebuild")
		if r.Totals.TagsBroken != 1 || r.Totals.TagsUnknown != 0 {
			t.Errorf("%v before: %+v", before, r.Totals)
		}
	}
}

// TestWritesDuringTheWait: a link that is written during the wait is no damage.
func TestWritesDuringTheWait(t *testing.T) {
	b, _ := truncated(20 * time.Second)
	m := b.Memory()
	r := examine(t, m, func(o *Options) {
		o.Wait = func(context.Context, graph.ConcurrentChange) error {
			renew(m, fixtures.Standard())
			return nil
		}
	})
	for f := range r.Findings {
		if f.Kind != finding.StoreChanged {
			t.Errorf("%v %s", f.Kind, f.Path)
		}
	}
	if r.Totals.TagsBroken+r.Totals.TagsUnknown > 0 {
		t.Errorf("%+v", r.Totals)
	}
}

// TestRepeatedChanges: a store that changes all the time is waited for once, at most a
// minute; what changes is unknown.
func TestRepeatedChanges(t *testing.T) {
	now := fixtures.Epoch.AddDate(1, 0, 0)
	for name, ahead := range map[string]time.Duration{"written again": 50 * time.Second, "from the future": 300 * 24 * time.Hour} {
		b, key := truncated(-ahead)
		m, waits := b.Memory(), 0
		r := examine(t, m, func(o *Options) {
			o.Wait = func(_ context.Context, motion graph.ConcurrentChange) error {
				waits++
				if rest := motion.Until.Sub(now); rest > 24*time.Hour {
					t.Errorf("%s: waits for %v", name, rest)
				}
				m.Touch(key, motion.Until.Add(ahead))
				return nil
			}
		})
		if waits != 1 || r.Totals.TagsUnknown != 1 || r.Totals.TagsBroken != 0 || r.Counts[finding.StoreChanged].Count != 1 {
			t.Errorf("%s: waited %d times, %+v", name, waits, r.Totals)
		}
	}
	b, _ := truncated(20 * time.Second)
	stop := errors.New("stop")
	_, _, err := Store(context.Background(), b.Memory(), Options{Options: graph.Options{Now: now, Wait: func(context.Context, graph.ConcurrentChange) error { return stop }}})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

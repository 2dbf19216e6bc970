package main

import (
	"time"

	"regfsck/graph"
	"regfsck/graph/retain"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// date fills in when images were created, where rules go by that, or where it has
// to be known whether the store is a copy.
func (k *keeping) date(scan *graph.Scan, all []*ruled, whole bool) error {
	var digests []string
	var of []*retain.Tag
	for _, r := range all {
		if r.rules.By != retain.Created && !whole && !suspicious([]*ruled{r}, scan.Now) {
			continue
		}
		for i := range r.tags {
			if config := r.names[i].Config; config != (layout.Digest{}) {
				digests, of = append(digests, config.String()), append(of, &r.tags[i])
			}
		}
	}
	configs, err := scan.Configs(k.ctx, digests)
	if err != nil {
		return err
	}
	for i, c := range configs {
		if c.State == walker.ManifestGood {
			of[i].Created = retain.Nanoseconds(c.Created)
		}
	}
	return nil
}

// A copy is told by more tags than few, pushed within a hundredth of the time that
// their images were made in; and none was made before oldest.
const few = 50

var oldest = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

// suspicious reports whether the pushed times alone don't show that this is no copy.
func suspicious(all []*ruled, now time.Time) bool {
	n, first, last := 0, time.Time{}, time.Time{}
	for _, r := range all {
		for _, t := range r.names {
			if t.Pushed.Before(oldest) || t.Pushed.After(now) {
				continue
			}
			if n++; n == 1 || t.Pushed.Before(first) {
				first = t.Pushed
			}
			if n == 1 || t.Pushed.After(last) {
				last = t.Pushed
			}
		}
	}
	return n > few && last.Sub(first) <= now.Sub(oldest)/100
}

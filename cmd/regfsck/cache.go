package main

import (
	"context"
	"fmt"
	"path/filepath"

	"regfsck/backend"
	"regfsck/cmd/regfsck/location"
	"regfsck/graph/check"
	"regfsck/report"
	"regfsck/walker/cache"
)

// maxKnown is how many bytes of manifests are kept from one run to the next.
const maxKnown = 256 << 20

// read checks the store with the manifests that were read before, does then, and
// keeps what both read.
func (s *session) read(ctx context.Context, r *report.Check, t location.Location, store backend.Reader, o check.Options, then later) (err error) {
	var note string
	o.Known, note = s.known(t)
	r.Result, r.Phases, err = s.check(ctx, store, o)
	if err == nil && then != nil && !r.Result.Stopped() { // who interrupts a check wants its answer
		err = then(ctx, r.Result)
	}
	if o.Known != nil {
		r.ManifestsCached = o.Known.Taken()
		if broke := o.Known.Close(); broke != nil {
			note = unkept(broke)
		}
	}
	if note != "" && r.Result != nil {
		r.Result.Notes = append(r.Result.Notes, note)
	}
	return err
}

// known opens the cache of the manifests that were read before; nil where there
// is to be none. That there can't be one is no more than a note.
func (s *session) known(t location.Location) (c *cache.Cache, note string) {
	if !t.Traits().RequestsCost || s.noCache {
		return nil, ""
	}
	dir, err := s.caches()
	if err == nil {
		c, err = cache.Open(filepath.Join(dir, "regfsck", "manifests"), maxKnown, s.now())
	}
	if err != nil {
		return nil, unkept(err)
	}
	return c, ""
}

// unkept says why the next run will have to fetch again what this one has.
func unkept(err error) string {
	return fmt.Sprintf("Manifests can't be kept for the next run: %v. Nothing else depends on that (--no-cache keeps none).", err)
}

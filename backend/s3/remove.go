package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
)

var (
	errNotKept   = errors.New("was deleted, and the bucket kept no version of it: its versioning isn't on any more")
	errNoFolders = fmt.Errorf("a bucket has no folders: %w", fs.ErrNotExist)
)

// removal is one call of Remove.
type removal struct {
	*Store
	ctx      context.Context
	run      backend.Run
	receipts []backend.Receipt
	files    []int // the receipts of keys that may be removed
}

// Remove is backend.Store's. A key is looked at first, since a bucket counts
// what isn't there as deleted. There are no folders: a key that ends in a slash is
// a marker where a listing has told of one, and else isn't there. A run
// that keeps leaves delete markers, and is refused where they would keep nothing.
// One that doesn't frees the space also where the bucket keeps versions, which
// needs s3:ListBucketVersions and s3:DeleteObjectVersion; with Stay it takes back
// a Put alone, and what that was written over stands again. Once the store is
// locked, nothing is removed after the lease was lost.
func (s *Store) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	r := removal{Store: s, ctx: ctx, run: run, receipts: make([]backend.Receipt, len(keys))}
	r.sift(keys)
	if len(r.files) == 0 {
		return r.receipts
	}
	status, err := s.status(ctx, true)
	switch {
	case run.Keep && err == nil && status != types.BucketVersioningStatusEnabled:
		r.fail(s.noVersions(status))
	case run.Keep && err != nil:
		r.fail(err)
	case ctx.Err() != nil:
		r.fail(ctx.Err())
	case err == nil && status != "" && !run.Keep:
		r.forGood()
	default: // where nobody may know whether there are versions, their markers will tell
		r.plainly()
	}
	return r.receipts
}

// sift puts aside what can't be removed whatever there is.
func (r *removal) sift(keys []string) {
	seen := map[string]bool{}
	for i, key := range keys {
		r.receipts[i].Key = key
		err := r.guard(r.ctx, "remove", r.run, key)
		switch {
		case err != nil:
		case seen[key]:
			err = &fs.PathError{Op: "remove", Path: key, Err: fs.ErrNotExist}
		case strings.HasSuffix(key, "/"):
			if err = r.alone(r.ctx, key); err == nil {
				seen[key] = true
				r.files = append(r.files, i)
			}
		default:
			seen[key] = true
			r.files = append(r.files, i)
		}
		r.receipts[i].Err = err
	}
}

func (r *removal) fail(err error) {
	for _, i := range r.files {
		r.receipts[i].Err = cmp.Or(r.ctx.Err(), error(&fs.PathError{Op: "remove", Path: r.receipts[i].Key, Err: err}))
	}
}

func (r *removal) keys() []string {
	keys := make([]string, len(r.files))
	for n, i := range r.files {
		keys[n] = r.receipts[i].Key
	}
	return keys
}

// plainly deletes keys. Where that leaves a marker, nothing is freed.
func (r *removal) plainly() {
	items, errs := r.statsOf(r.ctx, r.keys())
	var targets []target
	var at, size = []int{}, []int64{}
	for n, i := range r.files {
		if r.receipts[i].Err = renamed("remove", errs[n]); errs[n] == nil {
			targets, at, size = append(targets, target{key: r.receipts[i].Key}), append(at, i), append(size, items[n].Size)
		}
	}
	verdicts := r.delete(r.ctx, targets)
	if r.run.Keep {
		r.findUntold(targets, verdicts)
	}
	for n, v := range verdicts {
		receipt := &r.receipts[at[n]]
		switch {
		case v.err != nil:
			receipt.Err = v.err
		case r.run.Keep && v.marker == "" && strings.HasSuffix(receipt.Key, "/"):
			receipt.Undo = remake
		case r.run.Keep && (v.marker == "" || v.marker == nullVersion):
			receipt.Err = &fs.PathError{Op: "remove", Path: receipt.Key, Err: errNotKept}
		case r.run.Keep:
			receipt.Undo, receipt.Kept = token{true, r.run.ID, v.marker}.String(), size[n]
		case v.marker == "":
			receipt.Freed = size[n]
		}
	}
}

// findUntold fills in the markers of which the server told nothing.
func (r *removal) findUntold(targets []target, verdicts []verdict) {
	var keys []string
	var at []int
	for i, v := range verdicts {
		if v.err == nil && v.marker == "" && !strings.HasSuffix(targets[i].key, "/") {
			keys, at = append(keys, targets[i].key), append(at, i)
		}
	}
	for n, marker := range r.findMarkers(r.ctx, keys) {
		verdicts[at[n]].marker = marker
	}
}

// forGood deletes versions. The newest goes last, so that none of the others
// ever stands in its place.
func (r *removal) forGood() {
	all, errs := r.histories(r.ctx, r.keys())
	var d deletion
	for n, i := range r.files {
		receipt := &r.receipts[i]
		h := all[n].life(0)
		switch {
		case errs[n] != nil:
			receipt.Err = cmp.Or(r.ctx.Err(), error(&fs.PathError{Op: "remove", Path: receipt.Key, Err: errs[n]}))
			continue
		case len(h) == 0:
			receipt.Err = &fs.PathError{Op: "remove", Path: receipt.Key, Err: fs.ErrNotExist}
			continue
		case r.run.Stay:
			h = h[:h.same()]
		}
		receipt.Freed = h.bytes()
		d.add(i, receipt.Key, h[1:], h[:1])
	}
	for i, err := range d.run(r.ctx, r.Store) {
		r.receipts[i].Freed, r.receipts[i].Err = 0, err
	}
}

// renamed returns an error of a look as one of another operation.
func renamed(op string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: op, Path: pe.Path, Err: pe.Err}
	}
	return err
}

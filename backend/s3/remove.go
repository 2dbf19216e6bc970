package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/lister"
)

var (
	errNotKept = errors.New("was deleted, and the bucket kept no version of it: its versioning isn't on any more")
	errNoDirs  = fmt.Errorf("a bucket has no directories: %w", fs.ErrNotExist)
)

// removal is one call of Remove.
type removal struct {
	*Store
	ctx      context.Context
	run      backend.Run
	receipts []backend.Receipt
	files    []int // indexes of the receipts of keys that may be removed
}

// Remove implements backend.Store. It first looks for each key, because a bucket reports a
// missing one as deleted. There are no directories: a key that ends in a slash is the marker
// that a listing returned, or doesn't exist. A run with Keep leaves delete markers, and is
// rejected if no version would be kept. A run without Keep deletes the versions of a versioned
// bucket to free their space, which needs s3:ListBucketVersions and s3:DeleteObjectVersion;
// with UndoPut it only deletes what a Put wrote, so that the version before is current again.
// Nothing is removed after the lease of a locked store is lost.
func (s *Store) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	r := removal{Store: s, ctx: ctx, run: run, receipts: make([]backend.Receipt, len(keys))}
	r.sift(keys)
	if len(r.files) == 0 {
		return r.receipts
	}
	status, err := s.settings.status(ctx, true)
	switch {
	case run.Keep && err == nil && status != types.BucketVersioningStatusEnabled:
		r.fail(s.settings.noVersions(status))
	case run.Keep && err != nil:
		r.fail(err)
	case ctx.Err() != nil:
		r.fail(ctx.Err())
	case err == nil && status != "" && !run.Keep:
		r.forGood()
	default: // if the versioning is unknown, delete markers will show it
		r.plainly()
	}
	return r.receipts
}

// sift sets the errors of keys that can't be removed.
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

// plainly deletes keys. Nothing is freed if that leaves a delete marker.
func (r *removal) plainly() {
	items, errs := r.statsOf(r.ctx, r.keys())
	var targets []target
	var at, size = []int{}, []int64{}
	for n, i := range r.files {
		if r.receipts[i].Err = renamed("remove", errs[n]); errs[n] == nil {
			targets, at, size = append(targets, target{key: r.receipts[i].Key}), append(at, i), append(size, items[n].Size)
		}
	}
	results := r.deleter.delete(r.ctx, targets)
	if r.run.Keep {
		r.findUntold(targets, results)
	}
	for n, v := range results {
		receipt := &r.receipts[at[n]]
		switch {
		case v.err != nil:
			receipt.Err = v.err
		case r.run.Keep && v.marker == "" && strings.HasSuffix(receipt.Key, "/"):
			receipt.Undo = rewrite
		case r.run.Keep && (v.marker == "" || v.marker == nullVersion):
			receipt.Err = &fs.PathError{Op: "remove", Path: receipt.Key, Err: errNotKept}
		case r.run.Keep:
			receipt.Undo, receipt.Kept = history.Token{Marker: true, Run: r.run.ID, ID: v.marker}.String(), size[n]
		case v.marker == "":
			receipt.Freed = size[n]
		}
	}
}

// findUntold looks up the delete markers that no response named: some servers respond with
// keys alone, or without the marker if a request is sent twice.
func (r *removal) findUntold(targets []target, results []result) {
	var keys []string
	var at []int
	for i, v := range results {
		if v.err == nil && v.marker == "" && !strings.HasSuffix(targets[i].key, "/") {
			keys, at = append(keys, targets[i].key), append(at, i)
		}
	}
	all, errs := r.versions.histories(r.ctx, keys)
	for n, h := range all {
		if errs[n] == nil && h.Markers(0) > 0 {
			results[at[n]].marker = h[0].ID
		}
	}
}

// forGood deletes versions. It deletes the newest last, so that no other becomes current.
func (r *removal) forGood() {
	all, errs := r.versions.histories(r.ctx, r.keys())
	var d deletion
	for n, i := range r.files {
		receipt := &r.receipts[i]
		h := all[n].Objects(0)
		switch {
		case errs[n] != nil:
			receipt.Err = cmp.Or(r.ctx.Err(), error(&fs.PathError{Op: "remove", Path: receipt.Key, Err: errs[n]}))
			continue
		case len(h) == 0:
			receipt.Err = &fs.PathError{Op: "remove", Path: receipt.Key, Err: fs.ErrNotExist}
			continue
		case r.run.UndoPut:
			h = h[:h.Repeats()]
		}
		receipt.Freed = h.Bytes()
		d.add(i, receipt.Key, h[1:], h[:1])
	}
	for i, err := range d.run(r.ctx, r.deleter) {
		r.receipts[i].Freed, r.receipts[i].Err = 0, err
	}
}

// renamed returns an error of a Stat as one of another operation.
func renamed(op string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: op, Path: pe.Path, Err: pe.Err}
	}
	return err
}

// markers are the keys of the markers that listings returned. A change looks only for these:
// other keys that end in a slash count as missing, without a request.
type markers struct {
	sync.Mutex
	keys map[string]bool
}

// maxMarkers is the maximal number of markers that are remembered; a later run removes the
// rest.
const maxMarkers = 1 << 17

func (m *markers) add(key string) {
	m.Lock()
	defer m.Unlock()
	if m.keys == nil {
		m.keys = map[string]bool{}
	}
	if len(m.keys) < maxMarkers {
		m.keys[strings.Clone(key)] = true
	}
}

func (m *markers) has(key string) bool {
	m.Lock()
	defer m.Unlock()
	return m.keys[key]
}

// alone returns why the marker of a directory can't be removed: it is unknown, or the
// directory isn't empty. nil if it can.
func (s *Store) alone(ctx context.Context, key string) error {
	if !s.markers.has(key) {
		return &fs.PathError{Op: "remove", Path: key, Err: errNoDirs}
	}
	var p lister.Page
	if err := s.page(ctx, lister.Request{Prefix: key, Max: 2}, &p); err != nil {
		return err
	}
	switch n := len(p.Objects); {
	case n == 0 || n == 1 && string(p.Objects[0].Key) != key:
		return &fs.PathError{Op: "remove", Path: key, Err: fs.ErrNotExist}
	case n > 1:
		return &fs.PathError{Op: "remove", Path: key, Err: backend.ErrNotEmpty}
	}
	return nil
}

// rewrite is the Undo of a marker of which the bucket kept no version, as versitygw does: it is
// empty, so that it can be written again.
const rewrite = "marker"

// rewrite writes a marker, unless it exists.
func (s *Store) rewrite(ctx context.Context, key string) error {
	if _, err := s.stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.While(ctx, func(ctx context.Context) error {
		_, err := s.writer.write(ctx, key, nil, nil)
		return err
	})
}

// statsOf is Stats for keys that include markers.
func (s *Store) statsOf(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	var files []string
	var at []int
	for i, key := range keys {
		if strings.HasSuffix(key, "/") {
			items[i], errs[i] = s.stat(ctx, key)
			continue
		}
		files, at = append(files, key), append(at, i)
	}
	found, failed := s.Stats(ctx, files)
	for n, i := range at {
		items[i], errs[i] = found[n], failed[n]
	}
	return items, errs
}

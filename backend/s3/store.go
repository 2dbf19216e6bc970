package s3

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
	"regfsck/backend/history"
	"regfsck/backend/lease"
	"regfsck/walker/layout"
)

// Store is a Reader of a bucket that can be changed: a backend.Store.
//
// A bucket has no directories to be removed and no place to put things aside. What a
// run removes can come back only where the bucket keeps versions: a delete then
// adds a marker above them, and what the marker hides is there until somebody
// removes it for good. So the receipt of a removal is the marker's version, and
// that of a Put is the version that was written over. Where the bucket keeps
// versions and the run is to keep nothing, a removal takes away the versions
// themselves, since a marker frees nothing: all that have stood under the key
// since it was last deleted, and none of those that an earlier delete hides.
type Store struct {
	*Reader
	*lease.Lease // keeps the store for one run
	*settings    // what the bucket keeps, as it says
	*states      // which state directories are the store's
	unlisted

	versions versions // what there is of a key besides what stands there
	writer   *writer
	deleter  *deleter

	proving sync.Mutex
	proven  bool // versions do what they promise
}

// OpenStore is Open for a store that may be changed. Nothing is written by it.
func OpenStore(ctx context.Context, o Options) (*Store, error) {
	r, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if o, err = o.complete(); err != nil {
		return nil, err
	}
	w := &writer{Reader: r, options: o, partSize: minPart}
	d := &deleter{Reader: r, pause: min(100*time.Millisecond, o.Backoff)}
	l := lease.New(leased{w, d})
	w.lease, d.lease = l, l
	return &Store{
		Reader: r, Lease: l, states: &states{writer: w}, settings: &settings{Reader: r},
		versions: versions{r}, writer: w, deleter: d,
	}, nil
}

// errOwn refuses a change of what is regfsck's.
var errOwn = errors.New("is in regfsck's own directory")

// guard tells why a key can't be changed by a run, whatever there is.
func (s *Store) guard(ctx context.Context, op string, run backend.Run, key string) error {
	path := strings.TrimSuffix(key, "/")
	if err := backend.CheckKey(op, path); err != nil {
		return err
	}
	if path == backend.Own || backend.Inside(path, backend.Own) {
		return &fs.PathError{Op: op, Path: key, Err: errOwn}
	}
	if err := run.Check(); err != nil {
		return err
	}
	return ctx.Err()
}

// Put is backend.Store's. A bucket takes an object whole or not at all, and gives
// it the time of that moment, so that modified is of no use. That nothing came
// between the look and the write is the server's to know, where it honours
// If-None-Match and If-Match. What is written over is kept as a version, or
// deleted for good where the run keeps nothing.
func (s *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return s.putAs(ctx, run, key, true, func(ctx context.Context, old *history.Version) (string, error) {
		return s.writer.write(ctx, key, body, old)
	})
}

// Copy is backend.Store's. What fits into one part is proven in memory and then put. Of
// what is larger the parts are sent as they come, and the upload is completed only once
// all bytes were there and were right; else it is aborted. What an interruption leaves is
// a multipart upload, which a check finds and a fix aborts (multipart-stale).
func (s *Store) Copy(ctx context.Context, run backend.Run, key string, c backend.Content, modified int64) backend.Receipt {
	if c.Size > maxSize {
		return backend.Receipt{Key: key, Err: &backend.ContentError{Err: fmt.Errorf("has %d bytes of it, more than an object can have", c.Size)}}
	}
	return s.putAs(ctx, run, key, c.Over, func(ctx context.Context, old *history.Version) (string, error) {
		if c.Size <= s.writer.partSize {
			body, err := io.ReadAll(c.Proven())
			if err != nil {
				return "", err
			}
			return s.writer.write(ctx, key, body, old)
		}
		return s.writer.upload(ctx, key, c, old)
	})
}

// putAs puts an object that write writes over what stood there a moment ago, which is
// nothing unless over allows it, and of which it returns the version.
func (s *Store) putAs(ctx context.Context, run backend.Run, key string, over bool, write func(ctx context.Context, old *history.Version) (string, error)) backend.Receipt {
	receipt := backend.Receipt{Key: key}
	if receipt.Err = s.guard(ctx, "write", run, key); receipt.Err != nil {
		return receipt
	}
	if strings.HasSuffix(key, "/") {
		receipt.Err = &fs.PathError{Op: "write", Path: key, Err: backend.ErrIrregular}
		return receipt
	}
	err := s.put(ctx, run, key, over, write, &receipt)
	if _, is := errors.AsType[*backend.ContentError](err); is { // its reason is about somewhere else
		receipt.Err = &fs.PathError{Op: "write", Path: key, Err: err}
	} else if err != nil {
		receipt.Err = cmp.Or(ctx.Err(), renamed("write", err))
		if _, ok := errors.AsType[*fs.PathError](err); !ok && ctx.Err() == nil {
			receipt.Err = &fs.PathError{Op: "write", Path: key, Err: err}
		}
	}
	return receipt
}

func (s *Store) put(ctx context.Context, run backend.Run, key string, over bool, write func(context.Context, *history.Version) (string, error), receipt *backend.Receipt) error {
	status, err := s.settings.status(ctx, false)
	if err != nil && run.Keep {
		return err
	}
	old, err := s.standing(ctx, run, key, status != "")
	if err == nil && old != nil && !over {
		err = fs.ErrExist
	}
	if err == nil && old != nil && run.Keep && status != types.BucketVersioningStatusEnabled {
		err = s.settings.noVersions(status)
	}
	if err != nil {
		return err
	}
	var made string
	err = s.While(ctx, func(ctx context.Context) (err error) {
		made, err = write(ctx, old)
		return err
	})
	switch {
	case err != nil:
		return err
	case old == nil:
	case old.ID == "" && made != "": // it is a version of something unknown now
	case run.Keep && (made == "" || made == nullVersion):
		return errNotKept
	case run.Keep:
		receipt.Undo, receipt.Kept = history.Token{Run: run.ID, ID: old.ID}.String(), old.Size
	case status == "" || old.ID == nullVersion && (made == nullVersion || made == ""):
		receipt.Freed = old.Size
	case made == "" || made == old.ID: // where nobody knows which version is which, none is deleted
	case s.deleter.delete(ctx, []target{{key, old.ID}})[0].err == nil:
		receipt.Freed = old.Size
	}
	return nil
}

// standing returns what stands under a key, nil for nothing.
func (s *Store) standing(ctx context.Context, run backend.Run, key string, versions bool) (*history.Version, error) {
	if !versions {
		item, err := s.Stat(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return &history.Version{ETag: item.ETag, Size: item.Size}, err
	}
	h, err := s.versions.history(ctx, key)
	if err != nil {
		return nil, err
	}
	return h.Current(run, s.settings.since(run))
}

// Abort is backend.Writer's.
func (s *Store) Abort(ctx context.Context, u backend.Upload) error {
	if err := backend.CheckKey("abort", u.Key); err != nil {
		return err
	}
	return s.While(ctx, func(ctx context.Context) error { return s.writer.abort(ctx, u) })
}

// Stats is backend.Stater's. Where many keys stand close together, pages of the
// listing tell of them, at a fraction of the requests; what isn't found so is
// looked at itself, as Stat does.
func (s *Store) Stats(ctx context.Context, keys []string) ([]backend.Item, []error) {
	items, errs := make([]backend.Item, len(keys)), make([]error, len(keys))
	found := make([]bool, len(keys))
	var sound []string
	var place []int
	for i, key := range keys {
		if errs[i] = backend.CheckKey("stat", key); errs[i] == nil {
			sound, place = append(sound, key), append(place, i)
		}
	}
	s.lister().Find(ctx, sound, func(at int, item backend.Item) { items[place[at]], found[place[at]] = item, true })
	var rest []string
	var to []int
	for i, key := range keys {
		if !found[i] && errs[i] == nil {
			rest, to = append(rest, key), append(to, i)
		}
	}
	more, failed := s.Reader.Stats(ctx, rest)
	for n, i := range to {
		items[i], errs[i] = more[n], failed[n]
	}
	return items, errs
}

// CanUndo reports whether what runs remove can be brought back: whether versioning
// is enabled, and does what it promises to an object of our own, which is
// written, deleted, seen hidden by a marker, brought back and removed for good.
// The object's key is below the root's .regfsck. It is proven once. Where the
// object could not be removed it isn't written, as far as the bucket tells, which
// is backend.ErrRetained; where it stays after all it is backend.ErrStays.
func (s *Store) CanUndo(ctx context.Context) error {
	if err := s.MayUndo(ctx); err != nil {
		return err
	}
	s.proving.Lock()
	defer s.proving.Unlock()
	if s.proven {
		return nil
	}
	if err := s.Retained(ctx); err != nil {
		return err
	}
	if err := s.prove(ctx, backend.Own+"/probe-"+rand.Text()); err != nil {
		return fmt.Errorf("the bucket %s says that it keeps versions, and a test of that failed: %w", s.bucket, err)
	}
	s.proven = true
	return nil
}

var (
	errNoVersion = errors.New("what is written gets no version")
	errNoMarker  = errors.New("a delete leaves no delete marker above the version")
	errNotBack   = errors.New("removing the delete marker doesn't bring the object back")
)

// prove does with an object what runs and their undoing do.
func (s *Store) prove(ctx context.Context, key string) (err error) {
	body := []byte("regfsck looks whether this bucket keeps versions; this may be deleted\n")
	out, err := s.client.PutObject(ctx, s.writer.object(key, body, ""))
	if err != nil {
		return s.explain(ctx, "write", key, mayPut, err)
	}
	defer func() {
		if left := s.removeProbe(context.WithoutCancel(ctx), key); left != nil {
			s.deleter.delete(context.WithoutCancel(ctx), []target{{key: key}}) // hidden, at least
			err = fmt.Errorf("%w: %w", backend.ErrStays, backend.Join(err, left))
		}
	}()
	id := aws.ToString(out.VersionId)
	if id == "" || id == nullVersion {
		return errNoVersion
	}
	gone := s.deleter.delete(ctx, []target{{key: key}})[0]
	if gone.err != nil {
		return gone.err
	}
	h, err := s.versions.history(ctx, key)
	if err != nil {
		return err
	}
	n := h.Markers(0) // a request that was sent twice leaves two
	if n == 0 || len(h) != n+1 || h[n].ID != id || h[n].Size != int64(len(body)) {
		return errNoMarker
	}
	var above []target
	for _, marker := range h[:n] {
		above = append(above, target{key, marker.ID})
	}
	for _, gone := range s.deleter.delete(ctx, above) {
		if gone.err != nil {
			return gone.err
		}
	}
	if item, err := s.Stat(ctx, key); err != nil || item.Size != int64(len(body)) {
		return backend.Join(errNotBack, err)
	}
	return nil
}

// removeProbe removes all that is left of the probe.
func (s *Store) removeProbe(ctx context.Context, key string) error {
	h, err := s.versions.history(ctx, key)
	if err != nil {
		return err
	}
	var all []target
	for _, v := range h {
		all = append(all, target{key, v.ID})
	}
	for _, gone := range s.deleter.delete(ctx, all) {
		err = backend.Join(err, gone.err)
	}
	return err
}

// Describe is backend.OpenedStore's.
func (s *Store) Describe(ctx context.Context) (d backend.Description) {
	note := func(err error) bool {
		if err != nil {
			d.Notes = append(d.Notes, err.Error())
		}
		return err == nil
	}
	d.Keeping = "Removed objects stay in the bucket as noncurrent versions behind delete markers"
	var err error
	d.Versioned, err = s.settings.Versioned(ctx)
	if note(err) && d.Versioned {
		d.Days, d.Expire, err = s.settings.Expiry(ctx)
		note(err)
		var blobs []string // in parts that are listed side by side
		for i := range 16 {
			blobs = append(blobs, fmt.Sprintf("%s/sha256/%x", layout.Blobs, i))
		}
		d.Noncurrent, d.NoncurrentBytes, err = s.versions.noncurrent(ctx, blobs)
		note(err)
	}
	d.Uploads, d.UploadBytes, err = s.unfinished(ctx)
	if !errors.Is(err, fs.ErrPermission) { // the scan has said that
		note(err)
	}
	return d
}

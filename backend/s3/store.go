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
// A bucket has no directories and no quarantine. What a run removes can only be restored if
// the bucket has versions: a delete then adds a delete marker, and the version that it hides
// exists until it is deleted permanently. The receipt of a removal is the marker's version,
// that of a Put the replaced version. If the bucket has versions and the run keeps nothing, a
// removal deletes the versions themselves, since a marker frees nothing: all that existed
// under the key since the last delete, and none that an earlier delete hides.
type Store struct {
	*Reader
	*lease.Lease // the store's lock
	*settings    // the bucket's settings
	*states      // the store's state directories
	unlisted

	versions versions // all versions of a key
	writer   *writer
	deleter  *deleter

	proving sync.Mutex
	proven  bool // CanUndo has succeeded
}

// OpenStore is Open for a store that may be changed. It writes nothing.
func OpenStore(ctx context.Context, o Options) (*Store, error) {
	r, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	w := &writer{Reader: r, partSize: minPart}
	d := &deleter{Reader: r, pause: min(100*time.Millisecond, r.options.Backoff)}
	l := lease.New(leased{w, d})
	w.lease, d.lease = l, l
	return &Store{
		Reader: r, Lease: l, states: &states{writer: w}, settings: &settings{Reader: r},
		versions: versions{r}, writer: w, deleter: d,
	}, nil
}

// errOwn rejects a change in regfsck's own directory.
var errOwn = errors.New("is in regfsck's own directory")

// guard returns why a run can't change a key, whatever exists.
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

// Put implements backend.Store. A bucket writes an object whole or not at all, with the
// current time: modified is ignored. If the server supports If-None-Match and If-Match, it
// detects a write between Put's look at the key and its own write. The replaced object is kept
// as a version, or deleted permanently if the run keeps nothing.
func (s *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return s.putAs(ctx, run, key, true, func(ctx context.Context, old *history.Version) (string, error) {
		return s.writer.write(ctx, key, body, old)
	})
}

// Copy implements backend.Store. Content that fits into one part is verified in memory and
// then put. The parts of larger content are sent while it is read, and the upload is completed
// only after all bytes were received and verified; else it is aborted. An interruption leaves
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

// putAs writes an object with write, which returns the new version. write replaces the current
// object old; unless over is set there must be none.
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
	if _, is := errors.AsType[*backend.ContentError](err); is { // its reason is about another store
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
	old, err := s.current(ctx, run, key, status != "")
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
	case old.ID == "" && made != "": // the bucket has versions now; that of old is unknown
	case run.Keep && (made == "" || made == nullVersion):
		return errNotKept
	case run.Keep:
		receipt.Undo, receipt.Kept = history.Token{Run: run.ID, ID: old.ID}.String(), old.Size
	case status == "" || old.ID == nullVersion && (made == nullVersion || made == ""):
		receipt.Freed = old.Size
	case made == "" || made == old.ID: // unknown which version is old: none is deleted
	case s.deleter.delete(ctx, []target{{key, old.ID}})[0].err == nil:
		receipt.Freed = old.Size
	}
	return nil
}

// current returns the current object; nil if there is none.
func (s *Store) current(ctx context.Context, run backend.Run, key string, versions bool) (*history.Version, error) {
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

// Abort implements backend.Writer.
func (s *Store) Abort(ctx context.Context, u backend.Upload) error {
	if err := backend.CheckKey("abort", u.Key); err != nil {
		return err
	}
	return s.While(ctx, func(ctx context.Context) error { return s.writer.abort(ctx, u) })
}

// Stats implements backend.Stater. If many keys are in the same directory, it looks for them
// in pages of a listing, with a fraction of the requests; the rest is looked up as by Stat.
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

// CanUndo implements backend.OpenedStore: it returns nil if versioning is enabled and works
// with a test object, which is written, deleted, found below a delete marker, restored and
// permanently deleted. Its key is below the root's .regfsck. One success is enough. If the
// object could not be deleted according to the bucket's settings it isn't written, and the
// error is backend.ErrRetained; if it can't be deleted afterwards it is backend.ErrTestObject.
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
		return fmt.Errorf("the bucket %s is configured to keep versions, but a test of that failed: %w", s.bucket, err)
	}
	s.proven = true
	return nil
}

var (
	errNoVersion = errors.New("what is written gets no version")
	errNoMarker  = errors.New("a delete leaves no delete marker above the version")
	errNotBack   = errors.New("removing the delete marker doesn't bring the object back")
)

// prove tests removal and restore with an object.
func (s *Store) prove(ctx context.Context, key string) (err error) {
	body := []byte("regfsck looks whether this bucket keeps versions; this may be deleted\n")
	out, err := s.client.PutObject(ctx, s.writer.object(key, body, ""))
	if err != nil {
		return s.explain(ctx, "write", key, mayPut, err)
	}
	defer func() {
		if left := s.removeProbe(context.WithoutCancel(ctx), key); left != nil {
			s.deleter.delete(context.WithoutCancel(ctx), []target{{key: key}}) // at least hide it
			err = fmt.Errorf("%w: %w", backend.ErrTestObject, backend.Join(err, left))
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
	n := h.Markers(0) // two if the request was sent twice
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

// removeProbe deletes all versions of the test object.
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

// Describe implements backend.OpenedStore.
func (s *Store) Describe(ctx context.Context) (d backend.Description) {
	note := func(err error) bool {
		if err != nil {
			d.Notes = append(d.Notes, err.Error())
		}
		return err == nil
	}
	d.Keeping = "Removed objects remain in the bucket as noncurrent versions with delete markers"
	var err error
	d.Versioned, err = s.settings.Versioned(ctx)
	if note(err) && d.Versioned {
		d.Days, d.Expire, err = s.settings.Expiry(ctx)
		note(err)
		var blobs []string // listed in parallel
		for i := range 16 {
			blobs = append(blobs, fmt.Sprintf("%s/sha256/%x", layout.Blobs, i))
		}
		d.Noncurrent, d.NoncurrentBytes, err = s.versions.noncurrent(ctx, blobs)
		note(err)
	}
	d.Uploads, d.UploadBytes, err = s.unfinished(ctx)
	if !errors.Is(err, fs.ErrPermission) { // already reported by the scan
		note(err)
	}
	return d
}

package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
	"regfsck/backend/history"
)

// restoration is one call of Restore.
type restoration struct {
	*Store
	ctx      context.Context
	run      backend.Run
	errs     []error
	keys     []string
	removals deletion                // delete markers to remove
	hidden   map[int]history.Version // the versions that they hide, by receipt
	copies   []replica
	check    []int // receipts whose key exists according to the history
}

// Restore implements backend.Store. It removes the delete markers that hide what the run
// removed: those of the receipt or, after a crash, the newest ones if they were created after
// Run.Began. A version with other versions above it is copied and gets a new time. A run can't
// distinguish its own markers from those that others created at the same time.
func (s *Store) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	r := restoration{Store: s, ctx: ctx, run: run, errs: make([]error, len(receipts)), hidden: map[int]history.Version{}}
	r.keys = make([]string, len(receipts))
	var keys []string
	var at []int
	for i, receipt := range receipts {
		r.keys[i] = receipt.Key
		switch err := s.guard(ctx, "restore", run, receipt.Key); {
		case err != nil:
			r.errs[i] = err
		case strings.HasSuffix(receipt.Key, "/") && receipt.Undo == "": // it wasn't a marker
			r.fail(i, errNoDirs)
		case receipt.Undo == rewrite:
			if err := s.rewrite(ctx, receipt.Key); err != nil {
				r.fail(i, err)
			}
		default:
			keys, at = append(keys, receipt.Key), append(at, i)
		}
	}
	if len(keys) == 0 {
		return r.errs
	}
	all, errs := s.known(ctx, keys)
	for n, i := range at {
		if errs[n] != nil {
			r.fail(i, errs[n])
			continue
		}
		r.decide(i, all[n], receipts[i])
	}
	r.carryOut()
	return r.errs
}

// known returns histories; in a bucket without versions, those with the current object.
func (s *Store) known(ctx context.Context, keys []string) ([]history.History, []error) {
	status, err := s.settings.status(ctx, true)
	if err == nil && status != "" {
		return s.versions.histories(ctx, keys)
	}
	items, errs := s.statsOf(ctx, keys)
	all := make([]history.History, len(keys))
	for i := range keys {
		switch {
		case errs[i] == nil:
			all[i] = history.History{{ID: nullVersion, ETag: items[i].ETag, Size: items[i].Size, At: items[i].Modified, Latest: true}}
		case errors.Is(errs[i], fs.ErrNotExist):
			errs[i] = err // hidden versions are unknown if the versioning is
		}
	}
	return all, errs
}

func (r *restoration) fail(i int, err error) {
	r.errs[i] = cmp.Or(r.ctx.Err(), error(&fs.PathError{Op: "restore", Path: r.keys[i], Err: backend.Cause(err)}))
}

// decide chooses how to restore a receipt.
func (r *restoration) decide(i int, h history.History, receipt backend.Receipt) {
	plan, err := h.Restoration(r.run, r.settings.since(r.run), receipt)
	switch {
	case err != nil:
		r.fail(i, err)
	case plan.Way == history.InPlace:
		r.check = append(r.check, i)
	case plan.Way == history.RemoveMarkers:
		r.removals.add(i, r.keys[i], nil, plan.Markers)
		r.hidden[i] = plan.Version
	case plan.Way == history.Copy:
		r.copies = append(r.copies, replica{i, plan})
	}
}

// replica is a version to copy, because other versions are above it.
type replica struct {
	at int
	history.Restoration
}

// carryOut restores as decided, and checks the result.
func (r *restoration) carryOut() {
	failed := r.removals.run(r.ctx, r.deleter)
	var keys []string
	var at []int
	for i := range r.hidden {
		if failed[i] != nil {
			r.fail(i, failed[i])
			continue
		}
		keys, at = append(keys, r.keys[i]), append(at, i)
	}
	items, errs := r.statsOf(r.ctx, keys)
	for n, i := range at {
		was := r.hidden[i]
		switch {
		case errs[n] != nil:
			r.fail(i, fmt.Errorf("its delete marker was removed, but it still can't be read: %w", errs[n]))
		case items[n].Size != was.Size || items[n].ETag != was.ETag:
			r.fail(i, fmt.Errorf("another file than version %s was restored", was.ID))
		}
	}
	for _, c := range r.copies {
		if err := r.copy(c); err != nil {
			r.fail(c.at, err)
		}
	}
	r.recheckRestored()
}

// copy copies a version to a new one, and deletes the old one.
func (r *restoration) copy(c replica) error {
	key := r.keys[c.at]
	in := &s3.CopyObjectInput{Bucket: &r.bucket, Key: aws.String(r.root + key), CopySource: aws.String(r.copySource(key, c.Version.ID))}
	r.writer.options.copied(in)
	err := r.While(r.ctx, func(ctx context.Context) error {
		_, err := r.client.CopyObject(ctx, in)
		if err != nil {
			err = r.explain(ctx, "restore", key, mayGetVersion, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.check = append(r.check, c.at)
	var d deletion
	d.add(c.at, key, history.History{c.Version}, c.Markers)
	return d.run(r.ctx, r.deleter)[c.at]
}

// copySource returns the header that names the source of a copy. Servers decode it like a
// form, where a plus sign is a space.
func (r *Reader) copySource(key, version string) string {
	source := strings.ReplaceAll(url.QueryEscape(r.bucket+"/"+r.root+key), "+", "%20")
	return strings.ReplaceAll(source, "%2F", "/") + "?versionId=" + url.QueryEscape(version)
}

// recheckRestored reads each key that exists according to the history or to a copy's response:
// neither proves that it can be read.
func (r *restoration) recheckRestored() {
	var keys []string
	var at []int
	for _, i := range r.check {
		if r.errs[i] == nil && !strings.HasSuffix(r.keys[i], "/") {
			keys, at = append(keys, r.keys[i]), append(at, i)
		}
	}
	_, errs := r.Reader.Stats(r.ctx, keys)
	for n, i := range at {
		switch {
		case errors.Is(errs[n], fs.ErrNotExist):
			r.fail(i, errUnseen)
		case errs[n] != nil:
			r.fail(i, fmt.Errorf("it can't be seen whether it is there: %w", errs[n]))
		}
	}
}

// errUnseen isn't fs.ErrNotExist: a later attempt may still restore the file.
var errUnseen = errors.New("the server lists it as the current version, but can't find it")

// Kept implements backend.Undoer.
func (s *Store) Kept(ctx context.Context, run backend.Run, receipts backend.Receipts) (int64, error) {
	k, err := s.kept(ctx, run, receipts)
	return k.bytes, err
}

// Purge implements backend.Undoer. It deletes the versions that the run's markers hide, then
// the markers, and the versions that the run replaced. It never deletes a current version. If
// a key fails, the others are purged; each reason is in the error once.
func (s *Store) Purge(ctx context.Context, run backend.Run, receipts backend.Receipts) (int64, error) {
	k, err := s.kept(ctx, run, receipts)
	if len(k.sizes) == 0 {
		return 0, err
	}
	freed := k.bytes
	var failures []error
	for key, failed := range k.all.run(ctx, s.deleter) {
		freed -= k.sizes[key]
		failures = append(failures, failed)
	}
	return freed, backend.Join(err, onceEach(failures))
}

// unlisted implements the listing of quarantined files for buckets: only the run's receipts
// say which versions are its own.
type unlisted struct{}

// Quarantined implements backend.Undoer.
func (unlisted) Quarantined(context.Context, backend.Run) ([]backend.Quarantined, error) {
	return nil, errors.ErrUnsupported
}

// OpenQuarantined implements backend.Undoer: Quarantined returns no keys.
func (unlisted) OpenQuarantined(_ context.Context, _ backend.Run, key string) (io.ReadCloser, error) {
	return nil, &fs.PathError{Op: "open", Path: key, Err: errors.ErrUnsupported}
}

// Earlier implements backend.Undoer with the noncurrent versions of the key, whoever replaced
// or deleted them.
func (s *Store) Earlier(ctx context.Context, key string) ([]backend.Earlier, error) {
	if err := backend.CheckKey("look at", key); err != nil {
		return nil, err
	}
	if status, err := s.settings.status(ctx, false); err != nil || status == "" {
		return nil, err
	}
	h, err := s.versions.history(ctx, key)
	if err != nil {
		return nil, err
	}
	if h.Exists() {
		h = h[1:]
	}
	var all []backend.Earlier
	for _, v := range h {
		if !v.Marker {
			all = append(all, backend.Earlier{
				Where: "version " + v.ID, Size: v.Size,
				Open: func(ctx context.Context) (io.ReadCloser, error) { return openVersion(ctx, s.Reader, key, v.ID) },
			})
		}
	}
	return all, nil
}

// openVersion returns the content of one version.
func openVersion(ctx context.Context, r *Reader, key, id string) (io.ReadCloser, error) {
	out, err := r.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String(r.root + key), VersionId: &id})
	if err != nil {
		return nil, r.explain(ctx, "read version "+id+" of", key, mayGetVersion, err)
	}
	return &body{r: r, ctx: ctx, key: key, id: &id, etag: aws.ToString(out.ETag), rest: aws.ToInt64(out.ContentLength), from: out.Body}, nil
}

// onceEach returns each reason once, with the number of its keys.
func onceEach(failures []error) (all error) {
	count, one := map[string]int{}, map[string]error{}
	for _, err := range failures {
		why := backend.Cause(err)
		count[why.Error()]++
		one[why.Error()] = err
	}
	for _, why := range slices.Sorted(maps.Keys(one)) {
		err := one[why]
		if n := count[why]; n > 1 {
			err = fmt.Errorf("%w; and so for %d more", err, n-1)
		}
		all = backend.Join(all, err)
	}
	return all
}

// keeping is what a run keeps.
type keeping struct {
	all   deletion
	sizes map[int]int64 // by owner
	bytes int64
}

// kept returns what a run keeps. It fails if any of it can't be looked up.
func (s *Store) kept(ctx context.Context, run backend.Run, of backend.Receipts) (keeping, error) {
	k := keeping{sizes: map[int]int64{}}
	if err := cmp.Or(run.Check(), ctx.Err()); err != nil {
		return k, err
	}
	receipts, err := of()
	if err != nil {
		return k, err
	}
	undos := map[string][]string{}
	var keys []string
	for _, r := range receipts {
		if s.guard(ctx, "purge", run, r.Key) != nil || strings.HasSuffix(r.Key, "/") && (r.Undo == "" || r.Undo == rewrite) {
			continue
		}
		if _, ok := undos[r.Key]; !ok {
			keys = append(keys, r.Key)
		}
		undos[r.Key] = append(undos[r.Key], r.Undo)
	}
	if len(keys) == 0 {
		return k, nil
	}
	status, err := s.settings.status(ctx, true)
	if err != nil || status == "" {
		return k, err
	}
	all, errs := s.versions.histories(ctx, keys)
	for i, key := range keys {
		if errs[i] == nil {
			versions, markers := all[i].Kept(run, s.settings.since(run), undos[key])
			k.all.add(i, key, versions, markers)
			k.sizes[i] = versions.Bytes()
			k.bytes += k.sizes[i]
		}
	}
	return k, backend.Join(ctx.Err(), cmp.Or(errs...))
}

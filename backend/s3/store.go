package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"regfsck/backend"
	"regfsck/backend/statedir"
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
	unlisted
	options Options
	claim   statedir.Claim // no State where it was opened without a state directory

	versioning struct {
		sync.Mutex
		known  bool
		status types.BucketVersioningStatus
		proven bool
	}
	skew        atomic.Int64 // nanoseconds by which the server's clock is ahead of ours
	crc         atomic.Bool  // the server refuses Content-MD5
	single      atomic.Bool  // the server has no DeleteObjects
	unwatched   atomic.Bool  // the server refuses conditions
	leased      atomic.Pointer[lease]
	leaseTime   time.Duration // how long a lease holds without being renewed
	contestTime time.Duration // how long another may take from its look at the lease to its own
	retryPause  time.Duration // the first wait before a key that failed is tried again
	partSize    int64         // what is larger is written in parts

	now func() time.Time // the clock of this machine
}

// ownDir is the directory below the root in which regfsck keeps its lease.
const ownDir = backend.Own

// OpenStore is Open for a store that may be changed. Nothing is written by it.
func OpenStore(ctx context.Context, o Options) (*Store, error) {
	r, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if o, err = o.complete(); err != nil {
		return nil, err
	}
	return &Store{
		Reader: r, options: o,
		leaseTime: 2 * time.Minute, contestTime: 3 * time.Second, retryPause: 100 * time.Millisecond, partSize: minPart,
		now: time.Now,
	}, nil
}

// The reasons for refusing a change that are no errors of the server.
var (
	errOwn       = errors.New("is in regfsck's own directory")
	errKept      = errors.New("was written over since this run began, and what stood there then is kept; what stands there now is left")
	errMeanwhile = errors.New("somebody else wrote there in this moment, and that is left")
	errLost      = fmt.Errorf("is neither kept nor in its place: %w", fs.ErrNotExist)
)

// guard tells why a key can't be changed by a run, whatever there is.
func (s *Store) guard(ctx context.Context, op string, run backend.Run, key string) error {
	path := strings.TrimSuffix(key, "/")
	if err := backend.CheckKey(op, path); err != nil {
		return err
	}
	if path == ownDir || backend.Inside(path, ownDir) {
		return &fs.PathError{Op: op, Path: key, Err: errOwn}
	}
	if err := run.Check(); err != nil {
		return err
	}
	return ctx.Err()
}

// token is what a receipt's Undo says: which version to bring back.
type token struct {
	marker bool   // the version is the delete marker that hides it
	run    string // that made the receipt
	id     string // of the version
}

func (t token) String() string {
	kind := "version"
	if t.marker {
		kind = "marker"
	}
	return kind + "/" + t.run + "/" + t.id
}

// parseToken is String's inverse; ok is false for what isn't one.
func parseToken(undo string) (t token, ok bool) {
	parts := strings.SplitN(undo, "/", 3)
	if len(parts) != 3 || parts[0] != "marker" && parts[0] != "version" || parts[2] == "" {
		return token{}, false
	}
	return token{parts[0] == "marker", parts[1], parts[2]}, true
}

// began returns the moment since which a run may have changed something, by the
// server's clock, with some leeway; 0 where nobody knows.
func (s *Store) began(at time.Time, leeway time.Duration) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Add(-leeway).UnixNano() + s.skew.Load()
}

const (
	strictly = 2 * time.Second // what whole seconds and the compared clocks may be wrong by
	roughly  = 5 * time.Minute // by what a clock may have been set meanwhile
)

// Put is backend.Store's. A bucket takes an object whole or not at all, and gives
// it the time of that moment, so that modified is of no use. That nothing came
// between the look and the write is the server's to know, where it honours
// If-None-Match and If-Match. What is written over is kept as a version, or
// deleted for good where the run keeps nothing.
func (s *Store) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return s.putAs(ctx, run, key, true, func(ctx context.Context, old *version) (string, error) {
		return s.write(ctx, key, body, old)
	})
}

// putAs puts an object that write writes over what stood there a moment ago, which is
// nothing unless over allows it, and of which it returns the version.
func (s *Store) putAs(ctx context.Context, run backend.Run, key string, over bool, write func(ctx context.Context, old *version) (string, error)) backend.Receipt {
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

func (s *Store) put(ctx context.Context, run backend.Run, key string, over bool, write func(context.Context, *version) (string, error), receipt *backend.Receipt) error {
	status, err := s.status(ctx, false)
	if err != nil && run.Keep {
		return err
	}
	old, err := s.standing(ctx, run, key, status != "")
	if err == nil && old != nil && !over {
		err = fs.ErrExist
	}
	if err == nil && old != nil && run.Keep && status != types.BucketVersioningStatusEnabled {
		err = s.noVersions(status)
	}
	if err != nil {
		return err
	}
	var made string
	err = s.whileHeld(ctx, func(ctx context.Context) (err error) {
		made, err = write(ctx, old)
		return err
	})
	switch {
	case err != nil:
		return err
	case old == nil:
	case old.id == "" && made != "": // it is a version of something unknown now
	case run.Keep && (made == "" || made == nullVersion):
		return errNotKept
	case run.Keep:
		receipt.Undo, receipt.Kept = token{false, run.ID, old.id}.String(), old.size
	case status == "" || old.id == nullVersion && (made == nullVersion || made == ""):
		receipt.Freed = old.size
	case made == "" || made == old.id: // where nobody knows which version is which, none is deleted
	case s.delete(ctx, []target{{key, old.id}})[0].err == nil:
		receipt.Freed = old.size
	}
	return nil
}

// standing returns what stands under a key, nil for nothing.
func (s *Store) standing(ctx context.Context, run backend.Run, key string, versions bool) (*version, error) {
	if !versions {
		item, err := s.Stat(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return &version{etag: item.ETag, size: item.Size}, err
	}
	h, err := s.history(ctx, key)
	if err != nil || !h.stands() {
		return nil, err
	}
	if since := s.began(run.Began, strictly); run.Keep && since > 0 && h.over(0) && h[0].at >= since {
		return nil, errKept
	}
	return &h[0], nil
}

// write writes an object over what stood there a moment ago, and returns its
// version.
func (s *Store) write(ctx context.Context, key string, body []byte, old *version) (made string, err error) {
	sum := md5.Sum(body)
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: aws.String(s.root + key),
		ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ContentType: aws.String("application/octet-stream"),
	}
	s.options.stored(in)
	return s.conditional(ctx, conditional{
		key: key, old: old,
		send: func(noneMatch, match *string) (*string, error) {
			in.IfNoneMatch, in.IfMatch, in.Body = noneMatch, match, bytes.NewReader(body)
			out, err := s.client.PutObject(ctx, in)
			if err != nil {
				return nil, err
			}
			return out.VersionId, nil
		},
		finished: func(error) bool { return false },
		same: func(is io.Reader) (bool, error) {
			all, err := io.ReadAll(io.LimitReader(is, int64(len(body))+1))
			return bytes.Equal(all, body), err
		},
	})
}

// conditional is a write that is only to be carried out over what stood there a moment
// ago.
type conditional struct {
	key      string
	old      *version                                        // nil for nothing
	send     func(noneMatch, match *string) (*string, error) // carries it out under the conditions, and returns the version that it made
	finished func(error) bool                                // reports whether an error says that it was carried out before
	same     func(io.Reader) (bool, error)                   // reports whether the bytes are those that it writes
}

// conditional carries out a write, and returns the version that it made. A request whose
// answer was lost is repeated by the client, and then refused for what it wrote itself:
// what stands there tells. A server that knows no conditions is asked without from then
// on.
func (s *Store) conditional(ctx context.Context, w conditional) (made string, err error) {
	var noneMatch, match *string
	if !s.unwatched.Load() {
		noneMatch, match = unless(w.old)
	}
	id, err := w.send(noneMatch, match)
	again := false
	switch {
	case contested(err) || w.finished(err): // versitygw takes a delete marker for something that stands there
		made, mine := s.mine(ctx, w.key, w.same)
		again = w.old == nil && errors.Is(mine, fs.ErrNotExist) && !w.finished(err)
		switch {
		case errors.Is(mine, fs.ErrNotExist) && !again:
			return "", errMeanwhile
		case !again:
			return made, mine
		}
	case unknownRequest(err) && !s.unwatched.Load():
		s.unwatched.Store(true)
		again = true
	}
	if again {
		id, err = w.send(nil, nil)
	}
	if err != nil {
		return "", s.explain(ctx, "write", w.key, mayPut, err)
	}
	return aws.ToString(id), nil
}

// stored has an object stored as the options say.
func (o Options) stored(in *s3.PutObjectInput) {
	switch {
	case o.Encrypt && o.KeyID != "":
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &o.KeyID
	case o.Encrypt:
		in.ServerSideEncryption = types.ServerSideEncryptionAes256
	}
	if o.StorageClass != "" && o.StorageClass != "NONE" {
		in.StorageClass = types.StorageClass(o.StorageClass)
	}
	in.ACL = types.ObjectCannedACL(o.ACL)
}

// copied has a copy stored as the options say.
func (o Options) copied(in *s3.CopyObjectInput) {
	var as s3.PutObjectInput
	o.stored(&as)
	in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL = as.ServerSideEncryption, as.SSEKMSKeyId, as.StorageClass, as.ACL
}

// mine reports whether what came between is what was to be written, as same says of its
// bytes: a request whose answer got lost is sent again, and meets itself.
func (s *Store) mine(ctx context.Context, key string, same func(io.Reader) (bool, error)) (made string, err error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key)})
	if err != nil {
		return "", backend.Join(errMeanwhile, s.explain(ctx, "write", key, mayGet, err))
	}
	defer out.Body.Close()
	if is, err := same(out.Body); err != nil || !is {
		return "", cmp.Or(err, errMeanwhile)
	}
	return aws.ToString(out.VersionId), nil
}

// unless returns the conditions under which what stands there is written over.
func unless(old *version) (none, match *string) {
	switch {
	case old == nil:
		return aws.String("*"), nil
	case old.etag != "":
		return nil, aws.String(`"` + old.etag + `"`)
	}
	return nil, nil
}

// contested reports whether a condition of a write didn't hold; where what was to
// be written over is gone, AWS says that there is no such key.
func contested(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return status(err) == 412 || status(err) == 409 || ok && api.ErrorCode() == "NoSuchKey"
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

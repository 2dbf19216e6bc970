package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"regfsck/backend"
)

// Store is a Reader of a bucket that can be changed: a backend.Store, Purger,
// Locker and Aborter.
//
// A bucket has no folders to be removed and no place to put things aside. What a
// run removes can come back only where the bucket keeps versions: a delete then
// adds a marker above them, and what the marker hides is there until somebody
// removes it for good. So the receipt of a removal is the marker's version, and
// that of a Put is the version that was written over. Where the bucket keeps
// versions and the run is to keep nothing, a removal takes away the versions
// themselves, since a marker frees nothing: all that have stood under the key
// since it was last deleted, and none of those that an earlier delete hides.
type Store struct {
	*Reader
	options Options

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
	settleTime  time.Duration // how long another may take from its look at the lease to its own
	settlePause time.Duration // the first wait before a key that failed is tried again

	now func() time.Time // the clock of this machine
}

// ownFolder is the folder below the root in which regfsck keeps its lease.
const ownFolder = backend.Own

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
		leaseTime: 2 * time.Minute, settleTime: 3 * time.Second, settlePause: 100 * time.Millisecond,
		now: time.Now,
	}, nil
}

// The reasons for refusing a change that are no errors of the server.
var (
	errOwn       = errors.New("is in regfsck's own folder")
	errRun       = errors.New("is no run's id: letters, digits and dashes")
	errKept      = errors.New("was written over since this run began, and what stood there then is kept; what stands there now is left")
	errMeanwhile = errors.New("somebody else wrote there in this moment, and that is left")
	errLost      = fmt.Errorf("is neither kept nor in its place: %w", fs.ErrNotExist)
)

// guard tells why a key can't be changed by a run, whatever there is.
func (s *Store) guard(ctx context.Context, op string, run backend.Run, key string) error {
	path := strings.TrimSuffix(key, "/")
	if err := checkKey(op, path); err != nil {
		return err
	}
	if path == ownFolder || inside(path, ownFolder) {
		return &fs.PathError{Op: op, Path: key, Err: errOwn}
	}
	if err := checkRun(run); err != nil {
		return err
	}
	return ctx.Err()
}

func checkRun(run backend.Run) error {
	if run.ID == "" || strings.Trim(run.ID, "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("%q %w", run.ID, errRun)
	}
	return nil
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

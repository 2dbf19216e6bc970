package target

import (
	"cmp"
	"context"
	"io"
	"os"

	"regfsck/backend"
	"regfsck/backend/file"
	"regfsck/backend/s3"
	"regfsck/backend/statedir"
)

// Writer is a store that is open to be changed.
type Writer interface {
	backend.Store
	backend.Coster
	io.Closer
	backend.Claimer
	backend.Marked
	// Claimed tells, without a change, why the state directory can't be used for this
	// store.
	Claimed() error
	// MayKeep tells, without a change, whether what a run removes can be brought
	// back.
	MayKeep(ctx context.Context) error
	// CanKeep is MayKeep, and tries it where only that shows: with an object of its
	// own, which is gone afterwards.
	CanKeep(ctx context.Context) error
}

// Versioner is a Writer that keeps what goes as versions, not in the state folder.
type Versioner interface {
	// Versioned reports whether a delete alone frees nothing.
	Versioned(ctx context.Context) (bool, error)
	// Expiry returns after how many days the store's own rules give up what is kept.
	Expiry(ctx context.Context) (days int, ok bool, err error)
	// Retained tells, without a change, why what is written could not be removed
	// again.
	Retained(ctx context.Context) error
	// Noncurrent counts the versions below the folders that no listing shows.
	Noncurrent(ctx context.Context, folders []string) (versions int, bytes int64, err error)
	// Unfinished counts the multipart uploads and what their parts take.
	Unfinished(ctx context.Context) (uploads int, bytes int64, err error)
	// BreakLease gives back the lease of a run that is dead.
	BreakLease(ctx context.Context, run string) error
}

// OpenWriter opens the store to be changed, with its state folder, an absolute
// path. Where the system can't change folders safely the error is
// errors.ErrUnsupported; else errors are sentences for the operator.
func (t Target) OpenWriter(ctx context.Context, a Access, state string) (Writer, error) {
	if t.Bucket == nil {
		w, err := file.OpenStore(t.Root, file.Options{Base: t.Base, Workers: a.Workers, Follow: a.Follow}, state)
		return folderWriter{w}, err
	}
	if len(a.Follow) > 0 {
		return nil, errFollow
	}
	o := *t.Bucket
	o.Workers, o.Say = a.Workers, a.Say
	s, err := s3.OpenStore(ctx, o)
	if err != nil {
		return nil, err
	}
	return bucketWriter{s, statedir.Claim{State: state, Store: t.Identity(os.Getenv)}}, nil
}

// Identity names a bucket's store apart from that of the same name at another
// server.
func (t Target) Identity(getenv func(string) string) string {
	at := cmp.Or(t.Bucket.Endpoint, getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"))
	if at == "" {
		return t.Name
	}
	return t.Name + " at " + at
}

type folderWriter struct{ *file.Store }

func (w folderWriter) MayKeep(ctx context.Context) error { return w.CanKeep(ctx) }

// bucketWriter is a bucket with its state folder, which stands on this machine.
type bucketWriter struct {
	*s3.Store
	claim statedir.Claim
}

func (w bucketWriter) Claimed() error { return w.claim.Check() }

// Identity is backend.Claimer's.
func (w bucketWriter) Identity() string { return w.claim.Store }

// Recorded is backend.Claimer's.
func (w bucketWriter) Recorded(store string) error { return w.claim.Recorded(store) }

// States is backend.Marked's.
func (w bucketWriter) States(ctx context.Context) ([]backend.StateDir, error) {
	mark, err := w.Mark(ctx)
	return w.claim.Known(mark), err
}

// Lock is backend.Locker's. The state folder becomes this store's.
func (w bucketWriter) Lock(ctx context.Context, run backend.Run) (unlock func() error, err error) {
	if unlock, err = w.Store.Lock(ctx, run); err != nil {
		return nil, err
	}
	if err = w.claim.Take(); err != nil {
		return nil, backend.Join(err, unlock())
	}
	if mark, err := w.Mark(ctx); err == nil {
		if mark, is := w.claim.Marked(mark); is {
			_ = w.SetMark(ctx, mark) // where this user may not, the others don't learn of it
		}
	}
	return unlock, nil
}

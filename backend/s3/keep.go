package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"regfsck/backend"
)

// CanKeep reports whether what runs remove can be brought back: whether versioning
// is enabled, and does what it promises to an object of our own, which is
// written, deleted, seen hidden by a marker, brought back and removed for good.
// The object's key is below the root's .regfsck. It is proven once. Where the
// object could not be removed it isn't written, as far as the bucket tells, which
// is backend.ErrRetained; where it stays after all it is backend.ErrStays.
func (s *Store) CanKeep(ctx context.Context) error {
	if err := s.mustKeep(ctx, true); err != nil {
		return err
	}
	v := &s.versioning
	v.Lock()
	defer v.Unlock()
	if v.proven {
		return nil
	}
	if err := s.Retained(ctx); err != nil {
		return err
	}
	if err := s.probeVersions(ctx, ownFolder+"/probe-"+rand.Text()); err != nil {
		return fmt.Errorf("the bucket %s says that it keeps versions, and a test of that failed: %w", s.bucket, err)
	}
	v.proven = true
	return nil
}

var (
	errNoVersion = errors.New("what is written gets no version")
	errNoMarker  = errors.New("a delete leaves no delete marker above the version")
	errNotBack   = errors.New("removing the delete marker doesn't bring the object back")
)

// probeVersions does with an object what runs and their undoing do.
func (s *Store) probeVersions(ctx context.Context, key string) (err error) {
	body := []byte("regfsck looks whether this bucket keeps versions; this may be deleted\n")
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + key), Body: bytes.NewReader(body)}
	s.options.stored(in)
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return s.explain(ctx, "write", key, mayPut, err)
	}
	defer func() {
		if left := s.removeProbe(context.WithoutCancel(ctx), key); left != nil {
			s.delete(context.WithoutCancel(ctx), []target{{key: key}}) // hidden, at least
			err = fmt.Errorf("%w: %w", backend.ErrStays, backend.Join(err, left))
		}
	}()
	id := aws.ToString(out.VersionId)
	if id == "" || id == nullVersion {
		return errNoVersion
	}
	gone := s.delete(ctx, []target{{key: key}})[0]
	if gone.err != nil {
		return gone.err
	}
	h, err := s.history(ctx, key)
	if err != nil {
		return err
	}
	n := h.markers(0) // a request that was sent twice leaves two
	if n == 0 || len(h) != n+1 || h[n].id != id || h[n].size != int64(len(body)) {
		return errNoMarker
	}
	var above []target
	for _, marker := range h[:n] {
		above = append(above, target{key, marker.id})
	}
	for _, gone := range s.delete(ctx, above) {
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
	h, err := s.history(ctx, key)
	if err != nil {
		return err
	}
	var all []target
	for _, v := range h {
		all = append(all, target{key, v.id})
	}
	for _, gone := range s.delete(ctx, all) {
		err = backend.Join(err, gone.err)
	}
	return err
}

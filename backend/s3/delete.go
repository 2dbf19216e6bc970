package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"regfsck/backend/history"
	"regfsck/backend/lease"
)

// target is what to delete: a key, which leaves a delete marker in a versioned bucket, or
// permanently one version of it.
type target struct{ key, version string }

const (
	maxDelete = 1000 // keys of one DeleteObjects
	maxTries  = 5    // maximal attempts for a key with a temporary error
)

// deleter deletes keys and versions while the lease is held, in batches if possible, and
// returns a result for each.
type deleter struct {
	*Reader
	lease  *lease.Lease
	pause  time.Duration // the first wait before a failed key is retried
	crc    atomic.Bool   // the server refuses Content-MD5
	single atomic.Bool   // the server has no DeleteObjects
}

// delete deletes exactly these targets, as many in parallel as a request can contain, and
// returns a result for each. A target that doesn't exist counts as deleted.
func (s *deleter) delete(ctx context.Context, targets []target) []result {
	var once []target
	at := map[target]int{}
	for _, t := range targets {
		if _, ok := at[t]; !ok {
			at[t] = len(once)
			once = append(once, t)
		}
	}
	results, all := s.once(ctx, once), make([]result, len(targets))
	s.recheck(ctx, once, results)
	for i, t := range targets {
		all[i] = results[at[t]]
	}
	return all
}

// once is delete for targets without duplicates.
func (s *deleter) once(ctx context.Context, targets []target) []result {
	results := make([]result, len(targets))
	var plain []int
	var work errgroup.Group
	work.SetLimit(s.workers)
	for i, t := range targets {
		if isXML(t.key) && !s.single.Load() {
			plain = append(plain, i)
			continue
		}
		work.Go(func() error {
			results[i] = s.held(ctx, t)
			return nil
		})
	}
	for part := range slices.Chunk(plain, maxDelete) {
		work.Go(func() error {
			s.many(ctx, part, targets, results)
			return nil
		})
	}
	work.Wait()
	return results
}

// isXML reports whether a key can be sent unchanged in the XML of a DeleteObjects. Other keys
// have a request each.
func isXML(key string) bool {
	if !utf8.ValidString(key) {
		return false
	}
	for _, r := range key {
		if unicode.IsControl(r) || r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// recheck rechecks the targets that no response mentions, and the versions that the server
// refuses to delete: versitygw refuses deleted ones, as when a request is sent twice.
func (s *deleter) recheck(ctx context.Context, targets []target, results []result) {
	var old, keys []string
	var ofOld, ofKeys []int
	for i, t := range targets {
		_, refused := errors.AsType[refusal](results[i].err)
		silent := errors.Is(results[i].err, errSilent) || ctx.Err() == nil && unanswered(results[i].err)
		switch {
		case t.version != "" && (silent || refused && !isDenied(results[i].err)):
			old, ofOld = append(old, t.key), append(ofOld, i)
		case silent:
			keys, ofKeys = append(keys, t.key), append(ofKeys, i)
		}
	}
	if len(old) > 0 {
		all, errs := versions{s.Reader}.histories(ctx, old)
		for n, i := range ofOld {
			if errs[n] == nil && all[n].Find(targets[i].version) < 0 {
				results[i] = result{}
			}
		}
	}
	for n, part := 0, 1; n < len(keys); n, part = n+part, len(keys)-n-part { // only one, to test whether the server is reachable
		_, errs := s.Reader.Stats(ctx, keys[n:n+part])
		for k, err := range errs {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				results[ofKeys[n+k]] = result{}
			case err != nil && n == 0:
				return
			}
		}
	}
}

// unanswered reports whether a request failed without a response, so that the server may have
// carried it out. Without the lease no request was sent.
func unanswered(err error) bool {
	_, answered := errors.AsType[smithy.APIError](err)
	return err != nil && !answered && !errors.Is(err, lease.ErrLost)
}

// permission returns the permission that deleting a target needs.
func (t target) permission() string {
	if t.version != "" {
		return mayDeleteVersion
	}
	return mayDelete
}

// one deletes one target, with or without the lease.
func (s *deleter) one(ctx context.Context, t target) result {
	in := &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + t.key)}
	if t.version != "" {
		in.VersionId = &t.version
	}
	out, err := s.client.DeleteObject(ctx, in)
	if api, ok := errors.AsType[smithy.APIError](err); ok && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NoSuchVersion") {
		return result{}
	}
	if err != nil {
		return result{err: s.explain(ctx, "remove", t.key, t.permission(), err)}
	}
	if aws.ToBool(out.DeleteMarker) {
		return result{marker: aws.ToString(out.VersionId)}
	}
	return result{}
}

// held is one, if the lease is held.
func (s *deleter) held(ctx context.Context, t target) (v result) {
	v.err = s.lease.While(ctx, func(ctx context.Context) error {
		v = s.one(ctx, t)
		return v.err
	})
	return v
}

// lacksDeleteObjects reports whether a server doesn't support DeleteObjects.
func lacksDeleteObjects(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return unknownRequest(err) || status(err) == 404 && !(ok && api.ErrorCode() == "NoSuchBucket")
}

// many deletes some of the targets in one request, and retries those with a temporary error.
func (s *deleter) many(ctx context.Context, part []int, targets []target, results []result) {
	pause := s.pause
	for try := 1; len(part) > 0; try++ {
		part = s.batch(ctx, part, targets, results)
		if len(part) == 0 || try == maxTries {
			return
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return
		}
	}
}

// batch sends one request, and returns the targets to retry.
func (s *deleter) batch(ctx context.Context, part []int, targets []target, results []result) (retry []int) {
	in := &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Quiet: aws.Bool(false)}}
	for _, i := range part {
		o := types.ObjectIdentifier{Key: aws.String(s.root + targets[i].key)}
		if targets[i].version != "" {
			o.VersionId = &targets[i].version
		}
		in.Delete.Objects = append(in.Delete.Objects, o)
	}
	var out *s3.DeleteObjectsOutput
	err := s.lease.While(ctx, func(ctx context.Context) (err error) {
		if out, err = s.objects(ctx, in); err != nil && ctx.Err() == nil {
			err = s.reason(targets[part[0]].permission(), err)
		}
		return err
	})
	if lacksDeleteObjects(err) {
		s.single.Store(true)
		var work errgroup.Group
		work.SetLimit(s.workers)
		for _, i := range part {
			work.Go(func() error {
				results[i] = s.held(ctx, targets[i])
				return nil
			})
		}
		work.Wait()
		return nil
	}
	if err == nil {
		return s.readResults(out, part, targets, results)
	}
	for _, i := range part {
		results[i] = result{err: &fs.PathError{Op: "remove", Path: targets[i].key, Err: err}}
		if ctx.Err() != nil {
			results[i].err = ctx.Err()
		}
	}
	return nil
}

// result is the result for a target.
type result struct {
	marker string // the version of the delete marker; "" for none
	err    error  // a *fs.PathError
}

var errSilent = errors.New("the server's response doesn't mention this key")

// readResults sets the results from a response. A target that it doesn't mention is unknown. It
// returns the targets to retry.
func (s *deleter) readResults(out *s3.DeleteObjectsOutput, part []int, targets []target, results []result) (retry []int) {
	failed, gone := map[target]types.Error{}, map[target]types.DeletedObject{}
	for _, e := range out.Errors {
		failed[target{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = e
	}
	for _, d := range out.Deleted {
		gone[target{aws.ToString(d.Key), aws.ToString(d.VersionId)}] = d
	}
	for _, i := range part {
		t := targets[i]
		response := target{s.root + t.key, t.version}
		e, bad := failed[response]
		if !bad && t.version != "" { // some servers leave out the version in an error
			e, bad = failed[target{key: response.key}]
		}
		d, good := gone[response]
		switch {
		case bad && isGone(e):
			results[i] = result{}
		case bad:
			results[i] = result{err: &fs.PathError{Op: "remove", Path: t.key, Err: s.reason(t.permission(), refusal{e})}}
			if isTemporary(e) {
				retry = append(retry, i)
			}
		case good:
			results[i] = result{}
			if aws.ToBool(d.DeleteMarker) {
				results[i].marker = aws.ToString(d.DeleteMarkerVersionId)
			}
		default:
			results[i] = result{err: &fs.PathError{Op: "remove", Path: t.key, Err: errSilent}}
		}
	}
	return retry
}

// refusal is the error of one key in the response to a DeleteObjects, as an API error.
type refusal struct{ e types.Error }

func (r refusal) Error() string                 { return fmt.Sprintf("%s: %s", r.ErrorCode(), r.ErrorMessage()) }
func (r refusal) ErrorCode() string             { return aws.ToString(r.e.Code) }
func (r refusal) ErrorMessage() string          { return aws.ToString(r.e.Message) }
func (r refusal) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

// isGone reports whether a key wasn't deleted because it doesn't exist.
func isGone(e types.Error) bool {
	return aws.ToString(e.Code) == "NoSuchKey" || aws.ToString(e.Code) == "NoSuchVersion"
}

// isTemporary reports whether a later attempt may succeed.
func isTemporary(e types.Error) bool {
	switch aws.ToString(e.Code) {
	case "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict":
		return true
	}
	return false
}

// objects sends one DeleteObjects. It needs a checksum: all servers support Content-MD5, and
// older ones reject the SDK's CRC32. A server that rejects Content-MD5 gets CRC32 from then
// on.
func (s *deleter) objects(ctx context.Context, in *s3.DeleteObjectsInput) (*s3.DeleteObjectsOutput, error) {
	if s.crc.Load() {
		return s.client.DeleteObjects(ctx, in)
	}
	out, err := s.client.DeleteObjects(ctx, in, s3.WithAPIOptions(withMD5))
	if err == nil || !refusesChecksum(err) {
		return out, err
	}
	if out, again := s.client.DeleteObjects(ctx, in); again == nil {
		s.crc.Store(true)
		return out, nil
	}
	return nil, err
}

// refusesChecksum reports whether an error may be about the checksum.
func refusesChecksum(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return status(err) == 400 || status(err) == 501
	}
	switch api.ErrorCode() {
	case "InvalidRequest", "InvalidArgument", "NotImplemented", "InvalidDigest", "BadDigest", "MissingContentMD5":
		return true
	}
	return false
}

// withMD5 replaces the SDK's checksum by Content-MD5.
func withMD5(stack *middleware.Stack) error {
	if _, err := stack.Initialize.Remove("AWSChecksum:SetupInputContext"); err != nil {
		return err
	}
	if _, err := stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum"); err != nil {
		return err
	}
	return smithyhttp.AddContentChecksumMiddleware(stack)
}

// deletion deletes versions for several owners in two rounds. An owner's second round is
// skipped if its first failed.
type deletion struct {
	first, last part
}

type part struct {
	targets []target
	owners  []int
}

func (p *part) add(owner int, key string, h history.History) {
	for _, v := range h {
		p.targets, p.owners = append(p.targets, target{key, v.ID}), append(p.owners, owner)
	}
}

func (d *deletion) add(owner int, key string, first, last history.History) {
	d.first.add(owner, key, first)
	d.last.add(owner, key, last)
}

// run deletes all, and returns the errors by owner.
func (d *deletion) run(ctx context.Context, s *deleter) map[int]error {
	failed := map[int]error{}
	for _, p := range []part{d.first, d.last} {
		var rest part
		for n, t := range p.targets {
			if failed[p.owners[n]] == nil {
				rest.targets, rest.owners = append(rest.targets, t), append(rest.owners, p.owners[n])
			}
		}
		for n, v := range s.delete(ctx, rest.targets) {
			if v.err != nil {
				failed[rest.owners[n]] = v.err
			}
		}
	}
	return failed
}

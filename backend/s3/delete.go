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

// target is one thing to be deleted: a key, which leaves a marker where the
// bucket keeps versions, or one version of it, for good.
type target struct{ key, version string }

const (
	maxDelete = 1000 // keys of one DeleteObjects
	maxTries  = 5    // how often a key is tried that the server couldn't delete just now
)

// deleter deletes keys and versions, in batches where it can, while the lease is held,
// and says what became of each. What a delete leaves behind is none of its business.
type deleter struct {
	*Reader
	lease  *lease.Lease
	pause  time.Duration // the first wait before a key that failed is tried again
	crc    atomic.Bool   // the server refuses Content-MD5
	single atomic.Bool   // the server has no DeleteObjects
}

// delete deletes exactly these targets, as many side by side as a request can
// hold, and there is a verdict for each. What isn't there counts as deleted.
func (s *deleter) delete(ctx context.Context, targets []target) []verdict {
	var once []target
	at := map[target]int{}
	for _, t := range targets {
		if _, ok := at[t]; !ok {
			at[t] = len(once)
			once = append(once, t)
		}
	}
	verdicts, all := s.once(ctx, once), make([]verdict, len(targets))
	s.recheck(ctx, once, verdicts)
	for i, t := range targets {
		all[i] = verdicts[at[t]]
	}
	return all
}

// once is delete for targets of which no two are the same.
func (s *deleter) once(ctx context.Context, targets []target) []verdict {
	verdicts := make([]verdict, len(targets))
	var plain []int
	var work errgroup.Group
	work.SetLimit(s.workers)
	for i, t := range targets {
		if isXML(t.key) && !s.single.Load() {
			plain = append(plain, i)
			continue
		}
		work.Go(func() error {
			verdicts[i] = s.held(ctx, t)
			return nil
		})
	}
	for part := range slices.Chunk(plain, maxDelete) {
		work.Go(func() error {
			s.many(ctx, part, targets, verdicts)
			return nil
		})
	}
	work.Wait()
	return verdicts
}

// isXML reports whether a key arrives as it is in the XML of a DeleteObjects. Any
// other would name another key there, and has a request of its own.
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

// recheck rechecks what the server says nothing about, be it that its answer is
// short or that no answer came, and at the versions that it refuses to delete:
// versitygw does that where they are gone, as when a request is sent a second time.
func (s *deleter) recheck(ctx context.Context, targets []target, verdicts []verdict) {
	var old, keys []string
	var ofOld, ofKeys []int
	for i, t := range targets {
		_, refused := errors.AsType[refusal](verdicts[i].err)
		silent := errors.Is(verdicts[i].err, errSilent) || ctx.Err() == nil && unanswered(verdicts[i].err)
		switch {
		case t.version != "" && (silent || refused && !isDenied(verdicts[i].err)):
			old, ofOld = append(old, t.key), append(ofOld, i)
		case silent:
			keys, ofKeys = append(keys, t.key), append(ofKeys, i)
		}
	}
	if len(old) > 0 {
		all, errs := versions{s.Reader}.histories(ctx, old)
		for n, i := range ofOld {
			if errs[n] == nil && all[n].Find(targets[i].version) < 0 {
				verdicts[i] = verdict{}
			}
		}
	}
	for n, part := 0, 1; n < len(keys); n, part = n+part, len(keys)-n-part { // a server that is away is asked for one
		_, errs := s.Reader.Stats(ctx, keys[n:n+part])
		for k, err := range errs {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				verdicts[ofKeys[n+k]] = verdict{}
			case err != nil && n == 0:
				return
			}
		}
	}
}

// unanswered reports whether a request failed without an answer of the server, which
// may have done what it asked. Without the lease nothing is asked any more.
func unanswered(err error) bool {
	_, answered := errors.AsType[smithy.APIError](err)
	return err != nil && !answered && !errors.Is(err, lease.ErrLost)
}

// permission returns what deleting a target needs.
func (t target) permission() string {
	if t.version != "" {
		return mayDeleteVersion
	}
	return mayDelete
}

// one deletes one target, whoever has the lease.
func (s *deleter) one(ctx context.Context, t target) verdict {
	in := &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.root + t.key)}
	if t.version != "" {
		in.VersionId = &t.version
	}
	out, err := s.client.DeleteObject(ctx, in)
	if api, ok := errors.AsType[smithy.APIError](err); ok && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NoSuchVersion") {
		return verdict{}
	}
	if err != nil {
		return verdict{err: s.explain(ctx, "remove", t.key, t.permission(), err)}
	}
	if aws.ToBool(out.DeleteMarker) {
		return verdict{marker: aws.ToString(out.VersionId)}
	}
	return verdict{}
}

// held is one, unless the lease is lost.
func (s *deleter) held(ctx context.Context, t target) (v verdict) {
	v.err = s.lease.While(ctx, func(ctx context.Context) error {
		v = s.one(ctx, t)
		return v.err
	})
	return v
}

// lacksDeleteObjects reports whether a server said that it has no DeleteObjects.
func lacksDeleteObjects(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return unknownRequest(err) || status(err) == 404 && !(ok && api.ErrorCode() == "NoSuchBucket")
}

// many deletes some of the targets in one request, and what the server
// couldn't delete just now in another, until it says no.
func (s *deleter) many(ctx context.Context, part []int, targets []target, verdicts []verdict) {
	pause := s.pause
	for try := 1; len(part) > 0; try++ {
		part = s.batch(ctx, part, targets, verdicts)
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

// batch is one request, and returns the targets that are worth another.
func (s *deleter) batch(ctx context.Context, part []int, targets []target, verdicts []verdict) (again []int) {
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
				verdicts[i] = s.held(ctx, targets[i])
				return nil
			})
		}
		work.Wait()
		return nil
	}
	if err == nil {
		return s.judge(out, part, targets, verdicts)
	}
	for _, i := range part {
		verdicts[i] = verdict{err: &fs.PathError{Op: "remove", Path: targets[i].key, Err: err}}
		if ctx.Err() != nil {
			verdicts[i].err = ctx.Err()
		}
	}
	return nil
}

// verdict says what became of a target.
type verdict struct {
	marker string // the version of the marker that a delete left, "" for none
	err    error  // a *fs.PathError
}

var errSilent = errors.New("the server's answer says nothing about this key")

// judge reads an answer. Of a target about which it is silent nobody knows.
func (s *deleter) judge(out *s3.DeleteObjectsOutput, part []int, targets []target, verdicts []verdict) (again []int) {
	failed, gone := map[target]types.Error{}, map[target]types.DeletedObject{}
	for _, e := range out.Errors {
		failed[target{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = e
	}
	for _, d := range out.Deleted {
		gone[target{aws.ToString(d.Key), aws.ToString(d.VersionId)}] = d
	}
	for _, i := range part {
		t := targets[i]
		told := target{s.root + t.key, t.version}
		e, bad := failed[told]
		if !bad && t.version != "" { // some leave the version out of an error
			e, bad = failed[target{key: told.key}]
		}
		d, good := gone[told]
		switch {
		case bad && isGone(e):
			verdicts[i] = verdict{}
		case bad:
			verdicts[i] = verdict{err: &fs.PathError{Op: "remove", Path: t.key, Err: s.reason(t.permission(), refusal{e})}}
			if isPassing(e) {
				again = append(again, i)
			}
		case good:
			verdicts[i] = verdict{}
			if aws.ToBool(d.DeleteMarker) {
				verdicts[i].marker = aws.ToString(d.DeleteMarkerVersionId)
			}
		default:
			verdicts[i] = verdict{err: &fs.PathError{Op: "remove", Path: t.key, Err: errSilent}}
		}
	}
	return again
}

// refusal is what a DeleteObjects says of one key, as an API's error.
type refusal struct{ e types.Error }

func (r refusal) Error() string                 { return fmt.Sprintf("%s: %s", r.ErrorCode(), r.ErrorMessage()) }
func (r refusal) ErrorCode() string             { return aws.ToString(r.e.Code) }
func (r refusal) ErrorMessage() string          { return aws.ToString(r.e.Message) }
func (r refusal) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

// isGone reports whether a key wasn't deleted because it isn't there.
func isGone(e types.Error) bool {
	return aws.ToString(e.Code) == "NoSuchKey" || aws.ToString(e.Code) == "NoSuchVersion"
}

// isPassing reports whether the server may well do later what it couldn't now.
func isPassing(e types.Error) bool {
	switch aws.ToString(e.Code) {
	case "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict":
		return true
	}
	return false
}

// objects asks for one DeleteObjects. It has to have a checksum: all
// servers know Content-MD5, and older ones refuse the CRC32 that the SDK sends.
// One that refuses Content-MD5 gets the other from then on.
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

// refusesChecksum reports whether a refusal may be about the checksum.
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

// withMD5 puts Content-MD5 in the place of the SDK's checksum.
func withMD5(stack *middleware.Stack) error {
	if _, err := stack.Initialize.Remove("AWSChecksum:SetupInputContext"); err != nil {
		return err
	}
	if _, err := stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum"); err != nil {
		return err
	}
	return smithyhttp.AddContentChecksumMiddleware(stack)
}

// deletion is versions to be deleted for several owners in two rounds: what must
// go last goes only where all else of its owner went.
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

// run deletes all, and returns the owners of what couldn't be deleted.
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

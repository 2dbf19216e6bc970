package s3

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// verdict says what became of a target.
type verdict struct {
	marker string // the version of the marker that a delete left, "" for none
	err    error  // a *fs.PathError
}

var errSilent = errors.New("the server's answer says nothing about this key")

// judge reads an answer. Of a target about which it is silent nobody knows.
func (s *Store) judge(out *s3.DeleteObjectsOutput, part []int, targets []target, verdicts []verdict) (again []int) {
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

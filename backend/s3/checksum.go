package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// deleteObjects asks for one DeleteObjects. It has to have a checksum: all
// servers know Content-MD5, and older ones refuse the CRC32 that the SDK sends.
// One that refuses Content-MD5 gets the other from then on.
func (s *Store) deleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (*s3.DeleteObjectsOutput, error) {
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

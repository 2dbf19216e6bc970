package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
	"regfsck/backend/lister"
)

// wrong is an error of the SDK, with a text for operators. It wraps the SDK's error only for
// errors.As.
type wrong struct {
	text string
	err  error
	is   error // what errors.Is also reports; nil for none
}

func (w *wrong) Error() string        { return w.text }
func (w *wrong) Unwrap() error        { return w.err }
func (w *wrong) Is(target error) bool { return w.is != nil && target == w.is }

// The permissions that a request needs, as IAM policies name them.
const (
	mayList = "s3:ListBucket"
	mayGet  = "s3:GetObject"
)

// explain returns the *fs.PathError for a request about one key. Only the code NoSuchKey is
// fs.ErrNotExist.
func (r *Reader) explain(ctx context.Context, op, key, permission string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchKey" {
		return &fs.PathError{Op: op, Path: key, Err: fs.ErrNotExist}
	}
	return &fs.PathError{Op: op, Path: key, Err: r.reason(permission, err)}
}

// reason returns an error with what is wrong and what to do.
func (r *Reader) reason(permission string, err error) error {
	code, message := "", ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code, message = api.ErrorCode(), backend.OneLine(api.ErrorMessage())
	}
	if fromWebServer(err) {
		code = webPage
	}
	switch code {
	case "NoSuchBucket":
		return &wrong{fmt.Sprintf("there is no bucket %s at this endpoint", r.bucket), err, nil}
	case "AccessDenied", "AllAccessDisabled", "Forbidden":
		text := fmt.Sprintf("access denied: the credentials need %s on %s", permission, r.resource(permission))
		if said := strings.TrimRight(message, ". "); said != "" && !strings.EqualFold(said, "access denied") {
			text += fmt.Sprintf(" (the server says: %s)", message)
		}
		if permission == mayList && !r.options.RequesterPays {
			text += "; a bucket whose requester pays needs --s3-requester-pays"
		}
		return &wrong{text, err, fs.ErrPermission}
	case "InvalidObjectState":
		return &wrong{backend.ErrArchived.Error(), err, backend.ErrArchived}
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return &wrong{"the server refuses the credentials: " + code, err, nil}
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "TemporaryRedirect", "IllegalLocationConstraintException":
		return &wrong{r.elsewhere(code, err), err, nil}
	}
	text := ""
	switch _, distrusted := errors.AsType[*lister.PageError](err); {
	case code == webPage:
		text = fmt.Sprintf("%s answers%s with a web page, not in S3's form: is this the port of a console or of a web server? Give the address of its S3 service with --s3-endpoint", r.endpoint(), strings.TrimRight(" "+statusWords(err), " "))
	case unconnected(err):
		text = fmt.Sprintf("no connection to %s: %v: is the endpoint right, and is the server up?", r.endpoint(), root(err))
	case code == "" && !distrusted && status(err) >= 300:
		text = fmt.Sprintf("the server answers %s, in another form than S3's", statusWords(err))
	case code != "":
		text = fmt.Sprintf("%s: %s", code, message)
	default:
		text = backend.OneLine(root(err).Error())
	}
	text += attempts(err)
	if unconnected(err) || attempts(err) != "" {
		return &wrong{text, err, backend.ErrUnavailable}
	}
	return &wrong{text, err, nil}
}

// webPage replaces the missing error code of a web page.
const webPage = "web page"

// statusWords returns the status of a failed response in words; "" for a success.
func statusWords(err error) string {
	if code := status(err); code >= 300 {
		return fmt.Sprintf("%d %s", code, http.StatusText(code))
	}
	return ""
}

// endpoint returns the server's name for messages.
func (r *Reader) endpoint() string {
	if at := r.client.Options().BaseEndpoint; at != nil {
		return *at
	}
	return "AWS's server in region " + r.client.Options().Region
}

// resource returns the resource that a permission must be granted on.
func (r *Reader) resource(permission string) string {
	switch {
	case permission == mayGet:
		return fmt.Sprintf("%s/%s* (and %s on the bucket)", r.bucket, r.root, mayList)
	case ofObjects(permission):
		return fmt.Sprintf("%s/%s*", r.bucket, r.root)
	}
	return "bucket " + r.bucket
}

// elsewhere returns a clause with the bucket's region, if the server names it.
func (r *Reader) elsewhere(code string, err error) string {
	text := fmt.Sprintf("the bucket %s isn't in region %s (%s)", r.bucket, r.client.Options().Region, code)
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil {
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
			return fmt.Sprintf("%s but in %s: give --s3-region %s", text, region, region)
		}
	}
	return text + ": give --s3-region or --s3-endpoint"
}

// attempts returns a clause with the number of attempts, if there were several.
func attempts(err error) string {
	if m, ok := errors.AsType[*retry.MaxAttemptsError](err); ok {
		return fmt.Sprintf(" (after %d attempts)", m.Attempt)
	}
	return ""
}

// root unwraps the SDK's own errors, which repeat each other.
func root(err error) error {
	if p, ok := errors.AsType[*lister.PageError](err); ok {
		return p
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// isDenied reports whether access is denied, or the credentials are invalid.
func isDenied(err error) bool { return errors.Is(err, fs.ErrPermission) }

// refused is explain for a request about the bucket.
func (r *Reader) refused(ctx context.Context, what, permission string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s of %s: %w", what, r.name, r.reason(permission, err))
}

// The permissions that changes need, as IAM policies name them.
const (
	mayPut           = "s3:PutObject"
	mayDelete        = "s3:DeleteObject"
	mayDeleteVersion = "s3:DeleteObjectVersion"
	mayGetVersion    = "s3:GetObjectVersion"
	mayAbort         = "s3:AbortMultipartUpload"
	mayListVersions  = "s3:ListBucketVersions"
	mayListParts     = "s3:ListMultipartUploadParts"
	mayListUploads   = "s3:ListBucketMultipartUploads"
	mayGetVersioning = "s3:GetBucketVersioning"
	mayGetLifecycle  = "s3:GetLifecycleConfiguration"
)

// ofObjects reports whether a permission is granted on objects, not on the bucket.
func ofObjects(permission string) bool {
	switch permission {
	case mayPut, mayDelete, mayDeleteVersion, mayGetVersion, mayAbort, mayListParts:
		return true
	}
	return false
}

package s3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// getter reads whole objects without the SDK, which uses most of the processor time of a small
// one. It gets from the SDK once the bucket's address and the scope of signatures; it then
// signs with the SDK's signer, sends by its HTTP client and counts in the same pace. Any
// response other than a success makes the SDK repeat the request, with its retries, regions
// and error texts.
type getter struct {
	client *http.Client
	meter  *meter
	signer *v4.Signer
	agent  string
	payer  bool   // send the header of RequesterPays
	place  *place // nil if only the SDK can send the request

	failed atomic.Int32 // consecutive requests without success
}

// place is the address of a bucket's objects.
type place struct {
	scheme, host, path string // path precedes the key, and ends in a slash
	region, service    string // of the signature
	credentials        aws.CredentialsProvider
}

// maxFailed is the number of consecutive failed requests after which only the SDK is used.
const maxFailed = 8

// emptyPayload is the SHA-256 of no bytes.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func newGetter(ctx context.Context, client *http.Client, m *meter, sdk *s3.Client, o Options) *getter {
	g := &getter{
		client: client, meter: m, agent: o.UserAgent, payer: o.RequesterPays,
		signer: v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = true }), // as S3 requires
	}
	if at, err := placeOf(ctx, sdk, o.Bucket); err == nil {
		g.place = at
	}
	return g
}

// errNotPlain is the error for a bucket whose requests need another signature.
var errNotPlain = errors.New("requests are not signed by version 4 of AWS's signature alone")

// placeOf gets a presigned URL of an object from the SDK, and parses it.
func placeOf(ctx context.Context, client *s3.Client, bucket string) (*place, error) {
	const key = "key"
	signed, err := s3.NewPresignClient(client, s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		o.APIOptions, o.ExpressCredentials = nil, nil // they must not be shared with the client
	})).
		PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(key)})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		return nil, err
	}
	path, ok := strings.CutSuffix(u.EscapedPath(), "/"+key)
	q := u.Query()
	scope := strings.Split(q.Get("X-Amz-Credential"), "/") // access key, day, region, service, aws4_request
	n := len(scope)
	if !ok || n < 5 || q.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" || q.Has("X-Amz-S3session-Token") || path != u.Path[:len(u.Path)-len(key)-1] {
		return nil, errNotPlain
	}
	return &place{u.Scheme, u.Host, path + "/", scope[n-3], scope[n-2], client.Options().Credentials}, nil
}

// get requests a whole object. ok is false if the SDK has to request it.
func (g *getter) get(ctx context.Context, r *Reader, key string) (*body, bool) {
	answer := g.answer(ctx, r.root+key)
	if answer == nil {
		return nil, false
	}
	h := answer.Header
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err == nil && size >= 0 && h.Get("Last-Modified") != "" {
		g.failed.Store(0)
		return &body{r: r, ctx: ctx, key: key, etag: h.Get("ETag"), rest: size, from: answer.Body}, true
	}
	answer.Body.Close()
	g.failed.Add(1)
	return nil, false
}

// answer returns the response to a request for a whole object, or nil if it isn't a success.
func (g *getter) answer(ctx context.Context, key string) *http.Response {
	at := g.place
	if at == nil || g.failed.Load() >= maxFailed || strings.ContainsFunc(key, needsEscape) {
		return nil
	}
	with, err := at.credentials.Retrieve(ctx)
	if err != nil {
		return nil
	}
	done, err := g.meter.pace.Take(ctx)
	if err != nil {
		return nil
	}
	g.meter.count("GetObject")
	answer, err := g.send(ctx, at, with, key)
	if err != nil {
		done(false)
		g.failed.Add(1)
		return nil
	}
	g.meter.contact.record(nil)
	done(answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusTooManyRequests)
	if answer.StatusCode != http.StatusOK || isWebPage(answer.Header, nil) {
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound { // a normal response
			g.failed.Add(1)
		}
		return nil
	}
	return answer
}

// needsEscape reports whether a URL escapes a character.
func needsEscape(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || strings.ContainsRune("/_-.~", r))
}

// send sends the request.
func (g *getter) send(ctx context.Context, at *place, with aws.Credentials, key string) (*http.Response, error) {
	r := (&http.Request{
		Method: http.MethodGet, Host: at.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: at.scheme, Host: at.host, Path: at.path + key},
		Header: http.Header{
			"Accept-Encoding":      {"identity"}, // the bytes as they are stored
			"X-Amz-Content-Sha256": {emptyPayload},
		},
	}).WithContext(ctx)
	if g.agent != "" {
		r.Header["User-Agent"] = []string{g.agent}
	}
	if g.payer {
		r.Header["X-Amz-Request-Payer"] = []string{"requester"}
	}
	if err := g.signer.SignHTTP(ctx, with, r, emptyPayload, at.service, at.region, time.Now()); err != nil {
		return nil, err
	}
	return g.client.Do(r)
}

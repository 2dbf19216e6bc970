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

// getter asks for whole objects beside the SDK, which takes most of the processor time of
// a small one. The SDK is asked once where the bucket is and for what requests are
// signed; each request is then signed by the SDK's signer, sent by its HTTP client, and
// keeps to the same pace. Whatever is no plain success is asked again by the SDK: it
// knows about retries, other regions and the words of refusals.
type getter struct {
	client *http.Client
	meter  *meter
	signer *v4.Signer
	agent  string
	payer  bool   // whoever asks bears the cost
	place  *place // nil where the SDK has to ask

	failed atomic.Int32 // requests without success in a row
}

// place is where the objects of a bucket are asked for.
type place struct {
	scheme, host, path string // path stands before the key, and ends in a slash
	region, service    string // of the signature
	credentials        aws.CredentialsProvider
}

// maxFailed is how many requests in a row may fail before no more are sent: nothing is
// won then where each is sent twice.
const maxFailed = 8

// emptyPayload is the SHA-256 of no bytes.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func newGetter(ctx context.Context, client *http.Client, m *meter, sdk *s3.Client, o Options) *getter {
	g := &getter{
		client: client, meter: m, agent: o.UserAgent, payer: o.RequesterPays,
		signer: v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = true }), // as S3 wants it
	}
	if at, err := placeOf(ctx, sdk, o.Bucket); err == nil {
		g.place = at
	}
	return g
}

// errNotPlain is a place for which requests are signed in a way of its own.
var errNotPlain = errors.New("requests are not signed by version 4 of AWS's signature alone")

// placeOf asks the SDK for a link to an object, and takes it apart.
func placeOf(ctx context.Context, client *s3.Client, bucket string) (*place, error) {
	const key = "key"
	signed, err := s3.NewPresignClient(client, s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		o.APIOptions, o.ExpressCredentials = nil, nil // the client's own are not to be shared
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

// get asks for a whole object, and returns its bytes as they come. It is false where the
// SDK has to ask.
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

// answer returns the answer to a request for a whole object if it is a success, else nil.
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
	g.meter.contact.heard(nil)
	done(answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusTooManyRequests)
	if answer.StatusCode != http.StatusOK || isWebPage(answer.Header, nil) {
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound { // which is no trouble
			g.failed.Add(1)
		}
		return nil
	}
	return answer
}

// needsEscape reports whether a character is another one in a URL.
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

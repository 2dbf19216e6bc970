package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regfsck/backend"
)

// Options are the location of a bucket and how to access it. On AWS, fields other than Bucket
// may be zero.
type Options struct {
	Bucket  string
	Root    string // the path before docker/registry/v2, with or without slashes around it
	TestDir string // the directory that Open lists as a test, as a key; "" is the root

	Region    string // else the default chain's, and us-east-1 if Endpoint is set and the chain has none
	Endpoint  string // a URL, or host:port, of another server than AWS's
	Insecure  bool   // http, if Endpoint has no scheme
	PathStyle *bool  // /bucket/key instead of bucket.host/key; nil: if Endpoint is set

	// AccessKey and SecretKey, given together, replace the default chain:
	// environment, shared files, web identity, the role of the container or host.
	AccessKey, SecretKey, SessionToken string

	SkipVerify bool   // accept any certificate
	CA         string // file of PEM certificates to trust besides the system's

	DualStack, Accelerate, FIPS bool // AWS's other endpoints

	// Encryption and storage of written objects; zero values leave them to the bucket.
	Encrypt      bool   // the server encrypts objects
	KeyID        string // with this KMS key
	StorageClass string // "NONE" also leaves it to the bucket
	ACL          string // a canned ACL

	// RequesterPays sets the header by which the requester accepts the cost.
	RequesterPays bool

	Say func(line string) // called sometimes, from any goroutine, when requests are retried; may be nil

	UserAgent string  // a word added to the header; "" for none
	Workers   int     // pages of a listing requested in parallel; 0 is 16. Four times as many links are read in parallel
	Rate      float64 // maximal requests per second, retries included; 0 for no limit
	Attempts  int     // maximal attempts of a request; 0 is 8

	Backoff time.Duration // the longest wait between attempts; 0 is 20 seconds
}

const (
	defaultWorkers  = 16
	defaultAttempts = 8
	defaultBackoff  = 20 * time.Second
	fetchesAWorker  = 4
)

var errHalfKey = errors.New("an access key needs its secret key, and the other way round")

// complete checks the options and fills in the defaults that are the same for all servers.
func (o Options) complete() (Options, error) {
	switch {
	case o.Bucket == "":
		return o, errors.New("no bucket is named")
	case strings.ContainsAny(o.Bucket, "/?#\x00") && !strings.HasPrefix(o.Bucket, "arn:"):
		return o, fmt.Errorf("%q is no bucket's name", o.Bucket)
	case strings.HasSuffix(o.Bucket, "--x-s3"):
		return o, fmt.Errorf("%s is a directory bucket, which doesn't list keys in order: a registry can't use it", o.Bucket)
	case (o.AccessKey == "") != (o.SecretKey == ""), o.SessionToken != "" && o.AccessKey == "":
		return o, errHalfKey
	case o.Rate < 0:
		return o, fmt.Errorf("a rate of %v requests a second can't be kept", o.Rate)
	}
	var err error
	if o.Root, err = cleanRoot(o.Root); err != nil {
		return o, err
	}
	if o.TestDir, err = cleanRoot(o.TestDir); err != nil {
		return o, err
	}
	if o.Endpoint, err = cleanEndpoint(o.Endpoint, o.Insecure); err != nil {
		return o, err
	}
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultBackoff
	}
	return o, nil
}

// cleanRoot returns the prefix of all keys for a rootdirectory: "" or "path/". A registry's
// keys never begin with a slash.
func cleanRoot(root string) (string, error) {
	root = strings.Trim(root, "/")
	if root == "" {
		return "", nil
	}
	if err := backend.CheckKey("root", root); err != nil {
		return "", err
	}
	return root + "/", nil
}

// cleanEndpoint returns the endpoint as a URL.
func cleanEndpoint(endpoint string, insecure bool) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	if !strings.Contains(endpoint, "://") {
		scheme := "https://"
		if insecure {
			scheme = "http://"
		}
		endpoint = scheme + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.User != nil: // don't print either: it may contain a password
		return "", errors.New("the endpoint is no URL like https://host:port; credentials don't belong into it")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "":
		return "", fmt.Errorf("the endpoint %s is no URL like https://host:port", endpoint)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// open is Open without the test listing.
func open(ctx context.Context, o Options) (*Reader, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	r := &Reader{options: o, bucket: o.Bucket, root: o.Root, workers: o.Workers}
	r.name = "s3://" + o.Bucket + "/" + strings.TrimSuffix(o.Root, "/")
	r.contact.say = o.Say
	cfg, err := o.load(ctx, &r.contact)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", r.name, err)
	}
	client := newHTTPClient(cfg)
	r.idle = client.CloseIdleConnections
	m := newMeter(o, &r.counts, &r.contact)
	r.client = s3.NewFromConfig(cfg, func(s *s3.Options) {
		s.HTTPClient = client
		r.configure(s, o, m)
	})
	r.getter = newGetter(ctx, client, m, r.client, o)
	if r.client.Options().Region == "" {
		return nil, fmt.Errorf("open %s: %w", r.name, errNoRegion)
	}
	return r, nil
}

// errNoRegion replaces the SDK's error for a missing region.
var errNoRegion = errors.New("the region isn't known: pass --s3-region, or set AWS_REGION")

// load loads from the default chain what the options leave open.
func (o Options) load(ctx context.Context, first *contact) (aws.Config, error) {
	transport, err := o.transport(first)
	if err != nil {
		return aws.Config{}, err
	}
	with := []func(*config.LoadOptions) error{config.WithHTTPClient(transport)}
	if o.Region != "" {
		with = append(with, config.WithRegion(o.Region))
	}
	if o.AccessKey != "" {
		with = append(with, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return cfg, fmt.Errorf("read the settings of the environment and of the shared files: %w", err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, fmt.Errorf("no credentials: neither keys nor the default chain (environment, shared files, web identity, instance role) give any: %w", err)
	}
	return cfg, nil
}

// configure sets the options of a client.
func (r *Reader) configure(s *s3.Options, o Options, m *meter) {
	if o.Endpoint != "" {
		s.BaseEndpoint = aws.String(o.Endpoint)
	}
	custom := s.BaseEndpoint != nil // also from the environment
	if s.Region == "" && custom {
		s.Region = "us-east-1"
	}
	s.UsePathStyle = custom
	if o.PathStyle != nil {
		s.UsePathStyle = *o.PathStyle
	}
	s.UseAccelerate = o.Accelerate
	s.EndpointOptions.DisableHTTPS = o.Insecure
	if o.DualStack {
		s.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	if o.FIPS {
		s.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	// Other servers don't support the newer checksums; digests and ETags are checked here.
	s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	s.Retryer, s.RetryMaxAttempts = newRetryer(o, &r.contact), 0
	s.Logger = logging.Nop{}
	s.APIOptions = append(s.APIOptions, m.add)
	if o.RequesterPays {
		s.APIOptions = append(s.APIOptions, smithyhttp.AddHeaderValue("X-Amz-Request-Payer", "requester"))
	}
	if o.UserAgent != "" {
		s.APIOptions = append(s.APIOptions, awsmiddleware.AddUserAgentKey(o.UserAgent))
	}
}

// patience is the longest time without data in the middle of a response.
const patience = time.Minute

// transport returns the transport of connections. The default chain may add the certificates
// that the environment names.
func (o Options) transport(first *contact) (*awshttp.BuildableClient, error) {
	roots, err := certificates(o.CA)
	if err != nil {
		return nil, err
	}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = o.Workers * fetchesAWorker
		t.MaxIdleConns = 2 * t.MaxIdleConnsPerHost
		t.ResponseHeaderTimeout = patience
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.RootCAs = roots
		t.TLSClientConfig.InsecureSkipVerify = o.SkipVerify
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := first.dial(ctx, dial, network, address)
			if err != nil {
				return nil, err
			}
			return idleTimeoutConn{conn}, nil
		}
	}), nil
}

// certificates returns the system's certificates and those of the file; nil for the system's
// alone.
func certificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the certificates: %s holds none in PEM form", file)
	}
	return roots, nil
}

// newHTTPClient returns a client whose idle connections can be closed, unlike the SDK's. Like
// the SDK's, it only follows redirects that keep the request unchanged.
func newHTTPClient(cfg aws.Config) *http.Client {
	buildable := cfg.HTTPClient.(*awshttp.BuildableClient)
	return &http.Client{
		Transport: buildable.GetTransport(),
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			code := r.Response.StatusCode
			if len(via) > 3 || code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// idleTimeoutConn is a connection whose reads fail when no data is received or sent for too long.
type idleTimeoutConn struct{ net.Conn }

func (c idleTimeoutConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c idleTimeoutConn) Write(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

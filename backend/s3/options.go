package s3

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Options says where the bucket is and how to ask it. All but Bucket may be
// left zero on AWS.
type Options struct {
	Bucket string
	Root   string // the path before docker/registry/v2, with or without slashes around it
	Look   string // the folder that Open looks into, as a key; "" is the root

	Region    string // else the default chain's; with an endpoint of its own, else us-east-1
	Endpoint  string // a URL, or host:port, of another server than AWS's
	Insecure  bool   // http, where Endpoint doesn't say
	PathStyle *bool  // /bucket/key instead of bucket.host/key; nil: wherever there is an endpoint

	// AccessKey and SecretKey, given together, replace the default chain:
	// environment, shared files, web identity, the role of the container or host.
	AccessKey, SecretKey, SessionToken string

	SkipVerify bool   // take any certificate
	CA         string // file of PEM certificates to be trusted besides the system's

	DualStack, Accelerate, FIPS bool // AWS's other endpoints

	// What is written is encrypted and stored as these say; what they leave zero
	// is the bucket's to say.
	Encrypt      bool   // by the server
	KeyID        string // with this key of KMS
	StorageClass string // "NONE" leaves it to the bucket too
	ACL          string // a canned one

	// RequesterPays says on each request that whoever asks bears its cost.
	RequesterPays bool

	Say func(line string) // is told, now and then and from any goroutine, that a server in trouble is asked again; nil for nobody

	UserAgent string  // a word to be added to the header, "" for none
	Workers   int     // pages of a listing asked for side by side; 0 is 16. Four times as many links are fetched at once
	Rate      float64 // requests a second at most, retries included; 0 is no limit
	Attempts  int     // how often a request is tried while the server asks for patience; 0 is 8

	Backoff time.Duration // the longest wait between attempts, which grow until then; 0 is 20 seconds
}

const (
	defaultWorkers  = 16
	defaultAttempts = 8
	defaultBackoff  = 20 * time.Second
	fetchesAWorker  = 4
)

var errHalfKey = errors.New("an access key needs its secret key, and the other way round")

// complete checks the options and fills in what is the same for all servers.
func (o Options) complete() (Options, error) {
	switch {
	case o.Bucket == "":
		return o, errors.New("no bucket is named")
	case strings.ContainsAny(o.Bucket, "/?#\x00") && !strings.HasPrefix(o.Bucket, "arn:"):
		return o, fmt.Errorf("%q is no bucket's name", o.Bucket)
	case strings.HasSuffix(o.Bucket, "--x-s3"):
		return o, fmt.Errorf("%s is a directory bucket, which doesn't list in the order of keys: no registry can live in it", o.Bucket)
	case (o.AccessKey == "") != (o.SecretKey == ""), o.SessionToken != "" && o.AccessKey == "":
		return o, errHalfKey
	case o.Rate < 0:
		return o, fmt.Errorf("a rate of %v requests a second can't be kept", o.Rate)
	}
	var err error
	if o.Root, err = cleanRoot(o.Root); err != nil {
		return o, err
	}
	if o.Look, err = cleanRoot(o.Look); err != nil {
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

// cleanRoot turns rootdirectory into what keys begin with: "" or "path/". A
// registry's keys never begin with a slash, however it is written.
func cleanRoot(root string) (string, error) {
	root = strings.Trim(root, "/")
	if root == "" {
		return "", nil
	}
	if err := checkKey("root", root); err != nil {
		return "", err
	}
	return root + "/", nil
}

// cleanEndpoint returns a URL.
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
	case err != nil || u.User != nil: // neither may be told, lest a password is
		return "", errors.New("the endpoint is no URL like https://host:port; credentials don't belong into it")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "":
		return "", fmt.Errorf("the endpoint %s is no URL like https://host:port", endpoint)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

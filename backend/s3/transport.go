package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// patience is how long a server may stay silent in the middle of an answer.
const patience = time.Minute

// transport says how connections are made. The default chain may add the
// certificates that the environment names.
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
			return impatient{conn}, nil
		}
	}), nil
}

// certificates returns the system's and those of the file; nil for the system's alone.
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

// newHTTPClient returns a client whose idle connections can be closed, which
// the SDK's own doesn't offer. Like that one it follows only redirections that
// keep the request as it is.
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

// impatient is a connection whose reads fail when nothing comes for long, nor is
// anything sent.
type impatient struct{ net.Conn }

func (c impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c impatient) Write(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// sender sends requests. One that is to be secure speaks nothing but https, also where a
// registry sends it on, or names who gives out its tokens. Any other sends credentials
// over http to this machine alone, whoever asks for them.
type sender struct {
	*http.Transport
	secure    bool
	anonymous bool // it has no credentials but the tokens that anybody gets
}

// errPlain is an address without encryption, where encryption was asked for.
var errPlain = errors.New("sends on to an http:// address, and was named by https://")

// errBare is an address of another machine to which credentials would go without
// encryption.
var errBare = errors.New("wants the credentials of docker login at an http:// address of another machine, where anybody on the way could read them: they are not sent")

// RoundTrip is http.RoundTripper's.
func (s *sender) RoundTrip(q *http.Request) (*http.Response, error) {
	var refused error
	switch {
	case q.URL.Scheme == "https":
	case s.secure:
		refused = errPlain
	case !s.anonymous && !isLoopback(q.URL.Hostname()) && mayHoldSecrets(q):
		refused = errBare
	}
	if refused == nil {
		return s.Transport.RoundTrip(q)
	}
	if q.Body != nil {
		q.Body.Close()
	}
	return nil, refused
}

// mayHoldSecrets reports whether a request names who asks. What is posted does: it is a
// refresh token, or a password, for which a token is given.
func mayHoldSecrets(q *http.Request) bool {
	return q.Header.Get("Authorization") != "" || q.URL.User != nil || q.Method != http.MethodGet && q.Method != http.MethodHead
}

// transportOf returns what sends requests to a host and trusts the authorities that
// Docker does.
func transportOf(host string, secure bool, directories []string) (*sender, error) {
	settings, err := certificates(host, directories)
	if err != nil {
		return nil, err
	}
	return &sender{secure: secure, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       settings,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: patience,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       time.Minute,
	}}, nil
}

// certificates are those that stand in a host's directory, as Docker reads them
// (docs.docker.com/engine/security/certificates).
func certificates(host string, directories []string) (*tls.Config, error) {
	settings := &tls.Config{}
	for _, dir := range directories {
		entries, err := os.ReadDir(filepath.Join(dir, host))
		if err != nil { // most hosts have none
			continue
		}
		for _, e := range entries {
			path := filepath.Join(dir, host, e.Name())
			switch filepath.Ext(path) {
			case ".crt":
				pem, err := os.ReadFile(path)
				if err != nil {
					return nil, fmt.Errorf("the authority %s: %w", path, err)
				}
				if settings.RootCAs == nil {
					if settings.RootCAs, err = x509.SystemCertPool(); err != nil {
						settings.RootCAs = x509.NewCertPool()
					}
				}
				if !settings.RootCAs.AppendCertsFromPEM(pem) {
					return nil, fmt.Errorf("the authority %s holds no certificate", path)
				}
			case ".cert":
				pair, err := tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".cert")+".key")
				if err != nil {
					return nil, fmt.Errorf("the certificate %s: %w", path, err)
				}
				settings.Certificates = append(settings.Certificates, pair)
			}
		}
	}
	return settings, nil
}

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

// sender sends requests. A secure one uses only https, also for redirects and token
// servers. Any other sends credentials over http only to this machine, whichever server requires
// them.
type sender struct {
	*http.Transport
	secure    bool
	anonymous bool // it has no credentials except anonymous tokens
}

// errPlain: an address is http, but the registry was named by https.
var errPlain = errors.New("sends on to an http:// address, and was named by https://")

// errBare: credentials would be sent without encryption to another machine.
var errBare = errors.New("asks for the credentials of docker login over http:// to another machine, where others could read them: they were not sent")

// RoundTrip implements http.RoundTripper.
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

// mayHoldSecrets reports whether a request may have credentials. The body of a POST has: it
// is a refresh token or a password, in exchange for a token.
func mayHoldSecrets(q *http.Request) bool {
	return q.Header.Get("Authorization") != "" || q.URL.User != nil || q.Method != http.MethodGet && q.Method != http.MethodHead
}

// transportOf returns a sender for a host, which trusts the certificate authorities that
// Docker trusts.
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
		ResponseHeaderTimeout: timeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       time.Minute,
	}}, nil
}

// certificates returns the TLS settings in a host's directory, as Docker reads them
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

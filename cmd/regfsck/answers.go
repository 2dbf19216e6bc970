package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"regfsck/cmd/regfsck/target"
)

// patience is how long a registry may take to answer.
const patience = 2 * time.Second

// answers tells whether a registry is at work at an address. It only asks for
// the API's root, and sends nothing.
func answers(ctx context.Context, s target.Server) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL(), nil)
	if err != nil {
		return false
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		// No name is certified for the way from the machine to itself, and
		// nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, s.Network, s.Address)
		},
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil { // one that asks for a certificate is there, too
		var alert *net.OpError
		return errors.As(err, &alert) && alert.Op == "remote error"
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized:
		return true
	}
	return response.Header.Get("Docker-Distribution-Api-Version") != ""
}

package location

import (
	"net"
	"net/url"
	"strings"
)

// Server is where a configuration lets its registry answer. The zero Server is
// unknown.
type Server struct {
	Network  string // "tcp" or "unix"
	Address  string // host and port to ask, on this machine unless a host is configured; or a socket's path
	Prefix   string // of all paths, with slashes around it
	TLS      bool
	ReadOnly bool // it is configured to take no pushes
}

// String returns the address for people.
func (s Server) String() string { return s.Address }

// URL returns the address of the API's root.
func (s Server) URL() string {
	u := url.URL{Scheme: "http", Host: s.Address, Path: s.Prefix + "v2/"}
	if s.TLS {
		u.Scheme = "https"
	}
	if s.Network == "unix" {
		u.Host = "localhost"
	}
	return u.String()
}

// server reads leniently where a registry answers; overrides are heeded.
func (s settings) server(readOnly bool) Server {
	get := func(keys ...string) string { return s.text(append([]string{"http"}, keys...)...) }
	to := Server{
		Network: "tcp", Address: get("addr"), Prefix: "/" + strings.Trim(get("prefix"), "/") + "/", ReadOnly: readOnly,
		TLS: get("tls", "certificate") != "" || get("tls", "letsencrypt", "cachefile") != "",
	}
	if to.Address == "" {
		return Server{}
	}
	if to.Prefix == "//" {
		to.Prefix = "/"
	}
	if get("net") == "unix" {
		to.Network = "unix"
		return to
	}
	host, port, err := net.SplitHostPort(to.Address)
	if err != nil {
		return Server{}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	to.Address = net.JoinHostPort(host, port)
	return to
}

// redis returns the address of the Redis that remembers what blobs there are,
// "" if none does. A configuration that names one without an address gets
// "Redis".
func (s settings) redis(cache string) string {
	if cache != "redis" {
		return ""
	}
	for _, keys := range [][]string{{"redis", "addr"}, {"redis", "addrs"}, {"redis", "addrs", "0"}} {
		if at := strings.Trim(s.text(keys...), "[] "); at != "" {
			return at[strings.LastIndexByte(at, '@')+1:] // what stands before may be a password
		}
	}
	return "Redis"
}

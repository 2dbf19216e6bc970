package location

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"regfsck/backend"
)

// Server is the address of a registry. The zero Server is unknown.
type Server struct {
	Network  string // "tcp" or "unix"
	Address  string // host and port, on this machine unless a host is configured; or a socket's path
	Prefix   string // of all paths, with slashes around it
	TLS      bool
	ReadOnly bool // it is configured to accept no pushes
}

// String returns the address.
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

// ParseServer parses the address of a registry: HOST:PORT, http://HOST:PORT or
// https://HOST/PREFIX. The error never holds the part before an @, which may be a password.
func ParseServer(address string) (Server, error) {
	whole := address
	if !strings.Contains(address, "://") {
		whole = "http://" + address
	}
	u, err := url.Parse(whole)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return Server{}, fmt.Errorf("%s is no address of a registry, such as localhost:5000 or https://registry.example", backend.HideUser(whole))
	case u.User != nil:
		return Server{}, fmt.Errorf("%s: an address can't have a user name; leave out the part before the @", backend.HideUser(whole))
	case u.Scheme != "http" && u.Scheme != "https":
		return Server{}, fmt.Errorf("%s: a registry is asked by http or https", address)
	case u.Port() == "" && whole != address:
		return Server{}, fmt.Errorf("%s names no port: a registry's own is 5000, so %s:5000; or begin it with https://", address, u.Host)
	}
	to := Server{Network: "tcp", Address: u.Host, TLS: u.Scheme == "https", Prefix: "/"}
	if u.Port() == "" {
		to.Address = net.JoinHostPort(u.Hostname(), map[bool]string{false: "80", true: "443"}[to.TLS])
	}
	if path := strings.Trim(strings.TrimSuffix(strings.Trim(u.Path, "/"), "v2"), "/"); path != "" {
		to.Prefix = "/" + path + "/"
	}
	return to, nil
}

// server returns the address of the registry, read leniently with its overrides.
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

// redis returns the address of the Redis that caches blob descriptors, "" for none, "Redis"
// if its address is missing.
func (s settings) redis(cache string) string {
	if cache != "redis" {
		return ""
	}
	for _, keys := range [][]string{{"redis", "addr"}, {"redis", "addrs"}, {"redis", "addrs", "0"}} {
		if at := strings.Trim(s.text(keys...), "[] "); at != "" {
			return at[strings.LastIndexByte(at, '@')+1:] // the part before it may be a password
		}
	}
	return "Redis"
}

// redisDatabase returns host, port and database of the Redis, "" if there may be several:
// registries 2.x read addr, 3.x read addrs, where a list is a cluster or sentinels.
func (s settings) redisDatabase() string {
	only := ""
	for _, keys := range [][]string{{"addr"}, {"addrs"}, {"addrs", "0"}, {"addrs", "1"}, {"mastername"}} {
		switch at := s.text(append([]string{"redis"}, keys...)...); {
		case at == "" || at == only:
		case only != "" || keys[0] == "mastername":
			return ""
		default:
			only = at
		}
	}
	db := s.text("redis", "db")
	if db == "" {
		db = "0"
	}
	if _, _, err := net.SplitHostPort(only); err != nil {
		return ""
	}
	return only + "/" + db
}

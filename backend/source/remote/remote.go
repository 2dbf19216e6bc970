// Package remote uses a running registry as a source of blobs: a mirror, a replica, the
// registry of another site. It pulls by the registry's API, with the credentials of docker
// login and the certificates that Docker trusts
// (github.com/opencontainers/distribution-spec, section Pull).
//
// A registry serves a blob only in repositories that link it. So the blob is requested in
// the repositories that need it, under their names in that registry.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"regfsck/backend/source"
)

// timeout is how long a registry may be silent: long enough for the client's retries, and
// for the registry to restart.
const timeout = time.Minute

// maxAsked is in how many repositories a blob is looked for: none of a thousand
// repositories that share a layer may exist in that registry.
const maxAsked = 32

// Options say how to use a registry.
type Options struct {
	// Renamed maps a repository of the store to its names in the registry, if they differ.
	Renamed map[string][]string
	// Certificates are directories like Docker's /etc/docker/certs.d. In the subdirectory
	// named after a host, *.crt are trusted authorities, and *.cert with *.key are client
	// certificates.
	Certificates []string
	// Credentials are the credentials; nil for those of docker login.
	Credentials authn.Keychain
}

// Is reports whether an address is that of a registry.
func Is(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// New returns the registry at an address, https://host[:port][/prefix], as a source. The
// prefix is put before the names of all repositories. Nothing is sent before the first blob
// is requested. Over http:// credentials are sent only to this machine, even if a registry
// on this machine names another token server. Errors are sentences for the operator,
// without secrets.
func New(address string, o Options) (source.Source, error) {
	r, err := open(address, o)
	if err != nil {
		return nil, err
	}
	return source.WithTimeout(r, timeout), nil
}

// open is New without a timeout.
func open(address string, o Options) (*registry, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("this is no address of a registry: https://host[:port][/prefix] is one")
	case u.User != nil:
		return nil, fmt.Errorf("%s://%s: an address holds no password here: docker login keeps it, and is asked for it", u.Scheme, u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s://%s: an address of a registry is https://host[:port][/prefix], without a question or a mark", u.Scheme, u.Host)
	}
	secure := u.Scheme == "https"
	var form []name.Option
	if !secure {
		form = append(form, name.Insecure)
	}
	host, err := name.NewRegistry(u.Host, form...)
	if err != nil {
		return nil, fmt.Errorf("%s is no host of a registry", u.Host)
	}
	base, err := transportOf(u.Host, secure, o.Certificates)
	if err != nil {
		return nil, err
	}
	r := &registry{
		name: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), host: host, prefix: strings.Trim(u.Path, "/"), options: o,
		base: transport.NewRetry(base), idle: base.CloseIdleConnections,
		clients: map[string]*client{}, found: map[string]location{},
	}
	if r.options.Credentials == nil {
		r.options.Credentials = authn.DefaultKeychain
	}
	if base.anonymous = !secure && !isLoopback(u.Hostname()); base.anonymous {
		r.options.Credentials = authn.NewMultiKeychain()
	}
	return r, nil
}

// registry implements source.Source for a registry.
type registry struct {
	name    string
	host    name.Registry
	prefix  string
	options Options
	base    http.RoundTripper
	idle    func()

	mu      sync.Mutex
	clients map[string]*client  // by repository
	found   map[string]location // by digest
	down    error               // set once it can't be reached; then it gets no more requests
}

// location is where a registry has a blob.
type location struct {
	client *client
	path   string
	size   int64
}

// client sends requests for one repository.
type client struct {
	repository string
	mu         sync.Mutex
	http       *http.Client // nil until the registry's authentication is known
}

// String implements source.Source.
func (r *registry) String() string { return r.name }

// Close implements source.Source.
func (r *registry) Close() error {
	r.idle()
	return nil
}

// Size implements source.Source.
func (r *registry) Size(ctx context.Context, b source.Blob) (int64, error) {
	at, err := r.find(ctx, b)
	return at.size, err
}

// Open implements source.Source.
func (r *registry) Open(ctx context.Context, b source.Blob) (io.ReadCloser, error) {
	at, err := r.find(ctx, b)
	if err != nil {
		return nil, err
	}
	f := &content{ctx: ctx, registry: r, at: at}
	if err := f.request(); err != nil {
		return nil, err
	}
	return f, nil
}

// repositories returns the repositories in which to look for a blob: renamed ones first.
func (r *registry) repositories(b source.Blob) (all []string) {
	seen := map[string]bool{}
	add := func(repository string) {
		if repository = strings.TrimPrefix(r.prefix+"/"+repository, "/"); !seen[repository] {
			seen[repository] = true
			all = append(all, repository)
		}
	}
	for _, repository := range b.Repositories {
		for _, there := range r.options.Renamed[repository] {
			add(there)
		}
	}
	for _, repository := range b.Repositories {
		add(repository)
	}
	return all
}

// find returns where the registry has a blob. Only a blob that was found is remembered.
func (r *registry) find(ctx context.Context, b source.Blob) (location, error) {
	digest := b.Digest.String()
	r.mu.Lock()
	at, known := r.found[digest]
	r.mu.Unlock()
	if known {
		return at, nil
	}
	all := r.repositories(b)
	err := fmt.Errorf("%s: %w", digest, fs.ErrNotExist)
	for i, repository := range all {
		if i == maxAsked {
			return location{}, fmt.Errorf("hasn't it in the first %d of the %d repositories that need it", maxAsked, len(all))
		}
		at, asked := r.head(ctx, repository, b)
		if asked == nil {
			r.mu.Lock()
			r.found[digest] = at
			r.mu.Unlock()
			return at, nil
		}
		if ctx.Err() != nil {
			return location{}, ctx.Err()
		}
		if source.IsNone(err) && !source.IsNone(asked) {
			err = fmt.Errorf("%s: %w", repository, asked)
		}
	}
	return location{}, err
}

// head looks for a blob in one repository.
func (r *registry) head(ctx context.Context, repository string, b source.Blob) (location, error) {
	kinds := []string{"blobs", "manifests"}
	if b.Manifest {
		kinds = []string{"manifests"}
	}
	c := r.client(repository)
	var err error
	for _, kind := range kinds {
		at := location{client: c, path: kind + "/" + b.Digest.String()}
		var answer *http.Response
		if answer, err = r.do(ctx, c, http.MethodHead, at.path, ""); err != nil {
			if source.IsNone(err) {
				continue
			}
			return location{}, err
		}
		answer.Body.Close()
		if at.size = answer.ContentLength; at.size < 0 {
			return location{}, errors.New("doesn't return the blob's size")
		}
		return at, nil
	}
	return location{}, err
}

// client returns the client of a repository.
func (r *registry) client(repository string) *client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[repository]
	if c == nil {
		c = &client{repository: repository}
		r.clients[repository] = c
	}
	return c
}

// open returns an HTTP client for the repository. The first call authenticates: it sends a
// request to the registry, and one to its token server.
func (r *registry) open(ctx context.Context, c *client) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		return c.http, nil
	}
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if down != nil {
		return nil, down
	}
	auth, err := authn.Resolve(ctx, r.options.Credentials, r.host)
	if err != nil {
		return nil, fmt.Errorf("the credentials of docker login can't be read: %w", err)
	}
	tr, err := transport.NewWithContext(ctx, r.host, auth, r.base, []string{"repository:" + c.repository + ":" + transport.PullScope})
	if err != nil {
		if _, answered := errors.AsType[*transport.Error](err); !answered && ctx.Err() == nil {
			r.mu.Lock()
			r.down = reasonOf(err) // each attempt takes seconds, and there may be very many blobs
			r.mu.Unlock()
		}
		return nil, reasonOf(err)
	}
	c.http = &http.Client{Transport: tr}
	return c.http, nil
}

// accepted are all forms of manifests, since the digest identifies the bytes.
const accepted = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.v1+prettyjws, */*"

// do sends a request for a path in a repository; byteRange is the value of Range, "" for
// all bytes.
func (r *registry) do(ctx context.Context, c *client, method, path, byteRange string) (*http.Response, error) {
	h, err := r.open(ctx, c)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: r.host.Scheme(), Host: r.host.RegistryStr(), Path: "/v2/" + c.repository + "/" + path}
	q, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, reasonOf(err)
	}
	q.Header.Set("Accept", accepted)
	want := http.StatusOK
	if byteRange != "" {
		q.Header.Set("Range", byteRange)
		want = http.StatusPartialContent
	}
	answer, err := h.Do(q)
	if err != nil {
		return nil, reasonOf(err)
	}
	if err := transport.CheckError(answer, want); err != nil {
		answer.Body.Close()
		return nil, reasonOf(err)
	}
	return answer, nil
}

// maxResumed is how often in a row a download is resumed after a broken connection.
const maxResumed = 5

// content reads a blob, and resumes a broken download.
type content struct {
	ctx      context.Context
	registry *registry
	at       location
	from     io.ReadCloser
	read     int64
	resumed  int // since the last byte
}

// request requests the bytes that weren't read yet.
func (f *content) request() error {
	byteRange := ""
	if f.read > 0 {
		byteRange = fmt.Sprintf("bytes=%d-", f.read)
	}
	answer, err := f.registry.do(f.ctx, f.at.client, http.MethodGet, f.at.path, byteRange)
	if err != nil {
		return err
	}
	f.from = answer.Body
	return nil
}

// Read implements io.Reader.
func (f *content) Read(p []byte) (int, error) {
	for {
		n, err := f.from.Read(p)
		f.read += int64(n)
		switch {
		case n > 0:
			f.resumed = 0
			return n, nil
		case err == nil:
			continue
		case err == io.EOF && f.read >= f.at.size:
			return 0, io.EOF
		case f.resumed == maxResumed || f.ctx.Err() != nil:
			return 0, reasonOf(err)
		}
		f.resumed++
		f.from.Close()
		f.from = http.NoBody
		if err := f.request(); err != nil {
			return 0, err
		}
	}
}

// Close implements io.Closer.
func (f *content) Close() error { return f.from.Close() }

// reasonOf returns the reason of an error without the address: that of a redirect may grant
// access like a password.
func reasonOf(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	refused, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return err
	}
	said := fmt.Sprintf("%d %s", refused.StatusCode, http.StatusText(refused.StatusCode))
	for _, d := range refused.Errors {
		said += ", " + string(d.Code)
	}
	switch refused.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("answers %s: %w", said, fs.ErrNotExist)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("answers %s: docker login, as the user who runs this, gets a password that may pull", said)
	}
	return fmt.Errorf("answers %s", said)
}

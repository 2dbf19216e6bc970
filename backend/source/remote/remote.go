// Package remote has a registry that is at work as a source of blobs: a mirror, a
// replica, the registry of another site. It is asked over its own interface, with the
// credentials that docker login has stored and the certificates that Docker trusts
// (github.com/opencontainers/distribution-spec, section Pull).
//
// A registry serves a blob only in a repository that links it. So it is asked in the
// repositories that need the blob, and in those that they are called there.
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

// patience is how long a registry may be silent before it is given up: with the attempts
// of a client, and longer than it takes to be started again.
const patience = time.Minute

// maxAsked is in how many repositories a blob is looked for: a layer that a thousand
// images share may be in none of their repositories there.
const maxAsked = 32

// Options say how a registry is asked.
type Options struct {
	// Renamed are the names there of the store's repositories, as far as they differ.
	Renamed map[string][]string
	// Certificates are directories like Docker's own, /etc/docker/certs.d: below the name
	// of a host, *.crt are authorities that are trusted, and *.cert with *.key is who asks.
	Certificates []string
	// Credentials are those of docker login where it is nil.
	Credentials authn.Keychain
}

// Is reports whether an address is a registry's.
func Is(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// New returns the registry at an address, https://host[:port][/prefix], as a source. The
// prefix stands before the names of all repositories. Nothing is asked before a blob is.
// Over http:// no credentials are sent but to this machine, also where a registry of this
// machine asks for them elsewhere. Errors are sentences for the
// operator, and hold no secret.
func New(address string, o Options) (source.Source, error) {
	r, err := open(address, o)
	if err != nil {
		return nil, err
	}
	return source.WithPatience(r, patience), nil
}

// open is New, of a registry that is waited for without an end.
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
		clients: map[string]*client{}, found: map[string]place{},
	}
	if r.options.Credentials == nil {
		r.options.Credentials = authn.DefaultKeychain
	}
	if base.anonymous = !secure && !isLoopback(u.Hostname()); base.anonymous {
		r.options.Credentials = authn.NewMultiKeychain()
	}
	return r, nil
}

// registry is a registry as a source.
type registry struct {
	name    string
	host    name.Registry
	prefix  string
	options Options
	base    http.RoundTripper
	idle    func()

	mu      sync.Mutex
	clients map[string]*client // by repository
	found   map[string]place   // by digest
	down    error              // why it isn't asked any more: it can't be reached
}

// place is where a registry has a blob.
type place struct {
	client *client
	path   string
	size   int64
}

// client asks in one repository.
type client struct {
	repository string
	mu         sync.Mutex
	http       *http.Client // nil until it is known how the registry wants to be asked
}

// String is Source's.
func (r *registry) String() string { return r.name }

// Close is Source's.
func (r *registry) Close() error {
	r.idle()
	return nil
}

// Size is Source's.
func (r *registry) Size(ctx context.Context, b source.Blob) (int64, error) {
	at, err := r.find(ctx, b)
	return at.size, err
}

// Open is Source's.
func (r *registry) Open(ctx context.Context, b source.Blob) (io.ReadCloser, error) {
	at, err := r.find(ctx, b)
	if err != nil {
		return nil, err
	}
	f := &content{ctx: ctx, registry: r, at: at}
	if err := f.ask(); err != nil {
		return nil, err
	}
	return f, nil
}

// repositories are those in which a blob is looked for: under its name there first, where
// it has another.
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

// find finds out in which repository the registry has a blob, as what, and how large.
// Only what is found is remembered.
func (r *registry) find(ctx context.Context, b source.Blob) (place, error) {
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
			return place{}, fmt.Errorf("hasn't it in the first %d of the %d repositories that need it", maxAsked, len(all))
		}
		at, asked := r.look(ctx, repository, b)
		if asked == nil {
			r.mu.Lock()
			r.found[digest] = at
			r.mu.Unlock()
			return at, nil
		}
		if ctx.Err() != nil {
			return place{}, ctx.Err()
		}
		if source.IsNone(err) && !source.IsNone(asked) {
			err = fmt.Errorf("%s: %w", repository, asked)
		}
	}
	return place{}, err
}

// look asks one repository for a blob.
func (r *registry) look(ctx context.Context, repository string, b source.Blob) (place, error) {
	kinds := []string{"blobs", "manifests"}
	if b.Manifest {
		kinds = []string{"manifests"}
	}
	c := r.client(repository)
	var err error
	for _, kind := range kinds {
		at := place{client: c, path: kind + "/" + b.Digest.String()}
		var answer *http.Response
		if answer, err = r.do(ctx, c, http.MethodHead, at.path, ""); err != nil {
			if source.IsNone(err) {
				continue
			}
			return place{}, err
		}
		answer.Body.Close()
		if at.size = answer.ContentLength; at.size < 0 {
			return place{}, errors.New("doesn't say how many bytes it has")
		}
		return at, nil
	}
	return place{}, err
}

// client returns what asks in a repository.
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

// open finds out how the registry wants to be asked in the repository: that takes a
// question to it, and one to whoever gives out its tokens.
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
			r.down = reasonOf(err) // each attempt takes seconds, and there may be a great many blobs
			r.mu.Unlock()
		}
		return nil, reasonOf(err)
	}
	c.http = &http.Client{Transport: tr}
	return c.http, nil
}

// accepted are the forms of manifests that are asked for: whichever it has, since the
// digest says which bytes are meant.
const accepted = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.v1+prettyjws, */*"

// do asks for something in a repository; part is which of its bytes, "" for all.
func (r *registry) do(ctx context.Context, c *client, method, path, part string) (*http.Response, error) {
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
	if part != "" {
		q.Header.Set("Range", part)
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

// maxResumed is how often the rest of a blob is asked for, after a connection broke.
const maxResumed = 5

// content is the bytes of a blob as they come.
type content struct {
	ctx      context.Context
	registry *registry
	at       place
	from     io.ReadCloser
	read     int64
	resumed  int // since the last byte
}

// ask asks for the bytes from the one on that was read last.
func (f *content) ask() error {
	part := ""
	if f.read > 0 {
		part = fmt.Sprintf("bytes=%d-", f.read)
	}
	answer, err := f.registry.do(f.ctx, f.at.client, http.MethodGet, f.at.path, part)
	if err != nil {
		return err
	}
	f.from = answer.Body
	return nil
}

// Read is io.Reader's.
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
		if err := f.ask(); err != nil {
			return 0, err
		}
	}
}

// Close is io.Closer's.
func (f *content) Close() error { return f.from.Close() }

// reasonOf says what went wrong, without the address: where a registry sends somebody on,
// the address of that is as good as a password.
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

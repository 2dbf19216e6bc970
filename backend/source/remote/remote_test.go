package remote

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"regfsck/backend/source"
	"regfsck/walker/layout"
)

// mirror is a registry in a test: blobs by repository, and its faults.
type mirror struct {
	blobs     map[string]string // "team/app/blobs/sha256:…" and "…/manifests/…"
	password  string            // required of clients; "" for none
	cut       atomic.Int32      // so many responses are truncated
	elsewhere string            // the server to which it redirects reads of blobs; "" for itself
	asked     atomic.Int32
	auth      atomic.Value // the credentials of the last request
}

// ServeHTTP responds as a registry does.
func (m *mirror) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	m.asked.Add(1)
	m.auth.Store(q.Header.Get("Authorization"))
	if m.password != "" && q.Header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:"+m.password)) {
		w.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path, _ := strings.CutPrefix(q.URL.Path, "/v2/")
	if path == "" {
		return
	}
	body, ok := m.blobs[path]
	switch {
	case !ok:
		http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}`, http.StatusNotFound)
	case m.elsewhere != "" && q.Method == http.MethodGet:
		http.Redirect(w, q, m.elsewhere+"?signature=secret", http.StatusTemporaryRedirect)
	case m.cut.Load() > 0 && q.Method == http.MethodGet:
		m.cut.Add(-1)
		from := 0
		if part := q.Header.Get("Range"); part != "" {
			fmt.Sscanf(part, "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		io.WriteString(w, body[from:from+(len(body)-from+1)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.ServeContent(w, q, "", time.Time{}, strings.NewReader(body))
	}
}

// keys is a keychain with one password for all registries.
type keys string

// Resolve implements authn.Keychain.
func (k keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: "me", Password: string(k)}), nil
}

// known is a keychain with the same credentials for all registries.
type known authn.AuthConfig

// Resolve implements authn.Keychain.
func (k known) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

// blobOf returns the source.Blob of a body.
func blobOf(body string, repositories ...string) source.Blob {
	return source.Blob{Digest: layout.AnyDigest{Digest: layout.Sum([]byte(body))}, Repositories: repositories}
}

// read reads a blob of a source to its end.
func read(s source.Source, b source.Blob) (string, error) {
	size, err := s.Size(context.Background(), b)
	if err != nil {
		return "", err
	}
	f, err := s.Open(context.Background(), b)
	if err != nil {
		return "", err
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err == nil && int64(len(body)) != size {
		err = fmt.Errorf("%d bytes, and %d were announced", len(body), size)
	}
	return string(body), err
}

// TestAddresses: an invalid address is rejected, and no password printed.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"https://me:secret@host/x":    "docker login",
		"https://":                    "no address of a registry",
		"https://host/x?token=secret": "without a question",
		"https://host:port:port":      "no ",
	} {
		if _, err := New(address, Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{"https://host/a/b/": "https://host/a/b", "http://127.0.0.1:5000": "http://127.0.0.1:5000"} {
		s, err := New(address, Options{})
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v", address, s, err)
		}
	}
}

// TestRepositories: a blob is requested only in the repositories that need it, below the
// prefix and under their names there, as a blob or as a manifest.
func TestRepositories(t *testing.T) {
	body := strings.Repeat("layer ", 100_000)
	digest := layout.Sum([]byte(body)).String()
	m := &mirror{blobs: map[string]string{}, password: "secret"}
	server := httptest.NewServer(m)
	defer server.Close()
	open := func(prefix string, renamed map[string][]string) source.Source {
		s, err := New(server.URL+prefix, Options{Credentials: keys("secret"), Renamed: renamed})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for path, try := range map[string]struct {
		prefix  string
		renamed map[string][]string
		blob    source.Blob
	}{
		"team/app/blobs/":       {"", nil, blobOf(body, "other", "team/app")},
		"cache/team/app/blobs/": {"/cache", nil, blobOf(body, "team/app")},
		"old/app/blobs/":        {"", map[string][]string{"app": {"none", "old/app"}}, blobOf(body, "app")},
		"app/manifests/":        {"", nil, blobOf(body, "app")},
	} {
		m.blobs = map[string]string{path + digest: body}
		s := open(try.prefix, try.renamed)
		if is, err := read(s, try.blob); err != nil || is != body {
			t.Errorf("%s: %d bytes, %v", path, len(is), err)
		}
		if _, err := s.Size(t.Context(), blobOf("another", "app")); !source.IsNone(err) {
			t.Errorf("%s: another: %v", path, err)
		}
		if _, err := open(try.prefix, nil).Size(t.Context(), blobOf(body, "nowhere")); !source.IsNone(err) {
			t.Errorf("%s is in another repository: %v", path, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	many := make([]string, maxAsked+1)
	for i := range many {
		many[i] = fmt.Sprint("r", i)
	}
	if _, err := open("", nil).Size(t.Context(), blobOf("another", many...)); err == nil || source.IsNone(err) {
		t.Errorf("what wasn't looked at is called none: %v", err)
	}
}

// TestDenied: denied access is never an absent blob, and no password is printed.
func TestDenied(t *testing.T) {
	m := &mirror{blobs: map[string]string{}, password: "secret"}
	server := httptest.NewServer(m)
	defer server.Close()
	s, err := New(server.URL, Options{Credentials: keys("wrongone")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Size(t.Context(), blobOf("x", "app")); err == nil || source.IsNone(err) || !strings.Contains(err.Error(), "docker login") || strings.Contains(err.Error(), "wrongone") {
		t.Error(err)
	}
}

// TestCut: a broken download is resumed; one that always breaks is an error.
func TestCut(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	b := blobOf(body, "app")
	m := &mirror{blobs: map[string]string{"app/blobs/" + b.Digest.String(): body}}
	server := httptest.NewServer(m)
	defer server.Close()
	s, err := New(server.URL, Options{Credentials: keys("")})
	if err != nil {
		t.Fatal(err)
	}
	m.cut.Store(3)
	if is, err := read(s, b); err != nil || is != body {
		t.Errorf("%d bytes, %v", len(is), err)
	}
	m.cut.Store(0)
	m.blobs = map[string]string{}
	if _, err := s.Open(t.Context(), b); !source.IsNone(err) {
		t.Errorf("a blob that was removed meanwhile: %v", err)
	}
}

// TestTrust: only the authorities of the machine and of Docker's directory are trusted, a
// registry with an https address is never contacted by http, and the address of a redirect
// isn't printed.
func TestTrust(t *testing.T) {
	body := "a layer"
	b := blobOf(body, "app")
	m := &mirror{blobs: map[string]string{"app/blobs/" + b.Digest.String(): body}}
	server := httptest.NewTLSServer(m)
	defer server.Close()
	server.Config.ErrorLog = nil
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	defer plain.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	dir := t.TempDir()
	open := func() source.Source {
		s, err := New(server.URL, Options{Credentials: keys("secret"), Certificates: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := open().Size(t.Context(), b); err == nil || source.IsNone(err) {
		t.Errorf("an unknown authority: %v", err)
	}
	at := filepath.Join(dir, host, "ca.crt")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	if is, err := read(open(), b); err != nil || is != body {
		t.Errorf("%q, %v", is, err)
	}
	m.elsewhere = plain.URL
	if _, err := read(open(), b); !errors.Is(err, errPlain) || strings.Contains(err.Error(), "signature") {
		t.Errorf("sent on to http: %v", err)
	}
	if err := os.WriteFile(at, []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(server.URL, Options{Certificates: []string{dir}}); err == nil {
		t.Error("an authority that is none is accepted")
	}
}

// TestPlainKeepsSecrets: over http:// credentials are sent only to this machine.
func TestPlainKeepsSecrets(t *testing.T) {
	for address, want := range map[string]bool{"http://127.0.0.1:1": true, "http://localhost:1": true, "http://[::1]:1": true, "http://192.0.2.1:1": false, "http://mirror.example:1": false} {
		r, err := open(address, Options{Credentials: keys("secret")})
		if err != nil {
			t.Fatal(err)
		}
		auth, err := authn.Resolve(t.Context(), r.options.Credentials, r.host)
		if err != nil {
			t.Fatal(err)
		}
		if (auth != authn.Anonymous) != want {
			t.Errorf("%s: %v", address, auth)
		}
	}
}

// TestTokenServers: a token server on another machine, named or redirected to by a registry on
// this machine, gets a password or refresh token only by https; for a registry with an https
// address that is true on every machine. Other requests to it identify no user, and anonymous
// ones succeed. The name LOCALHOST isn't recognised as this machine, and represents another
// one.
func TestTokenServers(t *testing.T) {
	body := "a layer"
	b := blobOf(body, "app")
	var told atomic.Value // the secrets sent to the other machine
	var anybody atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		sent, _ := io.ReadAll(q.Body)
		if told.Store(q.Method + q.Header.Get("Authorization") + string(sent)); q.Method == http.MethodGet && q.Header.Get("Authorization") == "" {
			anybody.Add(1)
		}
		io.WriteString(w, `{"token":"of-anybody"}`)
	}))
	defer other.Close()
	foreign := strings.Replace(other.URL, "127.0.0.1", "LOCALHOST", 1)
	realm := ""
	var tokens atomic.Int32
	registry := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/token":
			tokens.Add(1)
			http.Redirect(w, q, foreign+"/token", http.StatusTemporaryRedirect)
		case q.Header.Get("Authorization") != "Bearer of-anybody":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		case q.URL.Path == "/v2/app/blobs/"+b.Digest.String():
			http.ServeContent(w, q, "", time.Time{}, strings.NewReader(body))
		}
	})
	plain, secure := httptest.NewServer(registry), httptest.NewTLSServer(registry)
	defer plain.Close()
	defer secure.Close()
	secure.Config.ErrorLog = nil
	dir := t.TempDir()
	at := filepath.Join(dir, strings.TrimPrefix(secure.URL, "https://"), "ca.crt")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]authn.AuthConfig{"password": {Username: "me", Password: "secret"}, "refresh token": {IdentityToken: "secret"}} {
		for _, address := range []string{plain.URL, secure.URL} {
			for _, realm = range []string{foreign + "/token", address + "/token"} {
				s, err := New(address, Options{Credentials: known(who), Certificates: []string{dir}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Size(t.Context(), b); err == nil && realm != address+"/token" || err != nil && (source.IsNone(err) || strings.Contains(err.Error(), "secret")) {
					t.Errorf("%s, %s with tokens from %s: %v", name, address, realm, err)
				}
				if said, _ := told.Load().(string); strings.Contains(said, "secret") || strings.Contains(said, "Basic") {
					t.Errorf("%s, %s with tokens from %s: the other machine received %q", name, address, realm, said)
				}
			}
		}
	}
	if tokens.Load() < 4 {
		t.Errorf("the registries were asked for tokens %d times", tokens.Load())
	}
	realm = foreign + "/token"
	s, err := New(strings.Replace(plain.URL, "127.0.0.1", "LOCALHOST", 1), Options{Credentials: keys("secret")})
	if err != nil {
		t.Fatal(err)
	}
	if is, err := read(s, b); err != nil || is != body || anybody.Load() == 0 {
		t.Errorf("without credentials: %q, %v", is, err)
	}
}

// TestDown: a registry that can't be reached gets one request, not one for each blob.
func TestDown(t *testing.T) {
	m := &mirror{}
	server := httptest.NewServer(m)
	s, err := New(server.URL, Options{Credentials: keys("")})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	_, first := s.Size(t.Context(), blobOf("x", "app"))
	if first == nil || source.IsNone(first) {
		t.Fatal(first)
	}
	again := httptest.NewServer(m)
	defer again.Close()
	if _, err := s.Size(t.Context(), blobOf("y", "other")); err == nil || m.asked.Load() > 0 {
		t.Errorf("%v after %d questions", err, m.asked.Load())
	}
}

// TestHangs: a registry that doesn't respond, or stops within a blob, costs one timeout and
// gets no more requests.
func TestHangs(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	b := blobOf(body, "app")
	for name, hangs := range map[string]string{"at first": "/v2/", "at a blob": "/v2/app/blobs/", "in a blob": ""} {
		end := make(chan struct{})
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			asked.Add(1)
			switch path := strings.TrimSuffix(q.URL.Path, b.Digest.String()); {
			case path == hangs:
				<-end
			case path == "/v2/app/blobs/" && q.Method == http.MethodGet:
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				io.WriteString(w, body[:1000])
				w.(http.Flusher).Flush()
				<-end
			case path == "/v2/app/blobs/":
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			}
		}))
		made, err := New(server.URL, Options{Credentials: keys("")})
		if err != nil {
			t.Fatal(err)
		}
		if _, waits := made.(*registry); waits {
			t.Error("it is waited for without an end")
		}
		r, err := open(server.URL, Options{Credentials: keys("")})
		if err != nil {
			t.Fatal(err)
		}
		s := source.WithTimeout(r, 500*time.Millisecond)
		if _, err := read(s, b); !errors.Is(err, source.ErrSilent) || source.IsNone(err) {
			t.Errorf("%s: %v", name, err)
		}
		before := asked.Load()
		for _, another := range []source.Blob{b, blobOf("x", "app"), blobOf("y", "other")} {
			if _, err := s.Size(t.Context(), another); !errors.Is(err, source.ErrSilent) {
				t.Errorf("%s: then %v", name, err)
			}
			if _, err := s.Open(t.Context(), another); !errors.Is(err, source.ErrSilent) {
				t.Errorf("%s: then %v", name, err)
			}
		}
		if now := asked.Load(); now != before || now == 0 {
			t.Errorf("%s: asked %d times, and then %d more", name, before, now-before)
		}
		close(end)
		server.Close()
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
	"regfsck/graph/check"
)

// said returns the result of a check without its cost.
func (f *fake) said(t *testing.T, flags ...string) (all map[string]json.RawMessage, cached int) {
	t.Helper()
	f.judge(t, flags...)
	if err := json.Unmarshal(f.out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	var cost struct {
		Cached int `json:"manifests_cached"`
	}
	if err := json.Unmarshal(all["cost"], &cost); err != nil {
		t.Fatal(err)
	}
	delete(all, "cost")
	delete(all, "again")
	return all, cost.Cached
}

// differ returns the members that differ between two documents.
func differ(a, b map[string]json.RawMessage) (names []string) {
	for name := range a {
		if string(a[name]) != string(b[name]) {
			names = append(names, name)
		}
	}
	return names
}

// fetched returns the blobs that were requested since the proxy was reset.
func fetched(p *s3test.Proxy) (keys []string) {
	for _, r := range p.Requests(s3test.GetObject) {
		if strings.Contains(r.Key, "/blobs/") {
			keys = append(keys, r.Key)
		}
	}
	p.Forget()
	return keys
}

// known returns a bucket of 60 images behind a proxy, and its first check.
func known(t *testing.T) (f *fake, b *fixtures.Builder, made *s3test.Bucket, p *s3test.Proxy, first map[string]json.RawMessage) {
	t.Helper()
	f, s := bucketed(t)
	b = fixtures.Tree(fixtures.TreeSpec{Seed: 4, Repositories: 12, Images: 60})
	made = s.Make(t, "registry")
	made.Fill(t, s3test.From(b.Into, ""))
	p = s3test.Front(t, s, s3test.Settings{})
	f.store = "s3://registry"
	first, cached := f.said(t, "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) != 60 || cached != 0 {
		t.Fatalf("%d manifests fetched, %d cached, of 60", len(got), cached)
	}
	return f, b, made, p, first
}

func TestTheNextCheckFetchesNoManifest(t *testing.T) {
	f, b, made, p, first := known(t)
	second, cached := f.said(t, "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) > 0 || cached != 60 {
		t.Errorf("%d cached, fetched %q", cached, got)
	}
	if names := differ(first, second); len(names) > 0 {
		t.Errorf("the second document differs in %v", names)
	}
	f.run("check", "STORE", "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) > 0 || !strings.Contains(f.out.String(), "head requests; 60 manifests taken from the cache; ") {
		t.Errorf("fetched %q, and told\n%s", got, f.out.String())
	}
	f.run("fix", "STORE", "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) > 0 {
		t.Errorf("fix fetched %q", got)
	}

	before := snapshot(t, f.cache)
	third, cached := f.said(t, "--s3-endpoint", p.Endpoint, "--no-cache")
	if got := fetched(p); len(got) != 60 || cached != 0 {
		t.Errorf("--no-cache: %d cached, %d fetched", cached, len(got))
	}
	if names := differ(first, third); len(names) > 0 {
		t.Errorf("without a cache the document differs in %v", names)
	}
	if diff := before.Diff(snapshot(t, f.cache)); len(diff) > 0 {
		t.Errorf("--no-cache changed\n%s", strings.Join(diff, "\n"))
	}

	m := b.Image("new", "1", fixtures.Image{})
	made.Fill(t, s3test.From(b.Into, ""))
	_, cached = f.said(t, "--s3-endpoint", p.Endpoint)
	if got := fetched(p); !slices.Equal(got, []string{m.Key()}) || cached != 60 {
		t.Errorf("one manifest is new: %d cached, fetched %q", cached, got)
	}
}

// TestChangedManifestsAreFetched: a manifest replaced by bytes of the same size is fetched,
// and so is one whose ETag isn't the MD5 of the cached bytes.
func TestChangedManifestsAreFetched(t *testing.T) {
	f, _, made, p, first := known(t)
	p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.ListETags(func(string, string) string { return strings.Repeat("5", 32) })})
	second, cached := f.said(t, "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) != 60 || cached != 0 {
		t.Errorf("ETags that are no MD5: %d cached, %d fetched", cached, len(got))
	}
	if names := differ(first, second); len(names) > 0 {
		t.Errorf("with other ETags the document differs in %v", names)
	}
	p.Heal()

	var victim string
	for _, object := range made.Objects(t, "docker/registry/v2/blobs/") {
		if body, _ := made.Get(t, object.Key); victim == "" && strings.Contains(string(body), `"layers":`) {
			victim = object.Key
			body[len(body)/2] ^= 1
			made.Put(t, victim, body)
		}
	}
	a := f.judge(t, "--s3-endpoint", p.Endpoint)
	if !slices.ContainsFunc(a.Findings, func(x found) bool { return x.ID == "manifest-corrupt" && x.Path == victim }) {
		t.Errorf("%s is corrupt, and found was %+v", victim, a.Findings)
	}
	got := fetched(p)
	others := slices.DeleteFunc(slices.Clone(got), func(key string) bool {
		body, _ := made.Get(t, key) // an orphan without it may be a manifest
		return key == victim || !strings.Contains(string(body), `"layers":`)
	})
	if len(got) < 2 || len(others) > 0 {
		t.Errorf("fetched %q, with the manifests %q", got, others)
	}
}

// TestInvalidCacheChangesNothing: a cache that can't be used or is damaged changes no
// finding.
func TestInvalidCacheChangesNothing(t *testing.T) {
	f, _, _, p, first := known(t)
	dir := filepath.Join(f.cache, "regfsck", "manifests")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		write(t, filepath.Join(dir, file.Name()), strings.Repeat("rubbish", 500))
	}
	second, cached := f.said(t, "--s3-endpoint", p.Endpoint)
	if got := fetched(p); len(got) != 60 || cached != 0 {
		t.Errorf("rubbish: %d cached, %d fetched", cached, len(got))
	}
	if names := differ(first, second); len(names) > 0 {
		t.Errorf("rubbish: the document differs in %v", names)
	}
	if _, cached := f.said(t, "--s3-endpoint", p.Endpoint); cached != 60 {
		t.Errorf("after rubbish %d are cached", cached)
	}

	write(t, filepath.Join(f.dir, "file"), "")
	f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
		if err := os.RemoveAll(filepath.Join(f.dir, "goes")); err != nil {
			t.Error(err)
		}
		return check.Store(ctx, r, o)
	}
	for name, caches := range map[string]func() (string, error){
		"no directory": func() (string, error) { return "", errors.New("HOME is not defined") },
		"a file":       func() (string, error) { return filepath.Join(f.dir, "file"), nil },
		"goes":         func() (string, error) { return filepath.Join(f.dir, "goes"), nil },
	} {
		f.caches = caches
		third, cached := f.said(t, "--s3-endpoint", p.Endpoint)
		if cached != 0 || strings.Count(string(third["notes"]), "can't be cached for the next run") != 1 {
			t.Errorf("%s: %d cached, notes %s", name, cached, third["notes"])
		}
		if names := differ(first, third); !slices.Equal(names, []string{"notes"}) {
			t.Errorf("%s: the document differs in %v", name, names)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph"
)

// bucketed is a fake whose STORE is a bucket of a real server.
func bucketed(t *testing.T) (*fake, *s3test.Server) {
	t.Helper()
	f, s := newWhole(t, fixtures.New(1)), s3test.Start(t, s3test.Options{})
	credentials(t, s)
	return f, s
}

// credentials has the default chain find the server's keys, and no other server.
func credentials(t *testing.T, s *s3test.Server) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
	t.Setenv("AWS_REGION", s.Region)
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
}

// filesOf are a builder's files without its empty directories, which no bucket has.
func filesOf(b *fixtures.Builder) *fixtures.Memory {
	m := &fixtures.Memory{}
	for _, key := range b.Keys() {
		file, _ := b.File(key)
		m.Put(key, file.Body, file.Modified)
	}
	return m
}

// TestEachDamageInABucket compares all that a check says of each damage in a
// bucket with what one of the same files says: in the bucket's root and below a
// path, by address and by configuration.
func TestEachDamageInABucket(t *testing.T) {
	f, s := bucketed(t)
	for n, d := range append(healthy(), fixtures.Damages()...) {
		b := fixtures.Standard()
		d.Apply(b)
		if d.Disk != nil || slices.ContainsFunc(b.Keys(), unprintable) { // the server writes other names then
			continue
		}
		root := []string{"", "some/path/"}[n%2]
		made := s.Make(t, fmt.Sprintf("bucket-%d", n))
		made.Fill(t, s3test.From(b.Into, root))
		f.store = strings.TrimSuffix("s3://"+made.Name+"/"+root, "/")
		flags := append(flagsFor(d), "--s3-endpoint", s.Endpoint)
		if n%3 == 0 {
			f.store, flags = bucketConfig(t, s, made.Name, root), flagsFor(d)
		}
		var asked graph.Options
		f.check = func(ctx context.Context, r backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
			asked = o
			return graph.Check(ctx, r, o)
		}
		f.judge(t, flags...)
		sameIn(t, d, filesOf(b), asked, f.out.Bytes())
	}
}

func unprintable(key string) bool { return strings.ContainsFunc(key, unicode.IsControl) }

// bucketConfig writes the configuration of a registry in the bucket.
func bucketConfig(t *testing.T, s *s3test.Server, name, root string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yml")
	config := fmt.Sprintf("version: 0.1\nstorage:\n  s3:\n    bucket: %s\n    region: %s\n    regionendpoint: %s\n    rootdirectory: /%s\n"+
		"    accesskey: %s\n    secretkey: %s\n    secure: false\n", name, s.Region, strings.TrimPrefix(s.Endpoint, "http://"), root, s.AccessKey, s.SecretKey)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a check of a bucket costs: pages, manifests, and nothing for a link.
func TestACheckOfABucketAsksForLittle(t *testing.T) {
	f, s := bucketed(t)
	b := fixtures.Tree(fixtures.TreeSpec{Seed: 3, Repositories: 20, Images: 60})
	s.Make(t, "registry").Fill(t, s3test.From(b.Into, ""))
	proxy := s3test.Front(t, s, s3test.Settings{})
	f.store = "s3://registry"
	a := f.judge(t, "--s3-endpoint", proxy.Endpoint)
	if a.Verdict != "clean" || !a.Complete || a.Totals.Revisions == 0 {
		t.Fatalf("%+v", a)
	}
	counts := proxy.Counts()
	pages := len(b.Keys())/1000 + 1
	if got, most := proxy.Total(), (pages+a.Totals.Revisions)*11/10+300; got > most {
		t.Errorf("%d requests, at most %d: %v", got, most, counts)
	}
	// A HEAD that finds nothing is confirmed by a GET, since it can't say what is missing.
	if gets, heads := counts[s3test.GetObject], counts[s3test.HeadObject]; gets > a.Totals.Revisions+heads {
		t.Errorf("%d gets for %d manifests, %d heads", gets, a.Totals.Revisions, heads)
	}
	f.run("check", "STORE", "--s3-endpoint", proxy.Endpoint, "--no-cache")
	want := fmt.Sprintf("%d list, %d get and %d head requests", counts[s3test.ListObjectsV2]+counts[s3test.ListMultipartUploads], counts[s3test.GetObject], counts[s3test.HeadObject]+counts[s3test.Other]) // the lifecycle rules
	if !strings.Contains(f.out.String(), want) || !strings.Contains(f.out.String(), "the listing itself proved") {
		t.Errorf("the requests aren't told:\n%s", f.out.String())
	}
}

// What goes wrong at a bucket is said in words that help, and nothing secret is.
func TestBucketsThatCanNotBeChecked(t *testing.T) {
	f, s := bucketed(t)
	full := s.Make(t, "full")
	full.Fill(t, s3test.From(fixtures.Standard().Into, ""))
	s.Make(t, "empty")
	denied := s3test.Front(t, s, s3test.Settings{})
	denied.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.AccessDenied()})
	for store, want := range map[string][]string{
		"s3://empty":           {"holds nothing below docker/registry/v2", "rootdirectory"},
		"s3://full/other/path": {"holds nothing below docker/registry/v2"},
		"s3://missing":         {"there is no bucket missing"},
		"s3://full":            {"s3:ListBucket"},
	} {
		endpoint := s.Endpoint
		if store == "s3://full" {
			endpoint = denied.Endpoint
		}
		f.store = store
		code := f.run("check", "STORE", "--s3-endpoint", endpoint)
		for _, word := range want {
			if code != 16 || !strings.Contains(f.errs.String(), word) {
				t.Errorf("%s: exit %d, %q doesn't say %q", store, code, f.errs.String(), word)
			}
		}
		if all := f.errs.String() + f.out.String(); strings.Contains(all, s.SecretKey) || strings.Contains(all, s.AccessKey) {
			t.Errorf("%s: a key is told: %s", store, all)
		}
	}
}

// A server that gives up in the middle makes the check incomplete, whatever it is
// asked for, and is never taken for an absence.
func TestABucketThatFailsInTheMiddle(t *testing.T) {
	f, s := bucketed(t)
	s.Make(t, "registry").Fill(t, s3test.From(fixtures.Standard().Into, ""))
	f.store = "s3://registry"
	whole := f.judge(t, "--s3-endpoint", s.Endpoint)
	var ids []string
	for _, x := range whole.Findings {
		ids = append(ids, x.ID+" "+x.Path)
	}
	for name, match := range map[string]func(*s3test.Request) bool{
		"manifests": s3test.All(s3test.Of(s3test.GetObject), of("/blobs/")), "blobs": s3test.All(s3test.Of(s3test.ListObjectsV2), of("/blobs/")),
		"links": s3test.All(s3test.Of(s3test.ListObjectsV2), of("/repositories/")),
	} {
		proxy := s3test.Front(t, s, s3test.Settings{})
		proxy.Inject(s3test.Fault{Match: match, Do: s3test.AccessDenied()})
		a := f.judge(t, "--s3-endpoint", proxy.Endpoint, "--no-cache")
		if a.Exit.Code&8 == 0 || a.Complete {
			t.Errorf("%s: exit %d, complete %t", name, a.Exit.Code, a.Complete)
		}
		for _, x := range a.Findings {
			if x.ID != "store-unreadable" && !slices.Contains(ids, x.ID+" "+x.Path) {
				t.Errorf("%s: it invented %s %s", name, x.ID, x.Path)
			}
		}
	}
}

// An upload that nobody finished is found, where uploads may be listed; where not,
// that is said, and the check is whole all the same.
func TestMultipartUploadsOfABucket(t *testing.T) {
	f, s := bucketed(t)
	made := s.Make(t, "registry")
	made.Fill(t, s3test.From(fixtures.Standard().Into, ""))
	key := "docker/registry/v2/repositories/app/_uploads/0e4d1aeb-4fb7-4d4a-9a1f-333333333333/data"
	id := made.StartUpload(t, key, []byte("part"))
	f.store, f.now = "s3://registry", func() time.Time { return time.Now().AddDate(0, 1, 0) }
	proxy := s3test.Front(t, s, s3test.Settings{})
	stale := func(flags ...string) (found []string) {
		a := f.judge(t, append(flags, "--s3-endpoint", proxy.Endpoint)...)
		if !a.Complete {
			t.Errorf("%q: incomplete", flags)
		}
		for _, x := range a.Findings {
			if x.ID == "multipart-stale" {
				found = append(found, x.Path+" "+x.Detail)
			}
		}
		return found
	}
	if found := stale(); len(found) != 1 || found[0] != key+" upload id "+id {
		t.Errorf("found %q", found)
	}
	if found := stale("--uploads-older-than", "10000h"); len(found) > 0 {
		t.Errorf("found %q", found)
	}
	proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.ListMultipartUploads), Do: s3test.AccessDenied()})
	if found := stale(); len(found) > 0 || !strings.Contains(f.out.String(), "s3:ListBucketMultipartUploads") {
		t.Errorf("found %q, said\n%s", found, f.out.String())
	}
}

// of reports whether a request is about what stands below a directory.
func of(dir string) func(*s3test.Request) bool {
	return func(r *s3test.Request) bool { return strings.Contains(r.Key+r.Query.Get("prefix"), dir) }
}

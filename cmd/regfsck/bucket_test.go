package main

import (
	"context"
	"fmt"
	"net"
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
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

// bucketed returns a fake whose STORE is a bucket of a real server.
func bucketed(t *testing.T) (*fake, *s3test.Server) {
	t.Helper()
	f, s := newWhole(t, fixtures.New(1)), s3test.Start(t, s3test.Options{})
	credentials(t, s)
	return f, s
}

// credentials sets the environment to the server's keys.
func credentials(t *testing.T, s *s3test.Server) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
	t.Setenv("AWS_REGION", s.Region)
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
}

// filesOf returns a builder's files without empty directories, which buckets don't have.
func filesOf(b *fixtures.Builder) *fixtures.Memory {
	m := &fixtures.Memory{}
	for _, key := range b.Keys() {
		file, _ := b.File(key)
		m.Put(key, file.Body, file.Modified)
	}
	return m
}

// TestEachDamageInABucket compares checks of each damage in a bucket with those in memory: in
// the bucket's root and below a path, by address and by configuration.
func TestEachDamageInABucket(t *testing.T) {
	f, s := bucketed(t)
	for n, d := range append(healthy(), fixtures.Damages()...) {
		b := fixtures.Standard()
		d.Apply(b)
		if d.Disk != nil || slices.ContainsFunc(b.Keys(), unprintable) { // the server changes such names
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
		var asked check.Options
		f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			asked = o
			return check.Store(ctx, r, o)
		}
		f.judge(t, flags...)
		sameIn(t, d, filesOf(b), asked, f.out.Bytes())
	}
}

func unprintable(key string) bool { return strings.ContainsFunc(key, unicode.IsControl) }

// bucketConfig writes a registry's configuration for the bucket.
func bucketConfig(t *testing.T, s *s3test.Server, name, root string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yml")
	config := fmt.Sprintf("version: 0.1\nstorage:\n  s3:\n    bucket: %s\n    region: %s\n    regionendpoint: %s\n    rootdirectory: /%s\n"+
		"    accesskey: %s\n    secretkey: %s\n    secure: false\n", name, s.Region, strings.TrimPrefix(s.Endpoint, "http://"), root, s.AccessKey, s.SecretKey)
	write(t, path, config)
	return path
}

// TestRequestsOfACheck: a check of a bucket lists pages and reads manifests, and no links.
func TestRequestsOfACheck(t *testing.T) {
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
	// After a HEAD with 404, a GET shows what is missing.
	if gets, heads := counts[s3test.GetObject], counts[s3test.HeadObject]; gets > a.Totals.Revisions+heads {
		t.Errorf("%d gets for %d manifests, %d heads", gets, a.Totals.Revisions, heads)
	}
	f.run("check", "STORE", "--s3-endpoint", proxy.Endpoint, "--no-cache")
	want := fmt.Sprintf("%d list, %d get and %d head requests", counts[s3test.ListObjectsV2]+counts[s3test.ListMultipartUploads], counts[s3test.GetObject], counts[s3test.HeadObject]+counts[s3test.Other]) // the lifecycle rules
	if !strings.Contains(f.out.String(), want) || !strings.Contains(f.out.String(), "verified by the listing alone") {
		t.Errorf("the requests aren't told:\n%s", f.out.String())
	}
}

// TestErrorsOfBuckets: errors of buckets are helpful, and have no secrets.
func TestErrorsOfBuckets(t *testing.T) {
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

// TestABucketThatFails: errors of a server make a check incomplete, and are never taken for
// missing objects.
func TestABucketThatFails(t *testing.T) {
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

// TestMultipartUploadsOfABucket: unfinished uploads are found; if they may not be listed, a
// note says so, and the check is complete.
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

// of reports whether a request is about a key below a directory.
func of(dir string) func(*s3test.Request) bool {
	return func(r *s3test.Request) bool { return strings.Contains(r.Key+r.Query.Get("prefix"), dir) }
}

// TestAServerThatIsNotThere: an unreachable server is not a misuse, and isn't waited for.
func TestAServerThatIsNotThere(t *testing.T) {
	f, _ := bucketed(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f.store = "s3://bucket"
	for _, command := range []string{"check", "ls", "fix"} {
		code := f.run(command, "STORE", "--s3-endpoint", "http://"+l.Addr().String())
		if code != 8 || !strings.Contains(f.errs.String(), "no connection to http://"+l.Addr().String()) || strings.Contains(f.errs.String(), "trying again") {
			t.Errorf("%s: exit %d, %s", command, code, f.errs.String())
		}
	}
}

// TestRequesterPays: each request has the header, also in a fix.
func TestRequesterPays(t *testing.T) {
	f, s, _ := change(t, rotten(), s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Do: s3test.RequesterPays()})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	if code := f.run("check", "STORE"); code != 16 || !strings.Contains(f.errs.String(), "--s3-requester-pays") {
		t.Errorf("exit %d, %s", code, f.errs.String())
	}
	var a applied
	f.document(t, &a, "fix", "STORE", "--s3-requester-pays", "--apply", "--yes")
	if a.Totals.Done == 0 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	if code := f.run("undo", "STORE", "--s3-requester-pays"); code != 0 {
		t.Errorf("undo: exit %d, %s", code, f.errs.String())
	}
}

// TestWaitingIsReported: waiting is reported even without progress.
func TestWaitingIsReported(t *testing.T) {
	f, s, _ := change(t, rotten(), "")
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Times: 2, Do: s3test.SlowDown()})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	f.run("check", "STORE", "--no-progress")
	if !strings.Contains(f.errs.String(), "regfsck: the server is in trouble (503 Service Unavailable): trying again in ") {
		t.Errorf("%q", f.errs.String())
	}
}

// TestCertificates: an unknown certificate is refused with a hint; a flag, the environment or
// the registry's configuration can trust it.
func TestCertificates(t *testing.T) {
	f, s, made := change(t, littered(), s3test.Enabled)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	proxy := s3test.Front(t, s, s3test.Settings{TLS: true})
	ca := filepath.Join(f.dir, "ca.pem")
	if err := os.WriteFile(ca, proxy.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("check", "STORE", "--s3-endpoint", proxy.Endpoint, "--no-cache"); exit != 16 || !strings.Contains(f.errs.String(), "certificate") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sees := func(what string, args ...string) {
		t.Helper()
		if exit := f.run(append([]string{"check"}, append(args, "--no-cache")...)...); exit != 0 || !strings.Contains(f.out.String(), "2 tags") {
			t.Errorf("%s: exit %d, %s%s", what, exit, f.out.String(), f.errs.String())
		}
	}
	sees("--s3-ca", "STORE", "--s3-endpoint", proxy.Endpoint, "--s3-ca", ca)
	config := bucketConfig(t, s, made.Name, "some/path/")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer(s.Endpoint, proxy.Endpoint, strings.TrimPrefix(s.Endpoint, "http://"), strings.TrimPrefix(proxy.Endpoint, "https://"),
		"secure: false", "secure: true\n    skipverify: true").Replace(string(text)))
	write(t, config, string(text))
	sees("skipverify", config)
	t.Setenv("AWS_CA_BUNDLE", ca)
	sees("AWS_CA_BUNDLE", "STORE", "--s3-endpoint", proxy.Endpoint)
}

// TestALifecycleRule: if a lifecycle rule ends the undo of a run, the report has the date.
func TestALifecycleRule(t *testing.T) {
	f, s, _ := change(t, littered(), s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Match: func(q *s3test.Request) bool { return q.Query.Has("lifecycle") }, Do: func(x *s3test.Exchange) *s3test.Answer {
		a := x.Forward()
		a.Status = 200
		a.SetBody([]byte("<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>" +
			"<NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"))
		return a
	}})
	f.run("fix", "STORE", "--s3-endpoint", proxy.Endpoint)
	until := f.now().UTC().AddDate(0, 0, 30).Format("2006-01-02")
	if said := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(said, "30 days after the removal: until "+until) {
		t.Errorf("%s", f.out.String())
	}
}

// TestCommandsForABucket: suggested commands open the same bucket.
func TestCommandsForABucket(t *testing.T) {
	f, s, _ := change(t, littered(), s3test.Enabled)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	at := "--s3-endpoint " + s.Endpoint
	says := func(words string) {
		t.Helper()
		if !strings.Contains(f.out.String(), words) {
			t.Errorf("it doesn't say %q:\n%s%s", words, f.out.String(), f.errs.String())
		}
	}
	f.run("fix", "STORE", "--s3-endpoint", s.Endpoint)
	says("regfsck fix " + f.store + " " + at + " --apply")
	plan := filepath.Join(f.dir, "plan.jsonl")
	f.run("fix", "STORE", "--s3-endpoint", s.Endpoint, "--save-plan", plan)
	says("regfsck apply " + plan + " " + at)
	f.run("apply", plan, "--s3-endpoint", s.Endpoint, "--yes")
	says(" " + at + "\n")
	if !strings.Contains(f.out.String(), "regfsck undo "+f.store) || !strings.Contains(f.out.String(), "regfsck purge "+f.store) {
		t.Errorf("%s", f.out.String())
	}
}

// TestArchivedObjectsOfABucket: archived objects make images unpullable, whether the listing,
// the cache or a read shows it; restored ones don't, nor does a class with instant retrieval.
func TestArchivedObjectsOfABucket(t *testing.T) {
	b := fixtures.Standard()
	m := b.Tagged("windows", "ltsc")
	layer, manifest := layout.BlobKey(m.Blobs[1].Digest), m.Key()
	f, s := bucketed(t)
	s.Make(t, "registry").Fill(t, s3test.From(b.Into, "some/path/"))
	f.store = "s3://registry/some/path"
	current, link := layout.CurrentKey("windows", "ltsc"), m.LayerKey(1)
	nobody := func(string) bool { return false }
	for _, c := range []struct {
		name, class, key string
		restored, cache  bool
		broken           bool
	}{
		{"a layer", "GLACIER", layer, false, true, true},
		{"a layer", "DEEP_ARCHIVE", layer, false, false, true},
		{"a restored layer", "GLACIER", layer, true, true, false},
		{"a layer at hand", "GLACIER_IR", layer, true, true, false},
		{"a manifest", "GLACIER", manifest, false, false, true},
		{"a known manifest", "GLACIER", manifest, false, true, true},
		{"a restored manifest", "DEEP_ARCHIVE", manifest, true, false, false},
		{"a restored, known manifest", "DEEP_ARCHIVE", manifest, true, true, false},
		{"a tag's link", "GLACIER", current, false, true, true},
		{"a restored tag's link", "GLACIER", current, true, true, false},
		{"a layer link", "DEEP_ARCHIVE", link, false, false, true},
		{"a restored layer link", "DEEP_ARCHIVE", link, true, false, false},
	} {
		is := func(key string) bool { return key == "some/path/"+c.key }
		restored := nobody
		if c.restored {
			restored = is
		}
		proxy := s3test.Front(t, s, s3test.Settings{})
		proxy.Inject(s3test.Fault{Do: s3test.Archive(c.class, is, restored)})
		flags := []string{"--s3-endpoint", proxy.Endpoint}
		if !c.cache {
			flags = append(flags, "--no-cache")
		}
		a := f.judge(t, flags...)
		var broken []string
		for _, tag := range a.Broken {
			broken = append(broken, tag.Ref)
		}
		want, code := []string(nil), 0
		if c.broken {
			want, code = []string{"windows:ltsc"}, 4
		}
		if !slices.Equal(broken, want) || a.Exit.Code != code || !a.Complete {
			t.Errorf("%s in %s, cache %t: broken are %q, exit %d, complete %t: %+v", c.name, c.class, c.cache, broken, a.Exit.Code, a.Complete, a.Findings)
		}
		if found := slices.ContainsFunc(a.Findings, func(f found) bool { return f.ID == "blob-archived" && f.Path == c.key }); found != c.broken {
			t.Errorf("%s in %s, cache %t: %+v", c.name, c.class, c.cache, a.Findings)
		}
	}
}

// TestAStaleListing: keys that a run removed aren't counted again while the listing still has
// them; keys that were written again are.
func TestAStaleListing(t *testing.T) {
	b := damaged("layer-link-unreferenced", "blob-orphan")
	var body []byte
	for i := range 3 {
		body = fmt.Append(nil, "nobody's ", i)
		b.Put(layout.BlobKey(layout.Sum(body)), body)
	}
	f, s, made := change(t, b, s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.StaleListing()})
	type reclaimable struct {
		Verdict string
		Totals  struct {
			Bytes int64 `json:"reclaimable_bytes"`
		}
		Counts map[string]struct{ Count, Young int }
	}
	look := func() (c reclaimable) {
		t.Helper()
		f.document(t, &c, "check", "STORE", "--grace", "0s")
		return c
	}
	before := look()
	if before.Totals.Bytes == 0 || before.Counts["blob-orphan"].Count < 3 {
		t.Fatalf("%+v", before)
	}
	var a applied
	f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--grace", "0s")
	if a.Totals.Done == 0 {
		t.Fatalf("%+v", a)
	}
	for range 2 {
		if after := look(); after.Totals.Bytes != 0 || len(after.Counts) > 0 && after.Counts["blob-orphan"].Count+after.Counts["layer-link-unreferenced"].Count > 0 || after.Verdict != "clean" {
			t.Errorf("%+v", after)
		}
	}
	if p := f.plan(t, "--grace", "0s"); len(p.Steps) > 0 {
		t.Errorf("%+v", p.Steps)
	}
	made.Put(t, "some/path/"+layout.BlobKey(layout.Sum(body)), body)
	if again := look(); again.Counts["blob-orphan"].Count != 1 || again.Totals.Bytes != int64(len(body)) {
		t.Errorf("%+v", again)
	}
}

// TestALifecycleRuleIsAWarning: a rule that removes objects of the registry is a finding of
// check and in the plan of a fix; it refuses nothing. Rules for other keys are no findings;
// rules that may not be read are a note.
func TestALifecycleRuleIsAWarning(t *testing.T) {
	f, s, _ := change(t, littered(), s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	ofLifecycle := func(q *s3test.Request) bool { return q.Query.Has("lifecycle") }
	const expire = "<Expiration><Days>30</Days></Expiration>"
	proxy.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.Lifecycle(
		"<Rule><ID>tidy</ID><Status>Enabled</Status><Filter><Prefix>some/</Prefix></Filter>" + expire + "</Rule>" +
			"<Rule><ID>logs</ID><Status>Enabled</Status><Filter><Prefix>some/path/logs/</Prefix></Filter>" + expire + "</Rule>")})
	var a answer
	f.document(t, &a, "check", "STORE")
	var rules []found
	for _, one := range a.Findings {
		if one.ID == "lifecycle-expiry" {
			rules = append(rules, one)
		}
	}
	if a.Verdict != "clean" || len(rules) != 1 || rules[0].Path != "docker/registry/v2" || !strings.Contains(rules[0].Detail, "rule tidy will remove what begins with some/ 30 days after") {
		t.Errorf("%s, %+v", a.Verdict, rules)
	}
	if exit := f.run("check", "STORE", "--fail-on", "warning"); exit != 4 || !strings.Contains(f.out.String(), "lifecycle-expiry") {
		t.Errorf("exit %d, %s", exit, f.out.String())
	}
	f.run("fix", "STORE")
	if said := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(said, "lifecycle-expiry: the bucket's lifecycle rule tidy will remove") || strings.Contains(said, "would be refused") {
		t.Error(f.out.String())
	}

	proxy.Heal()
	proxy.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.AccessDenied()})
	if exit := f.run("check", "STORE"); exit != 0 || strings.Contains(f.out.String(), "lifecycle-expiry") || !strings.Contains(f.out.String(), "s3:GetLifecycleConfiguration") {
		t.Errorf("exit %d, %s", exit, f.out.String())
	}
}

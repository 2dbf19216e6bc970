package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// change returns a fake whose STORE is a bucket that may be changed.
func change(t *testing.T, b *fixtures.Builder, status s3test.Status) (*fake, *s3test.Server, *s3test.Bucket) {
	t.Helper()
	return changeOn(t, b, status, s3test.Options{Versioning: true})
}

// changeOn is change with options of the server.
func changeOn(t *testing.T, b *fixtures.Builder, status s3test.Status, opts s3test.Options) (*fake, *s3test.Server, *s3test.Bucket) {
	t.Helper()
	f, s := newFix(t, fixtures.New(1)), s3test.Start(t, opts)
	f.now = time.Now // the server's clock is the machine's
	f.env["XDG_STATE_HOME"] = filepath.Join(f.dir, "state")
	credentials(t, s)
	made := s.Make(t, "registry")
	if status != "" {
		made.SetVersioning(t, status)
	}
	made.Fill(t, s3test.From(b.Into, "some/path/"))
	f.store = "s3://registry/some/path"
	t.Setenv("AWS_ENDPOINT_URL_S3", s.Endpoint)
	return f, s, made
}

// objects returns a bucket's objects by key, without the mark that names state directories.
func objects(t *testing.T, b *s3test.Bucket) map[string][]byte {
	t.Helper()
	all := b.Contents(t, "")
	maps.DeleteFunc(all, func(key string, _ []byte) bool { return strings.HasSuffix(key, outside.StateName+"/states") })
	return all
}

func sameObjects(t *testing.T, what string, before, after map[string][]byte) {
	t.Helper()
	for key, body := range before {
		if is, ok := after[key]; !ok || !bytes.Equal(is, body) {
			t.Errorf("%s: %s is %q, %t", what, key, is, ok)
		}
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			t.Errorf("%s: %s has come", what, key)
		}
	}
}

// TestABucketIsFixedUndoneAndPurged: a dry run writes nothing; the plan is what runs; undo
// restores every object; purge deletes all versions that a run hid.
func TestABucketIsFixedUndoneAndPurged(t *testing.T) {
	f, s, made := change(t, rotten(), s3test.Enabled)
	before := objects(t, made)
	proxy := s3test.Front(t, s, s3test.Settings{})
	plan := f.plan(t, "--s3-endpoint", proxy.Endpoint)
	for op, n := range proxy.Counts() {
		if strings.HasPrefix(string(op), "Put") || strings.HasPrefix(string(op), "Delete") || strings.HasPrefix(string(op), "Abort") {
			t.Errorf("a dry run sent %d %s", n, op)
		}
	}
	if len(plan.Refusals) > 0 || len(plan.Steps) == 0 {
		t.Fatalf("%+v", plan)
	}
	var a applied
	f.document(t, &a, "fix", "STORE", "--apply", "--yes")
	if a.Plan != plan.Plan || a.Totals.Done != len(plan.Steps) || a.Kept == 0 || a.Freed != 0 {
		t.Errorf("of %s with %d steps came %+v", plan.Plan, len(plan.Steps), a)
	}
	if again := f.plan(t); len(again.Steps) > 0 {
		t.Errorf("a second fix has %+v to do", again.Steps)
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sameObjects(t, "undone", before, objects(t, made))

	// The server gives restored objects a new time; broken objects in grace may be a push.
	f.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--grace", "0s", "--uploads-older-than", "0s")
	made.StartUpload(t, "some/path/docker/registry/v2/blobs/sha256/00/half", bytes.Repeat([]byte("x"), 5<<20), []byte("y"))
	f.hidden(t, made, 5<<20+1)
	if exit := f.run("purge", "STORE", "--all", "--yes"); exit != 0 || !strings.Contains(f.out.String(), "delete requests") {
		t.Errorf("purge: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	after := objects(t, made)
	for _, v := range made.Versions(t, "some/path/docker/registry/v2/blobs/") {
		if _, ok := after[v.Key]; !ok {
			t.Errorf("%s is left of what was purged, marker %t", v.Key, v.Marker)
		}
	}
}

// hidden compares the plan's noncurrent versions and multipart uploads with the bucket.
func (f *fake) hidden(t *testing.T, b *s3test.Bucket, parts int64) {
	t.Helper()
	var versions int
	var size int64
	for _, v := range b.Versions(t, "some/path/docker/registry/v2/blobs/") {
		if !v.Latest && !v.Marker {
			versions, size = versions+1, size+v.Size
		}
	}
	var p struct {
		Bucket struct {
			Kept            bool
			Noncurrent      int   `json:"noncurrent_blob_versions"`
			NoncurrentBytes int64 `json:"noncurrent_bytes"`
			Uploads         int   `json:"unfinished_uploads"`
			UploadBytes     int64 `json:"unfinished_bytes"`
		}
	}
	f.document(t, &p, "fix", "STORE", "--grace", "0s", "--uploads-older-than", "0s")
	is := p.Bucket
	if !is.Kept || is.Noncurrent != versions || versions == 0 || is.NoncurrentBytes != size || is.Uploads != 1 || is.UploadBytes != parts {
		t.Errorf("%d versions of %d bytes are hidden, and an upload of %d: %+v", versions, size, parts, is)
	}
	f.run("fix", "STORE", "--grace", "0s", "--uploads-older-than", "0s")
	if !strings.Contains(f.out.String(), "noncurrent versions") || !strings.Contains(f.out.String(), "5.0 MiB") {
		t.Errorf("%s", f.out.String())
	}
}

// TestWithoutVersions: a bucket without versions isn't changed unless that is permitted.
func TestWithoutVersions(t *testing.T) {
	for _, status := range []s3test.Status{"", s3test.Suspended} {
		f, _, made := change(t, rotten(), status)
		before := objects(t, made)
		plan := f.plan(t)
		if len(plan.Refusals) != 1 || !strings.Contains(plan.Refusals[0].Why, "put-bucket-versioning") {
			t.Errorf("%q: %+v", status, plan.Refusals)
		}
		if exit := f.run("fix", "STORE", "--apply", "--yes"); exit != 64 || !strings.Contains(f.errs.String(), "--undo none") {
			t.Errorf("%q: exit %d, %s", status, exit, f.errs.String())
		}
		sameObjects(t, "refused", before, objects(t, made))
		var a applied
		f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--undo", "none")
		if a.Freed == 0 || a.Kept != 0 || a.Totals.Done != len(plan.Steps) {
			t.Errorf("%q: %+v", status, a)
		}
		after := objects(t, made)
		for _, v := range made.Versions(t, "some/path/docker/registry/v2/blobs/") {
			if _, ok := after[v.Key]; !ok {
				t.Errorf("%q: %s is left, marker %t", status, v.Key, v.Marker)
			}
		}
	}
}

// TestALeaseIsBroken: while another run has the lease nothing is changed; the lease of a dead
// run is removed only by its id.
func TestALeaseIsBroken(t *testing.T) {
	f, _, made := change(t, littered(), s3test.Enabled)
	lease, _ := json.Marshal(map[string]any{"run": "20260101-000000-dead", "host": "elsewhere", "pid": 1, "expires": time.Now().Add(time.Hour), "seconds": 3600, "token": "t"})
	made.Put(t, "some/path/.regfsck/lock", lease)
	before := objects(t, made)
	for args, want := range map[string]struct {
		exit int
		word string
	}{
		"fix STORE --apply --yes":                                         {64, "--break-lease 20260101-000000-dead"},
		"fix STORE --apply --yes --break-lease 20260101-000000-live":      {16, "20260101-000000-dead"},
		"undo STORE --break-lease 20260101-000000-live":                   {16, "20260101-000000-dead"},
		"fix DIR/folder --apply --yes --break-lease 20260101-000000-dead": {16, "buckets"},
	} {
		if err := littered().WriteDir(filepath.Join(f.dir, "folder")); err != nil {
			t.Fatal(err)
		}
		if exit := f.run(strings.Fields(args)...); exit != want.exit || !strings.Contains(f.errs.String(), want.word) {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
		sameObjects(t, args, before, objects(t, made))
	}
	var a applied
	if f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--break-lease", "20260101-000000-dead"); a.Totals.Done == 0 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	if _, ok := made.Get(t, "some/path/.regfsck/lock"); ok {
		t.Error("the lease stays")
	}
}

// TestDeniedByABucket: a denied operation is reported once, with the missing permission.
func TestDeniedByABucket(t *testing.T) {
	b := littered()
	for i := range 20 {
		body := []byte(fmt.Sprint("nobody's ", i))
		b.Put(layout.BlobKey(layout.Sum(body)), body)
	}
	f, s, made := change(t, b, s3test.Enabled)
	made.Put(t, "some/path/docker/registry/lockfiles/filesystem-in-use", nil)
	before := objects(t, made)
	for op, want := range map[s3test.Operation]struct {
		exit       int
		permission string
		undo       string
	}{
		s3test.DeleteObjects:        {8, "s3:DeleteObject", "none"},
		s3test.GetBucketVersioning:  {64, "s3:GetBucketVersioning", "auto"},
		s3test.PutObject:            {64, "s3:PutObject", "auto"},
		s3test.ListMultipartUploads: {0, "s3:ListBucketMultipartUploads", "dry"},
		s3test.ListObjectVersions:   {0, "s3:ListBucketVersions", "dry"},
	} {
		proxy := s3test.Front(t, s, s3test.Settings{})
		proxy.Inject(s3test.Fault{Match: s3test.Of(op), Do: s3test.AccessDenied()})
		args := []string{"fix", "STORE", "--s3-endpoint", proxy.Endpoint}
		if want.undo != "dry" {
			args = append(args, "--apply", "--yes", "--undo", want.undo)
		}
		exit := f.run(args...)
		said := f.out.String() + f.errs.String()
		if exit != want.exit || !strings.Contains(said, want.permission) {
			t.Errorf("%s: exit %d, %s", op, exit, said)
		}
		if n := strings.Count(said, "need "+want.permission+" "); n > 2 {
			t.Errorf("%s: said %d times\n%s", op, n, said)
		}
		after := objects(t, made)
		for key := range after {
			if strings.Contains(key, "/.regfsck/") { // objects that can't be deleted remain
				delete(after, key)
			}
		}
		sameObjects(t, string(op), before, after)
	}
}

// TestAStateDirectoryIsOfOneBucket: the state directory of one bucket can't be used for
// another.
func TestAStateDirectoryIsOfOneBucket(t *testing.T) {
	f, s, made := change(t, littered(), s3test.Enabled)
	other := s.Make(t, "other")
	other.SetVersioning(t, s3test.Enabled)
	other.Fill(t, s3test.From(littered().Into, ""))
	state := filepath.Join(f.dir, "shared")
	var a applied
	f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--state", state)
	before := objects(t, other)
	for _, args := range [][]string{{"fix", "s3://other", "--apply", "--yes", "--state", state}, {"undo", "s3://other", a.Run, "--state", state}} {
		if exit := f.run(args...); exit != 64 || !strings.Contains(f.errs.String(), "s3://registry/some/path") {
			t.Errorf("%q: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
		sameObjects(t, args[0], before, objects(t, other))
	}
	if entries, err := os.ReadDir(filepath.Join(state, "runs")); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if slices.Contains(made.Keys(t, ""), "some/path/.regfsck/lock") {
		t.Error("a lease stays")
	}
}

// TestABucketWithoutVersionsIsRepaired: a plan that only writes new keys needs no versions;
// its undo removes them.
func TestABucketWithoutVersionsIsRepaired(t *testing.T) {
	for _, status := range []s3test.Status{"", s3test.Suspended} {
		f, _, made := change(t, damaged("layer-link-missing"), status)
		before := objects(t, made)
		plan := f.plan(t)
		if len(plan.Refusals) > 0 || len(plan.Steps) == 0 {
			t.Fatalf("%q: %+v", status, plan)
		}
		for _, step := range plan.Steps {
			if step.Op != "write" {
				t.Fatalf("the store should need links alone: %+v", step)
			}
		}
		if f.run("fix", "STORE"); !strings.Contains(f.out.String(), "regfsck undo removes what is written") || strings.Contains(f.out.String(), "would be refused") {
			t.Errorf("%q: %s", status, f.out.String())
		}
		var a applied
		f.document(t, &a, "fix", "STORE", "--apply", "--yes")
		if a.Totals.Done != len(plan.Steps) || a.Totals.Skipped+a.Totals.Failed > 0 {
			t.Errorf("%q: %+v, %s", status, a, f.errs.String())
		}
		after := objects(t, made)
		for _, step := range plan.Steps {
			if _, ok := after["some/path/"+step.Key]; !ok {
				t.Errorf("%q: %s wasn't written", status, step.Key)
			}
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Errorf("%q: undo: exit %d, %s%s", status, exit, f.out.String(), f.errs.String())
		}
		sameObjects(t, "undone", before, objects(t, made))
	}
}

// TestRefusalsAreSentences: refusals are single lines without repeated clauses, whatever a
// server answers.
func TestRefusalsAreSentences(t *testing.T) {
	for name, test := range map[string]struct {
		status s3test.Status
		fault  *s3test.Fault
		want   string
	}{
		"no versions": {"", nil, "turn versioning on"},
		"suspended":   {s3test.Suspended, nil, "turn versioning on"},
		"no versions deleted": {s3test.Enabled, &s3test.Fault{Match: func(q *s3test.Request) bool {
			return q.Operation == s3test.DeleteObjects && strings.Contains(string(q.Body), "<VersionId>")
		}, Do: s3test.DeleteErrors(func(string) string { return "AccessDenied" })}, "s3:DeleteObjectVersion"},
		"in several lines": {s3test.Enabled, &s3test.Fault{
			Match: s3test.Of(s3test.PutObject), Do: s3test.Refuse(http.StatusForbidden, "AccessDenied", "not by\n\tthis policy\r\nof ours"),
		}, "not by this policy of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, _ := change(t, littered(), test.status)
			proxy := s3test.Front(t, s, s3test.Settings{})
			if test.fault != nil {
				proxy.Inject(*test.fault)
			}
			exit := f.run("fix", "STORE", "--apply", "--yes", "--s3-endpoint", proxy.Endpoint)
			said := f.errs.String()
			if exit != 64 || !strings.Contains(said, test.want) {
				t.Fatalf("exit %d, %s", exit, said)
			}
			if strings.ContainsAny(said, `\`) {
				t.Errorf("a line break is spelled out:\n%s", said)
			}
			if n := strings.Count(said, test.want); n != 1 {
				t.Errorf("%q is said %d times:\n%s", test.want, n, said)
			}
		})
	}
}

// TestRetentionLock: nothing is written that a bucket's default retention would lock; the
// refusal names the retention, and its suggested command works.
func TestRetentionLock(t *testing.T) {
	f, s, made := change(t, littered(), s3test.Enabled)
	made.SetRetention(t, "COMPLIANCE", 30)
	before := made.Versions(t, "")
	for _, args := range []string{"fix STORE", "fix STORE --apply --yes", "fix STORE --apply --yes --undo none", "rm STORE base --apply --yes"} {
		exit := f.run(strings.Fields(args)...)
		said := f.errs.String() + f.out.String()
		if dry := !strings.Contains(args, "--apply"); dry != (exit == 0) || !dry && exit != 64 {
			t.Errorf("%s: exit %d, %s", args, exit, said)
		}
		words := strings.Join(strings.Fields(said), " ")
		if !strings.Contains(words, "30 days (its default retention, mode COMPLIANCE)") || strings.Contains(words, "--undo none does") {
			t.Errorf("%s: %s", args, said)
		}
		if after := made.Versions(t, ""); len(after) != len(before) {
			t.Errorf("%s: %d versions, were %d", args, len(after), len(before))
		}
	}
	made.SetRetention(t, "", 0)
	var a applied
	if f.document(t, &a, "fix", "STORE", "--apply", "--yes"); a.Totals.Done == 0 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	made.SetRetention(t, "GOVERNANCE", 1)
	before = made.Versions(t, "")
	for _, args := range []string{"undo STORE", "purge STORE --all --yes"} {
		exit := f.run(strings.Fields(args)...)
		if said := f.errs.String() + f.out.String(); exit != 64 || !strings.Contains(said, "1 day (") {
			t.Errorf("%s: exit %d, %s", args, exit, said)
		}
		if after := made.Versions(t, ""); len(after) != len(before) {
			t.Errorf("%s: %d versions, were %d", args, len(after), len(before))
		}
	}

	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Match: func(q *s3test.Request) bool { return q.Query.Has("object-lock") }, Do: s3test.AccessDenied()})
	exit := f.run("rm", "STORE", "base", "--apply", "--yes", "--s3-endpoint", proxy.Endpoint)
	said := f.errs.String()
	if exit != 64 || !strings.Contains(said, ".regfsck/probe-") || !strings.Contains(said, "Nothing else was changed.") || strings.Contains(said, "--undo none does") {
		t.Errorf("exit %d, %s", exit, said)
	}
}

// onRequest are the findings whose cure needs a request.
var onRequest = []string{
	"manifest-missing", "manifest-corrupt", "blob-corrupt", "tag-target-foreign", "tag-dangling", "index-child-missing", "tag-without-current", "signature-orphaned",
}

// TestPlansAreTheSameInABucket plans for each damage in a bucket, and in the directory of the
// server: documents and plan files are equal, with the plan's id and all times.
func TestPlansAreTheSameInABucket(t *testing.T) {
	stores := map[string]*fixtures.Builder{"rotten": rotten()}
	flags := map[string][]string{"rotten": {"--thorough"}} // a bucket's listing shows everything
	for _, d := range fixtures.Damages() {
		b, name := fixtures.Standard(), d.ID+", "+d.Name
		if d.Apply(b); d.Disk != nil || slices.ContainsFunc(b.Keys(), unprintable) {
			continue
		}
		stores[name] = b
		if flags[name] = nil; d.Thorough {
			flags[name] = append(flags[name], "--thorough")
		}
		if d.Untagged {
			flags[name] = append(flags[name], "--untagged")
		}
		if slices.Contains(onRequest, d.ID) {
			flags[name] = append(flags[name], "--also", d.ID)
		}
	}
	f, s := newFix(t, fixtures.New(1)), s3test.Start(t, s3test.Options{Versioning: true})
	credentials(t, s)
	f.env["XDG_STATE_HOME"] = filepath.Join(f.dir, "state")
	t.Setenv("AWS_ENDPOINT_URL_S3", s.Endpoint)
	steps, n := 0, 0
	for name, b := range stores {
		n++
		root := []string{"", "some/path/"}[n%2]
		made := s.Make(t, fmt.Sprintf("bucket-%d", n))
		made.SetVersioning(t, s3test.Enabled)
		made.Fill(t, s3test.From(b.Into, root))
		f.store = "s3://" + made.Name + "/" + root
		in, inFile := f.planOf(t, flags[name]...)
		f.store = filepath.Join(made.Dir, root)
		on, onFile := f.planOf(t, flags[name]...)
		for field := range on {
			if !reflect.DeepEqual(on[field], in[field]) {
				t.Errorf("%s: %s is %v in the bucket, and %v in the directory", name, field, in[field], on[field])
			}
		}
		if len(in) != len(on) {
			t.Errorf("%s: %d and %d fields", name, len(in), len(on))
		}
		if !bytes.Equal(inFile, onFile) {
			t.Errorf("%s: in the bucket\n%s\nin the directory\n%s", name, inFile, onFile)
		}
		steps += len(on["steps"].([]any))
	}
	if n < 40 || steps < n {
		t.Errorf("%d stores, %d steps", n, steps)
	}
}

// planOf returns the document of a dry run without what varies, and the steps of its plan
// file.
func (f *fake) planOf(t *testing.T, flags ...string) (document map[string]any, lines []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan")
	f.document(t, &document, append([]string{"fix", "STORE", "--save-plan", path}, flags...)...)
	for _, about := range []string{"target", "started", "finished", "cost", "again", "kind_of_store", "bucket", "undo"} {
		delete(document, about)
	}
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(bytes.Lines(saved))
	if len(all) < 2 || !json.Valid(all[0]) {
		t.Fatalf("%s", saved)
	}
	return document, bytes.Join(all[1:len(all)-1], nil)
}

// TestAbortsInAPlan: a plan mentions aborts of multipart uploads only if it has some; a
// removal leaves others alone.
func TestAbortsInAPlan(t *testing.T) {
	b, _ := several()
	f, _, made := change(t, b, s3test.Enabled)
	made.StartUpload(t, "some/path/"+layout.BlobKey(layout.Sum([]byte("half"))), []byte("x"))
	f.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	for args, want := range map[string]string{
		"fix STORE --grace 0s --uploads-older-than 0s":                 "this plan aborts 1;",
		"fix STORE --grace 0s":                                         "this plan aborts 0;",
		"rm STORE other:v1 --grace 0s --uploads-older-than 0s":         "this plan aborts 0;",
		"prune STORE --keep-last 1 --grace 0s --uploads-older-than 0s": "this plan aborts 0;",
	} {
		f.run(strings.Fields(args)...)
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("%s lacks %q:\n%s", args, want, f.out.String())
		}
	}
}

// TestMarkersOfABucket: directory markers are removed and restored, also with the objects of
// the same run.
func TestMarkersOfABucket(t *testing.T) {
	for _, status := range []s3test.Status{"", s3test.Enabled} {
		b := fixtures.Standard()
		f, _, made := change(t, b, status)
		old := f.now
		f.now = func() time.Time { return old().AddDate(1, 0, 0) }
		ghosts := []string{
			layout.RepositoryKey("ghost") + "/_layers/", layout.RepositoryKey("ghost") + "/_layers/sha256/",
			layout.RepositoryKey("app") + "/_manifests/tags/gone/",
		}
		others := []string{layout.RepositoryKey("app") + "/_layers/", layout.RepositoryKey("twin") + "/_layers/", layout.RepositoryKey("twin") + "/"}
		markers := map[string][]byte{}
		for _, key := range slices.Concat(ghosts, others) {
			markers["some/path/"+key] = nil
		}
		made.Fill(t, s3test.Map(markers))
		before := objects(t, made)
		undo := []string{"--undo", "none"}
		if status != "" {
			undo = nil
		}
		var a applied
		f.document(t, &a, append([]string{"fix", "STORE", "--apply", "--yes"}, undo...)...)
		if a.Totals.Done != len(ghosts) || len(a.Left) > 0 {
			t.Errorf("%q: %+v", status, a)
		}
		for _, key := range ghosts {
			if _, there := made.Get(t, "some/path/"+key); there {
				t.Errorf("%q: %s is still there", status, key)
			}
		}
		if status != "" {
			if code := f.run("undo", "STORE"); code != 0 {
				t.Errorf("undo: exit %d, %s%s", code, f.out.String(), f.errs.String())
			}
			sameObjects(t, "undone", before, objects(t, made))
			f.document(t, &a, "fix", "STORE", "--apply", "--yes")
		}
		f.run(append([]string{"rm", "STORE", "twin", "--apply", "--yes"}, undo...)...)
		for _, key := range made.Keys(t, "some/path/"+layout.RepositoryKey("twin")) {
			if !strings.HasSuffix(key, "/twin/") { // it doesn't list a repository
				t.Errorf("%q: %s is left of twin: %s%s", status, key, f.out.String(), f.errs.String())
			}
		}
	}
}

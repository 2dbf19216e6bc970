package main

import (
	"fmt"
	"testing"

	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// TestAListingThatIsStale: what a run removed isn't counted again at each check
// while the bucket still lists it, and a fix has nothing to do; what stands there
// again is.
func TestAListingThatIsStale(t *testing.T) {
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

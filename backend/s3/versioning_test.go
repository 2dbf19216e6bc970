package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// TestCanKeep: only a bucket whose versioning is enabled, and does what it says,
// can keep; and the test leaves nothing.
func TestCanKeep(t *testing.T) {
	r := newRig(t, true, "a")
	if err := errors.Join(r.s.CanKeep(t.Context()), r.s.CanKeep(t.Context())); err != nil {
		t.Error(err)
	}
	if n := r.p.Counts()[bucket.PutObject]; n != 1 {
		t.Errorf("%d probes, want 1", n)
	}
	if q := r.p.Requests(bucket.PutObject)[0]; !strings.HasPrefix(q.Key, "root/.regfsck/") {
		t.Errorf("the probe is %s", q.Key)
	}
	if n := r.versions(t); n != 1 {
		t.Errorf("%d versions and markers, want 1", n)
	}
	r.b.SetVersioning(t, bucket.Suspended)
	if err := r.s.CanKeep(t.Context()); err == nil || !strings.Contains(err.Error(), "suspended") {
		t.Error(err)
	}
	for _, receipt := range append(r.s.Remove(t.Context(), keeping1, []string{"a"}), r.open(t).Put(t.Context(), keeping1, "a", nil, 0)) {
		if receipt.Err == nil || !strings.Contains(receipt.Err.Error(), "suspended") {
			t.Errorf("%+v", receipt)
		}
	}
	r.has(t, "a")
}

func TestCanKeepWithoutVersions(t *testing.T) {
	r := newRig(t, false, "a")
	err := r.s.CanKeep(t.Context())
	if err == nil || !strings.Contains(err.Error(), "put-bucket-versioning --bucket bucket") {
		t.Error(err)
	}
	enabled := bucket.EditBody(func([]byte) []byte {
		return []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	})
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.GetBucketVersioning), Do: enabled})
	must(t, r.s.CanKeep(t.Context()), errNoVersion, "says that it keeps versions")
	receipt := r.s.Remove(t.Context(), keeping1, []string{"a"})[0]
	must(t, receipt.Err, errNotKept)
	if yes, err := r.s.Versioned(t.Context()); !yes || err != nil {
		t.Error(yes, err)
	}
	r.p.Heal()
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.GetBucketVersioning), Do: bucket.Refuse(http.StatusNotImplemented, "NotImplemented", "no such thing")})
	if yes, err := r.s.Versioned(t.Context()); yes || err != nil {
		t.Error(yes, err)
	}
	r.has(t)
}

// TestCanKeepDenied: each permission that an undo needs is found missing
// before anything is removed, by its name.
func TestCanKeepDenied(t *testing.T) {
	for kind, want := range map[bucket.Operation]string{
		bucket.GetBucketVersioning: mayGetVersioning, bucket.PutObject: mayPut, bucket.ListObjectVersions: mayListVersions, bucket.DeleteObjects: mayDelete,
	} {
		r := newRig(t, true)
		r.p.Inject(bucket.Fault{Match: bucket.Of(kind), Do: bucket.AccessDenied()})
		must(t, r.s.CanKeep(t.Context()), fs.ErrPermission, want+" on bucket")
	}
	r := newRig(t, true)
	r.p.Inject(bucket.Fault{Match: func(q *bucket.Request) bool {
		return q.Operation == bucket.DeleteObjects && strings.Contains(string(q.Body), "<VersionId>")
	}, Do: bucket.DeleteErrors(func(string) string { return "AccessDenied" })})
	must(t, r.s.CanKeep(t.Context()), fs.ErrPermission, mayDeleteVersion)
}

// TestExpiry: the shortest rule that removes what a run keeps.
func TestExpiry(t *testing.T) {
	rule := func(status, filter, expiration string) string {
		return "<Rule><ID>x</ID><Status>" + status + "</Status>" + filter + "<NoncurrentVersionExpiration>" + expiration + "</NoncurrentVersionExpiration></Rule>"
	}
	const week, month = "<NoncurrentDays>7</NoncurrentDays>", "<NoncurrentDays>30</NoncurrentDays>"
	for body, want := range map[string]int{
		"": 0,
		rule("Enabled", "<Filter></Filter>", month):                                                                                 30,
		rule("Enabled", "<Prefix>ro</Prefix>", month) + rule("Enabled", "<Filter></Filter>", week):                                  7,
		rule("Disabled", "<Filter></Filter>", week):                                                                                 0,
		rule("Enabled", "<Filter><Prefix>root/docker/registry/v2/blobs/</Prefix></Filter>", week):                                   7,
		rule("Enabled", "<Filter><Prefix>rooted/</Prefix></Filter>", week):                                                          0,
		rule("Enabled", "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>", week):                                           0,
		rule("Enabled", "<Filter><And><Prefix>root/</Prefix><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And></Filter>", week): 7,
		rule("Enabled", "<Filter></Filter>", week+"<NewerNoncurrentVersions>3</NewerNoncurrentVersions>"):                           0,
	} {
		r := newRig(t, true)
		r.p.Inject(bucket.Fault{Match: ofLifecycle, Do: bucket.Lifecycle(body)})
		if days, ok, err := r.s.Expiry(t.Context()); days != want || ok != (want > 0) || err != nil {
			t.Errorf("%s: %d, %v, %v, want %d", body, days, ok, err, want)
		}
	}
	r := newRig(t, true)
	if days, ok, err := r.s.Expiry(t.Context()); days != 0 || ok || err != nil {
		t.Error(days, ok, err)
	}
	r.p.Inject(bucket.Fault{Match: ofLifecycle, Do: bucket.AccessDenied()})
	_, _, err := r.s.Expiry(t.Context())
	must(t, err, fs.ErrPermission, mayGetLifecycle)
}

// TestSuspended: what a bucket kept before it was suspended is given up with
// what stands there, and nothing comes up from below.
func TestSuspended(t *testing.T) {
	r := newRig(t, true, "a", "b")
	r.b.Put(t, "root/a", []byte("later"))
	receipts := r.remove(t, keeping1, "b")
	r.b.SetVersioning(t, bucket.Suspended)
	r.remove(t, freeing, "a")
	r.has(t)
	if receipt := r.s.Put(t.Context(), freeing, "c", []byte("body of c"), 0); receipt.Err != nil {
		t.Error(receipt.Err)
	}
	r.remove(t, freeing, "c")
	r.restore(t, keeping1, append(receipts, backend.Receipt{Key: "b"}), nil)
	r.has(t, "b")
	if n := r.versions(t); n != 1 {
		t.Errorf("%d versions and markers, want 1", n)
	}
}

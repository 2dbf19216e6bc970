package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/s3test"
)

// TestCanUndo: only a bucket with working versioning can undo, and the test object is removed.
func TestCanUndo(t *testing.T) {
	r := newRig(t, true, "a")
	if err := errors.Join(r.s.CanUndo(t.Context()), r.s.CanUndo(t.Context())); err != nil {
		t.Error(err)
	}
	if n := r.p.Counts()[s3test.PutObject]; n != 1 {
		t.Errorf("%d probes, want 1", n)
	}
	if q := r.p.Requests(s3test.PutObject)[0]; !strings.HasPrefix(q.Key, "root/.regfsck/") {
		t.Errorf("the probe is %s", q.Key)
	}
	if n := r.versions(t); n != 1 {
		t.Errorf("%d versions and markers, want 1", n)
	}
	r.b.SetVersioning(t, s3test.Suspended)
	if err := r.s.CanUndo(t.Context()); err == nil || !strings.Contains(err.Error(), "suspended") {
		t.Error(err)
	}
	for _, receipt := range append(r.s.Remove(t.Context(), keeping1, []string{"a"}), r.open(t).Put(t.Context(), keeping1, "a", nil, 0)) {
		if receipt.Err == nil || !strings.Contains(receipt.Err.Error(), "suspended") {
			t.Errorf("%+v", receipt)
		}
	}
	r.has(t, "a")
}

// saysEnabled lets a bucket claim that it keeps versions.
func saysEnabled() s3test.Fault {
	return s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: s3test.EditBody(func([]byte) []byte {
		return []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	})}
}

func TestCanUndoWithoutVersions(t *testing.T) {
	r := newRig(t, false, "a")
	err := r.s.CanUndo(t.Context())
	if err == nil || !strings.Contains(err.Error(), "put-bucket-versioning --bucket bucket") {
		t.Error(err)
	}
	r.p.Inject(saysEnabled())
	must(t, r.s.CanUndo(t.Context()), errNoVersion, "is configured to keep versions")
	receipt := r.s.Remove(t.Context(), keeping1, []string{"a"})[0]
	must(t, receipt.Err, errNotKept)
	if yes, err := r.s.Versioned(t.Context()); !yes || err != nil {
		t.Error(yes, err)
	}
	r.p.Heal()
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: s3test.Refuse(http.StatusNotImplemented, "NotImplemented", "no such thing")})
	if yes, err := r.s.Versioned(t.Context()); yes || err != nil {
		t.Error(yes, err)
	}
	r.has(t)
}

// TestCanUndoDenied: each missing permission that an undo needs is named before anything is
// removed.
func TestCanUndoDenied(t *testing.T) {
	for kind, want := range map[s3test.Operation]string{
		s3test.GetBucketVersioning: mayGetVersioning, s3test.PutObject: mayPut, s3test.ListObjectVersions: mayListVersions, s3test.DeleteObjects: mayDelete,
	} {
		r := newRig(t, true)
		r.p.Inject(s3test.Fault{Match: s3test.Of(kind), Do: s3test.AccessDenied()})
		must(t, r.s.CanUndo(t.Context()), fs.ErrPermission, want+" on bucket")
	}
	r := newRig(t, true)
	r.p.Inject(s3test.Fault{Match: func(q *s3test.Request) bool {
		return q.Operation == s3test.DeleteObjects && strings.Contains(string(q.Body), "<VersionId>")
	}, Do: s3test.DeleteErrors(func(string) string { return "AccessDenied" })})
	must(t, r.s.CanUndo(t.Context()), fs.ErrPermission, mayDeleteVersion)
}

// TestExpiry: the rule with the fewest days that removes what a run keeps.
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
		r.p.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.Lifecycle(body)})
		if days, ok, err := r.s.Expiry(t.Context()); days != want || ok != (want > 0) || err != nil {
			t.Errorf("%s: %d, %v, %v, want %d", body, days, ok, err, want)
		}
	}
	r := newRig(t, true)
	if days, ok, err := r.s.Expiry(t.Context()); days != 0 || ok || err != nil {
		t.Error(days, ok, err)
	}
	r.p.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.AccessDenied()})
	_, _, err := r.s.Expiry(t.Context())
	must(t, err, fs.ErrPermission, mayGetLifecycle)
}

// TestSuspended: versions that a bucket kept before it was suspended are deleted with the
// current one, and none becomes current.
func TestSuspended(t *testing.T) {
	r := newRig(t, true, "a", "b")
	r.b.Put(t, "root/a", []byte("later"))
	receipts := r.remove(t, keeping1, "b")
	r.b.SetVersioning(t, s3test.Suspended)
	r.remove(t, freeing, "a")
	r.has(t)
	if receipt := r.s.Put(t.Context(), freeing, "c", []byte("body of c"), 0); receipt.Err != nil {
		t.Error(receipt.Err)
	}
	r.remove(t, freeing, "c")
	if receipt := r.s.Put(t.Context(), freeing, "d", []byte("body of d"), 0); receipt.Err != nil {
		t.Error(receipt.Err)
	}
	s := r.open(t)
	r.p.Inject(saysEnabled()) // as when it is suspended while a run removes
	must(t, s.Remove(t.Context(), keeping1, []string{"d"})[0].Err, errNotKept)
	r.p.Heal()
	r.b.Delete(t, "root/d", "null")
	r.restore(t, keeping1, append(receipts, backend.Receipt{Key: "b"}), nil)
	r.has(t, "b")
	if n := r.versions(t); n != 1 {
		t.Errorf("%d versions and markers, want 1", n)
	}
}

// TestRules: which lifecycle rules remove current objects of the store.
func TestRules(t *testing.T) {
	rule := func(status, filter, action string) string {
		return "<Rule><ID>x</ID><Status>" + status + "</Status>" + filter + action + "</Rule>"
	}
	const month = "<Expiration><Days>30</Days></Expiration>"
	for _, test := range []struct {
		body string
		want []string
	}{
		{rule("Enabled", "<Filter></Filter>", month), []string{
			": the bucket's lifecycle rule x will remove every object of the bucket 30 days after it was written",
		}},
		{rule("Enabled", "<Prefix>ro</Prefix>", "<Expiration><Days>1</Days></Expiration>"), []string{
			": the bucket's lifecycle rule x will remove what begins with ro 1 day after it was written",
		}},
		{rule("Enabled", "<Filter><Prefix>root/docker/registry/v2/blobs/</Prefix></Filter>", "<Expiration><Date>2030-01-02T00:00:00Z</Date></Expiration>"), []string{
			"docker/registry/v2/blobs/: the bucket's lifecycle rule x will remove what begins with root/docker/registry/v2/blobs/ on 2030-01-02",
		}},
		{rule("Enabled", "<Filter><And><Prefix>root/</Prefix><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And></Filter>", month), []string{
			": the bucket's lifecycle rule x may remove what begins with root/ (where it has certain tags or sizes) 30 days after it was written",
		}},
		{rule("Enabled", "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>", month), []string{
			": the bucket's lifecycle rule x may remove every object of the bucket (where it has certain tags or sizes) 30 days after it was written",
		}},
		{rule("Enabled", "<Filter></Filter>", "<Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"), []string{
			": the bucket's lifecycle rule x will move every object of the bucket into the archive class GLACIER 90 days after it was written",
		}},
		{rule("Disabled", "<Filter></Filter>", month), nil},
		{rule("Enabled", "<Filter><Prefix>rooted/</Prefix></Filter>", month), nil},
		{rule("Enabled", "<Filter></Filter>", "<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>"), nil},
		{rule("Enabled", "<Filter></Filter>", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), nil},
		{rule("Enabled", "<Filter></Filter>", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), nil},
	} {
		r := newRig(t, false)
		r.p.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.Lifecycle(test.body)})
		rules, err := r.s.Rules(t.Context())
		var said []string
		for _, rule := range rules {
			said = append(said, rule.Prefix+": "+rule.Detail)
		}
		if err != nil || !slices.Equal(said, test.want) {
			t.Errorf("%s: %q, %v, want %q", test.body, said, err, test.want)
		}
	}
}

func ofLifecycle(q *s3test.Request) bool { return q.Query.Has("lifecycle") }

// TestRulesUnknown: a bucket without rules has none; a denied request is an error that names
// the permission.
func TestRulesUnknown(t *testing.T) {
	r := newRig(t, false)
	if rules, err := r.s.Rules(t.Context()); len(rules) > 0 || err != nil {
		t.Error(rules, err)
	}
	for _, answer := range []s3test.Action{
		s3test.Refuse(http.StatusNotFound, "NoSuchLifecycleConfiguration", "none"), s3test.Refuse(http.StatusNotImplemented, "NotImplemented", "none"),
		s3test.Refuse(http.StatusNotFound, "NotFound", "none"),
	} {
		r.p.Heal()
		r.p.Inject(s3test.Fault{Match: ofLifecycle, Do: answer})
		if rules, err := r.s.Rules(t.Context()); len(rules) > 0 || err != nil {
			t.Error(rules, err)
		}
	}
	r.p.Heal()
	r.p.Inject(s3test.Fault{Match: ofLifecycle, Do: s3test.AccessDenied()})
	_, err := r.s.Rules(t.Context())
	must(t, err, fs.ErrPermission, mayGetLifecycle)
}

// writes returns the number of requests through the proxy that write something.
func writes(p *s3test.Proxy) (n int) {
	for _, kind := range []s3test.Operation{s3test.PutObject, s3test.CopyObject, s3test.DeleteObject, s3test.DeleteObjects} {
		n += p.Counts()[kind]
	}
	return n
}

// TestRetained: while a bucket locks written objects, neither a test object nor a lease is
// written; without the lock, both work.
func TestRetained(t *testing.T) {
	for _, mode := range []string{"COMPLIANCE", "GOVERNANCE"} {
		r := newRig(t, true, "a")
		r.b.SetRetention(t, mode, 30)
		_, locked := r.s.Lock(t.Context(), keeping1)
		for _, err := range []error{r.s.Retained(t.Context()), r.s.CanUndo(t.Context()), locked} {
			must(t, err, backend.ErrRetained, "30 days", mode, "put-object-lock-configuration --bucket bucket")
		}
		if n := writes(r.p); n != 0 || r.versions(t) != 1 {
			t.Errorf("%s: %d requests that write, %d versions", mode, n, r.versions(t))
		}
		r.b.SetRetention(t, "", 0)
		unlock, err := r.s.Lock(t.Context(), keeping1)
		if err = backend.Join(r.s.CanUndo(t.Context()), err); err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil || r.versions(t) != 1 {
			t.Errorf("%s: %v, %d versions", mode, err, r.versions(t))
		}
	}
}

// TestRetentionUnknown: if the server doesn't support the request, the test object is written;
// the error says if it can't be removed.
func TestRetentionUnknown(t *testing.T) {
	lock := func(q *s3test.Request) bool { return q.Query.Has("object-lock") }
	for name, answer := range map[string]s3test.Action{
		"no such configuration": s3test.Refuse(http.StatusNotFound, "ObjectLockConfigurationNotFoundError", "none"),
		"no such thing":         s3test.Refuse(http.StatusNotImplemented, "NotImplemented", "none"),
		"denied":                s3test.AccessDenied(),
	} {
		r := newRig(t, true)
		r.p.Inject(s3test.Fault{Match: lock, Do: answer})
		if err := r.s.CanUndo(t.Context()); err != nil || r.versions(t) != 0 {
			t.Errorf("%s: %v, %d versions", name, err, r.versions(t))
		}
	}
	r := newRig(t, true)
	r.p.Inject(s3test.Fault{Match: lock, Do: s3test.AccessDenied()})
	r.b.SetRetention(t, "COMPLIANCE", 1)
	err := r.s.CanUndo(t.Context())
	must(t, err, backend.ErrTestObject, ".regfsck/probe-")
	if errors.Is(err, backend.ErrRetained) || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	if keys := r.b.Keys(t, "root/"); slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, "probe-") }) {
		t.Errorf("the remaining object isn't hidden: %q", keys)
	}
}

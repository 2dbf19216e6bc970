package s3

import (
	"io/fs"
	"net/http"
	"slices"
	"testing"

	"regfsck/fixtures/bucket"
)

// TestRules: which lifecycle rules take current objects of the store away, and
// which don't.
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
		r.p.Inject(bucket.Fault{Match: ofLifecycle, Do: bucket.Lifecycle(test.body)})
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

func ofLifecycle(q *bucket.Request) bool { return q.Query.Has("lifecycle") }

// TestRulesUnknown: a bucket without rules has none, and one that doesn't tell is
// an error with the permission.
func TestRulesUnknown(t *testing.T) {
	r := newRig(t, false)
	if rules, err := r.s.Rules(t.Context()); len(rules) > 0 || err != nil {
		t.Error(rules, err)
	}
	for _, answer := range []bucket.Action{
		bucket.Refuse(http.StatusNotFound, "NoSuchLifecycleConfiguration", "none"), bucket.Refuse(http.StatusNotImplemented, "NotImplemented", "none"),
		bucket.Refuse(http.StatusNotFound, "NotFound", "none"),
	} {
		r.p.Heal()
		r.p.Inject(bucket.Fault{Match: ofLifecycle, Do: answer})
		if rules, err := r.s.Rules(t.Context()); len(rules) > 0 || err != nil {
			t.Error(rules, err)
		}
	}
	r.p.Heal()
	r.p.Inject(bucket.Fault{Match: ofLifecycle, Do: bucket.AccessDenied()})
	_, err := r.s.Rules(t.Context())
	must(t, err, fs.ErrPermission, mayGetLifecycle)
}

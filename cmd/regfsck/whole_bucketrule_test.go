package main

import (
	"strings"
	"testing"

	"regfsck/fixtures/s3test"
)

// TestALifecycleRuleIsAWarning: a rule by which the bucket removes what the registry
// needs is a finding of check, and said in the plan of fix; it refuses nothing. One
// that touches nothing of the registry's is none, and one that may not be known is a
// note.
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

package main

import (
	"net/http"
	"strings"
	"testing"

	"regfsck/fixtures/s3test"
)

// TestABucketWithoutVersionsIsRepaired: a plan that only writes where nothing stood
// needs nothing kept, and is undone by removing what it wrote.
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
		if f.run("fix", "STORE"); !strings.Contains(f.out.String(), "what is written is removed again") || strings.Contains(f.out.String(), "would be refused") {
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

// TestRefusalsAreSentences: whatever a server answers, what a refusal says stands
// in one line, and each clause once.
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

// TestABucketThatLocksWhatIsWritten: what a bucket's default retention would keep is
// never written, and the refusal names the retention, offers nothing that would be
// refused too, and works as printed.
func TestABucketThatLocksWhatIsWritten(t *testing.T) {
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
		if !strings.Contains(words, "30 days (its default retention, mode COMPLIANCE)") || strings.Contains(words, "gives up the undo") {
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
	if exit != 64 || !strings.Contains(said, ".regfsck/probe-") || !strings.Contains(said, "Nothing else was changed.") || strings.Contains(said, "gives up the undo") {
		t.Errorf("exit %d, %s", exit, said)
	}
}

package formats

import (
	"bytes"
	"encoding/xml"
	"slices"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
)

func junitOf(t *testing.T, d report.Document) (all junitSuites) {
	t.Helper()
	var b bytes.Buffer
	if err := Renderer("junit", d)(&b); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b.Bytes(), &all); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return all
}

// TestJUnitFailsAsTheExitCodeDoes: failures and errors agree with damage and incomplete in
// the exit code, with any --fail-on.
func TestJUnitFailsAsTheExitCodeDoes(t *testing.T) {
	young := reports.CheckOf([]finding.Finding{{Kind: finding.BlobOrphan, Path: "p", InGrace: true}}, nil)
	unknown := reports.Clean()
	unknown.Result.Totals.TagsUnknown = 1
	unknown.Result.Unknown = slices.Values([]finding.BrokenTag{{Repository: "a", Tag: "b"}})
	broken := reports.CheckOf(nil, []finding.BrokenTag{{Repository: "a", Tag: "b"}})
	broken.Result.Totals.TagsBroken = 1
	interrupted := reports.Clean()
	interrupted.Result.Complete = false
	unproven := reports.Clean()
	unproven.Result.Proofs = &graph.Proofs{All: true, Unproven: graph.Amount{Blobs: 1}}
	checks := []*report.Check{reports.Damaged(), reports.Clean(), young, unknown, broken, interrupted, unproven}
	for id := range finding.Kinds {
		r := check.Result{Complete: id.Severity() != finding.Fatal}
		c := reports.CheckOf([]finding.Finding{{Kind: id, Path: "p"}}, nil)
		c.Result.Complete = r.Complete
		checks = append(checks, c)
	}
	for i, c := range checks {
		for _, failOn := range []finding.Severity{finding.Error, finding.Warning, finding.Garbage, finding.Fatal} {
			c.FailOn, c.Exit = failOn, exitcode.OfCheck(c.Result, failOn, nil)
			all := junitOf(t, c)
			if (all.Failures > 0) != (c.Exit&exitcode.DamageLeft != 0) || (all.Errors > 0) != (c.Exit&exitcode.Incomplete != 0) {
				t.Errorf("check %d, --fail-on %s: %d failures and %d errors, exit %d", i, failOn, all.Failures, all.Errors, c.Exit)
			}
			tests, failures := 0, 0
			for _, s := range all.Suites {
				tests, failures = tests+len(s.Cases), failures+s.Failures
			}
			if len(all.Suites) != 4 || tests != all.Tests || failures != all.Failures {
				t.Errorf("check %d: %d suites with %d tests and %d failures, want %d and %d", i, len(all.Suites), tests, failures, all.Tests, all.Failures)
			}
		}
	}
}

// TestJUnitNamesEverything: every kind of finding is a test, and each failure has its object.
func TestJUnitNamesEverything(t *testing.T) {
	var names []string
	for _, s := range junitOf(t, reports.Damaged()).Suites {
		for _, c := range s.Cases {
			if c.Failure != nil || c.Error != nil {
				names = append(names, s.Name+" "+c.Class+" "+c.Name)
			} else {
				names = append(names, c.Class)
			}
		}
	}
	for id := range finding.Kinds {
		if reports.Damaged().Result.Counts[id].Count == 0 && !slices.Contains(names, id.String()) {
			t.Errorf("no test of %s in %q", id, names)
		}
	}
	for _, want := range []string{
		"fatal store-unreadable docker/registry/v2/repositories/team/secret", "fatal tag-unknown api:1",
		"error tag-dangling docker/registry/v2/repositories/web/_manifests/tags/old/current/link", "error tag-broken web:1", "foreign-file", "blob-orphan",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is missing in %q", want, names)
		}
	}
}

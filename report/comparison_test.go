package report_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

func TestComparison(t *testing.T) {
	c := reports.Compared()
	d := c.Fields().(report.DiffFields)
	added, gone := slices.Collect(d.Added), slices.Collect(d.Gone)
	if len(added) != 1 || added[0].Path != strings.ToValidUTF8(reports.HostileText, "\ufffd") || len(gone) != 1 || gone[0].Path != "gone" || d.Unchanged != 1 {
		t.Errorf("%+v, %+v, %d unchanged", added, gone, d.Unchanged)
	}
	if !slices.Equal(d.Broke, []string{"c:broke"}) || !slices.Equal(d.Healed, []string{"b:healed"}) {
		t.Errorf("%q broke, %q healed", d.Broke, d.Healed)
	}
	c.New.Unknown = []report.BrokenFields{{Ref: "b:healed"}}
	if d := c.Fields().(report.DiffFields); len(d.Healed) > 0 {
		t.Errorf("%q is not known to be whole", d.Healed)
	}
	text := written(t, c.View, view.Options{})
	for _, want := range []string{"WORSE: 1 finding is new, 1 gone, 1 unchanged\n", "TAGS BROKEN SINCE\n\n  c:broke\n", "link-invalid  1\n", "blob-orphan  1\n    gone\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\u202e\x00") {
		t.Errorf("a stranger is not escaped in %q", text)
	}
	again := &report.Comparison{Old: c.New, New: c.New}
	if text := written(t, again.Short, view.Options{}); text != "THE SAME: 0 findings are new, 0 gone, 2 unchanged\n" {
		t.Errorf("of itself: %q", text)
	}
}

// TestWhatAnInterruptedCheckDidNotHashIsNotGone: it may not have hashed the blob.
func TestWhatAnInterruptedCheckDidNotHashIsNotGone(t *testing.T) {
	all := []finding.Finding{{Kind: finding.BlobCorrupt, Path: "blob", Cure: finding.CureNone}, {Kind: finding.BlobMissing, Path: "put back", Cure: finding.CureNone}}
	tags := []finding.BrokenTag{{Repository: "a", Tag: "corrupt", Because: []string{"blob-corrupt blob"}}, {Repository: "a", Tag: "missing", Because: []string{"blob-missing put back"}}}
	old, now := reports.CheckOf(all, tags), reports.CheckOf(nil, nil)
	old.Looked.Verify, now.Looked.Verify = "all", "all"
	now.Result.Complete, now.Exit = false, exitcode.Incomplete|exitcode.Cancelled
	d := (&report.Comparison{Old: reports.Past(old), New: reports.Past(now)}).Fields().(report.DiffFields)
	gone, unsought := slices.Collect(d.Gone), slices.Collect(d.Unsought)
	if len(gone) != 1 || gone[0].Path != "put back" || len(unsought) != 1 || unsought[0].Path != "blob" || !slices.Equal(d.Healed, []string{"a:missing"}) {
		t.Errorf("gone: %+v, not looked for: %+v, healed: %q", gone, unsought, d.Healed)
	}
	now.Since = reports.Past(old)
	if c := now.Changed(); len(c.Gone) != 1 || len(c.Unsought) != 1 || len(c.Healed) != 1 {
		t.Errorf("--since: %+v", c)
	}
}

// TestOnlyChecksAreCompared: other files are refused without a comparison.
func TestOnlyChecksAreCompared(t *testing.T) {
	var plan bytes.Buffer
	if err := report.WriteJSON(&plan, reports.PlanOf(nil)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "no JSON report", "{}": `its schema is ""`, plan.String(): "regfsck.dry-run/1", "[1]": "no JSON report"} {
		if _, err := report.ReadPast(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// TestAReportIsReadWhole: a file must be exactly one complete report, and reading is limited.
func TestAReportIsReadWhole(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteJSON(&b, reports.Clean()); err != nil {
		t.Fatal(err)
	}
	one := b.String()
	for text, want := range map[string]string{
		one + one:                      "something follows the report",
		one + "x":                      "something follows the report",
		`{"schema":"regfsck.check/1"}`: "it has no findings",
		one[:strings.LastIndex(one, `"findings"`)] + `"findings":null}`: "it has no findings",
	} {
		if _, err := report.ReadPast(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q…: %v, not %q", text, err, want)
		}
	}
	if _, err := report.ReadPast(strings.NewReader(one + " \n")); err != nil {
		t.Error(err)
	}
	defer func(was int64) { *report.MaxPast = was }(*report.MaxPast)
	*report.MaxPast = int64(len(one))
	if _, err := report.ReadPast(strings.NewReader(one)); err != nil {
		t.Errorf("of just the size: %v", err)
	}
	(*report.MaxPast)--
	if _, err := report.ReadPast(strings.NewReader(one)); err == nil || !strings.Contains(err.Error(), "bigger than") {
		t.Errorf("too big: %v", err)
	}
}

// TestAnUnknownKindIsAsSevereAsItsReportSays: the severity of a kind of another version is
// the report's.
func TestAnUnknownKindIsAsSevereAsItsReportSays(t *testing.T) {
	for severity, want := range map[string]string{"fatal": "WORSE", "error": "WORSE", "warning": "DIFFERENT", "garbage": "DIFFERENT", "unheard-of": "DIFFERENT"} {
		c := reports.Compared()
		c.Old.Broken, c.New.Broken = nil, nil
		c.New.Findings = append(slices.Clone(c.Old.Findings), report.FindingFields{ID: "of-another-version", Severity: severity, Path: "p"})
		if text := written(t, c.Short, view.Options{}); !strings.HasPrefix(text, want+": ") {
			t.Errorf("%s: %s", severity, text)
		}
	}
}

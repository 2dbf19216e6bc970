package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/fixtures/schematest"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/accept"
	"regfsck/report/exitcode"
	"regfsck/report/formats"
	"regfsck/report/view"
)

// acceptIn sets the accepted findings of a check.
func acceptIn(t *testing.T, c *report.Check, entries ...accept.Entry) *report.Check {
	t.Helper()
	var rules []accept.Rule
	for i, e := range entries {
		r, err := accept.NewRule(e, "a.yml", i+1, reports.Begun)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	var err error
	if c.Accepted, err = accept.New(rules); err != nil {
		t.Fatal(err)
	}
	c.Accepted.Tally(c.Result.Findings, c.Result.Broken)
	c.Exit = exitcode.OfCheck(c.Result, c.FailOn, c.Accepted)
	return c
}

// randomCheck returns a check with random findings, some of which break tags.
func randomCheck(random *rand.Rand) (*report.Check, []accept.Entry) {
	var findings []finding.Finding
	var entries []accept.Entry
	tags := map[string][]string{}
	for id := range finding.Kinds {
		for i := range random.IntN(3) {
			f := finding.Finding{Kind: id, Path: fmt.Sprintf("%s/%d", id, i), Bytes: random.Int64N(9), InGrace: id.Severity() == finding.Garbage && random.IntN(3) == 0}
			if id.Severity() == finding.Fatal && random.IntN(4) > 0 {
				continue
			}
			if id.Severity() == finding.Error || id == finding.TagWithoutCurrent {
				for range random.IntN(3) {
					tag := fmt.Sprint("t", random.IntN(30))
					tags[tag] = append(tags[tag], id.String()+" "+f.Path)
					f.AffectsCount++
				}
			}
			findings = append(findings, f)
			if id.Severity() != finding.Fatal && random.IntN(3) > 0 {
				entries = append(entries, accept.Entry{ID: id.String(), Key: f.Path, Reason: "r", Tags: max(0, f.AffectsCount-random.IntN(6)/5), Until: []string{"", "2999-01-01", "2000-01-01"}[min(2, random.IntN(20)/9)]})
			}
		}
	}
	var broken []finding.BrokenTag
	for tag, because := range tags {
		broken = append(broken, finding.BrokenTag{Repository: "a", Tag: tag, Because: because})
	}
	slices.SortFunc(broken, func(a, b finding.BrokenTag) int { return strings.Compare(a.Tag, b.Tag) })
	c := reports.CheckOf(findings, broken)
	c.Result.Totals.Tags, c.Result.Totals.TagsBroken = 40, len(broken)
	c.Result.Complete = c.Result.Counts[finding.StoreUnreadable].Count == 0
	return c, entries
}

// TestAcceptedDoesNotCount: the exit code is that of a check without the accepted findings,
// failures agree with it, and no finding is both accepted and reported among the others.
func TestAcceptedDoesNotCount(t *testing.T) {
	random, passed := rand.New(rand.NewPCG(3, 4)), 0
	for round := range 300 {
		c, entries := randomCheck(random)
		if random.IntN(3) == 0 { // all of it
			for i := range entries {
				entries[i].Tags, entries[i].Until = 99, ""
			}
			entries = slices.DeleteFunc(entries, func(accept.Entry) bool { return true })
			for id := range finding.Kinds {
				if id.Severity() != finding.Fatal {
					entries = append(entries, accept.Entry{ID: id.String(), Glob: "**", Reason: "r", Tags: 99})
				}
			}
		}
		for _, failOn := range []finding.Severity{finding.Error, finding.Warning, finding.Garbage, finding.Fatal} {
			c.FailOn = failOn
			acceptIn(t, c, entries...)
			var rest []finding.Finding
			for f := range c.Result.Findings {
				if c.Accepted.By(&f) == nil {
					rest = append(rest, f)
				}
			}
			var tags []finding.BrokenTag
			for b := range c.Result.Broken {
				if slices.ContainsFunc(rest, func(f finding.Finding) bool { return slices.Contains(b.Because, f.Kind.String()+" "+f.Path) }) {
					tags = append(tags, b)
				}
			}
			without := reports.CheckOf(rest, tags)
			without.Result.Complete, without.Result.Totals.TagsBroken = c.Result.Complete, len(tags)
			if want := exitcode.OfCheck(without.Result, failOn, nil); c.Exit != want {
				t.Fatalf("round %d, --fail-on %s: exit %d, and without what is accepted %d", round, failOn, c.Exit, want)
			}
			if c.Exit == 0 && c.Result.Damaged() {
				passed++
			}
			var xmlText bytes.Buffer
			var all struct {
				Failures int `xml:"failures,attr"`
				Errors   int `xml:"errors,attr"`
			}
			if err := errors.Join(formats.Renderer("junit", c)(&xmlText), xml.Unmarshal(xmlText.Bytes(), &all)); err != nil {
				t.Fatal(err)
			}
			if (all.Failures > 0) != (c.Exit&exitcode.DamageLeft != 0) || (all.Errors > 0) != (c.Exit&exitcode.Incomplete != 0) {
				t.Errorf("round %d, --fail-on %s: %d failures and %d errors, exit %d", round, failOn, all.Failures, all.Errors, c.Exit)
			}
			if n := c.Accepted.Sum().Count; n+len(rest) != len(slices.Collect(c.Result.Findings)) || c.Accepted.Tags()+len(tags) != c.Result.Totals.TagsBroken {
				t.Errorf("round %d: %d accepted and %d not, %d tags and %d", round, n, len(rest), c.Accepted.Tags(), len(tags))
			}
		}
		var verdict string
		for b := range c.View(view.Options{}) {
			if b.Kind == view.VerdictBlock {
				verdict = view.Unstyled(b.Text)
			}
		}
		if n := c.Result.Totals.TagsBroken; n > 0 && !(strings.HasPrefix(verdict, "DAMAGED") && strings.Contains(verdict, fmt.Sprintf(": %d of 40 tags can't be pulled", n))) {
			t.Errorf("round %d: %d tags are broken, and it says %s", round, n, verdict)
		}
	}
	if passed < 20 {
		t.Errorf("only %d checks of damage passed", passed)
	}
}

// TestSchemaOfAcceptedFindings: the schema accepts and refuses what a check does.
func TestSchemaOfAcceptedFindings(t *testing.T) {
	schema, _ := report.SchemaOf("accept")
	entry := func(change map[string]any) []byte {
		e := map[string]any{"id": "blob-missing", "key": "k", "reason": "r"}
		for name, value := range change {
			if e[name] = value; value == nil {
				delete(e, name)
			}
		}
		text, err := json.Marshal(map[string]any{"schema": accept.Schema, "target": "t", "accepted": []any{e}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, good := range []map[string]any{nil, {"until": "2030-01-01", "tags": 3}, {"key": nil, "glob": "**"}} {
		if err := schematest.Validate(schema, entry(good)); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range []map[string]any{
		{"id": nil}, {"id": "nope"}, {"id": "store-unreadable"}, {"id": "tag-removed"}, {"key": nil}, {"glob": "**"}, {"reason": nil}, {"reason": " "},
		{"until": "soon"}, {"until": 2030}, {"tags": "x"}, {"untill": "2030-01-01"},
	} {
		if schematest.Validate(schema, entry(bad)) == nil {
			t.Errorf("%v is valid", bad)
		}
	}
}

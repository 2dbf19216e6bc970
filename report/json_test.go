package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/graph/finding"
	"regfsck/report"
)

func jsonOf(t *testing.T, c *report.Check) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b, c); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) {
		t.Fatalf("this is no JSON:\n%s", b.String())
	}
	return b.String()
}

func TestJSONIsAsAgreed(t *testing.T) {
	same(t, "damaged.json", jsonOf(t, reports.Damaged()))
	same(t, "clean.json", jsonOf(t, reports.Clean()))
}

func TestJSONGivesTheSameBytesAgain(t *testing.T) {
	c := reports.Damaged()
	first := jsonOf(t, c)
	if again := jsonOf(t, c); again != first {
		t.Error("two documents of one check differ")
	}
}

// The agreed document: every field must exist with its type.
const agreed = `{"schema":"regfsck.check/1","tool":{"version":"…"},"target":"…","started":"…","finished":"…",
 "complete":true,"verdict":"clean|damaged",
 "totals":{"repositories":0,"tags":0,"tags_broken":0,"tags_unknown":0,"revisions":0,"layer_links":0,"blobs":0,"bytes":0,"referenced_blobs":0,"referenced_bytes":0,"reclaimable_bytes":0,"uploads":0},
 "cost":{"seconds":0,"objects_listed":0,"requests":{"list":0,"get":0,"head":0},"bytes_read":0,"links_read":0,"links_proven_by_etag":0},
 "counts":{"blob-orphan":{"count":0,"bytes":0,"young":0}},
 "broken_tags":[{"ref":"repo:tag","because":[{"id":"blob-missing","path":"docker/registry/v2/…"}]}],
 "unknown_tags":[{"ref":"repo:tag","because":[{"id":"store-unreadable","path":"docker/registry/v2/…"}]}],
 "findings":[{"id":"blob-orphan","severity":"garbage","path":"…","repository":"","tag":"","digest":"sha256:…","bytes":0,"modified":"…","detail":"…","affects":["repo:tag"],"affects_count":0,"cure":"remove"}],
 "exit":{"code":4,"bits":["damage-left"]}}`

func TestJSONHasEveryAgreedField(t *testing.T) {
	var want, got any
	if err := json.Unmarshal([]byte(agreed), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(jsonOf(t, reports.Damaged())), &got); err != nil {
		t.Fatal(err)
	}
	covers(t, "", want, got)
}

// covers fails if got lacks a part of want's structure.
func covers(t *testing.T, at string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if _, ok := g[k]; !ok {
				t.Errorf("%s.%s is missing", at, k)
				continue
			}
			covers(t, at+"."+k, v, g[k])
		}
	case []any:
		g, ok := got.([]any)
		if !ok {
			t.Errorf("%s is no list", at)
		}
		for _, e := range g {
			covers(t, at+"[]", w[0], e)
		}
	case string:
		if _, ok := got.(string); !ok {
			t.Errorf("%s is no string", at)
		}
	case float64:
		if _, ok := got.(float64); !ok {
			t.Errorf("%s is no number", at)
		}
	case bool:
		if _, ok := got.(bool); !ok {
			t.Errorf("%s is no truth value", at)
		}
	}
}

func TestJSONIsNeverNullAndEscapesControls(t *testing.T) {
	c := reports.CheckOf([]finding.Finding{{Kind: finding.ForeignFile, Path: "a\x1b\n\x00<&>\xff", Cure: finding.CureNone}}, []finding.BrokenTag{{Repository: "a", Tag: "b"}})
	c.Phases = nil
	doc := jsonOf(t, c)
	if strings.Contains(doc, "null") {
		t.Errorf("null in\n%s", doc)
	}
	if !strings.Contains(doc, `"path":"a\u001b\n\u0000<&>\ufffd"`) {
		t.Errorf("the path is not as it should be in\n%s", doc)
	}
	if strings.Contains(doc, `"young":true`) {
		t.Error("young stands where nothing is young")
	}
}

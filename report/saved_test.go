package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/report"
	"regfsck/report/view"
)

// TestAReportOfAnEarlierVersion: what an earlier version didn't write is left out.
func TestAReportOfAnEarlierVersion(t *testing.T) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(jsonOf(t, reports.Damaged())), &doc); err != nil {
		t.Fatal(err)
	}
	for _, later := range []string{"after_fix", "fail_on", "again"} {
		if doc[later] == nil {
			t.Fatalf("no %s", later)
		}
		delete(doc, later)
	}
	broken := `,"outlook":"bytes"`
	if !bytes.Contains(doc["broken_tags"], []byte(broken)) {
		t.Fatalf("%s", doc["broken_tags"])
	}
	doc["broken_tags"] = bytes.ReplaceAll(doc["broken_tags"], []byte(broken), nil)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	d, err := report.ReadSaved(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	said := written(t, d.View, view.Options{})
	if strings.Contains(said, "After a fix") || !strings.Contains(said, "1,206 of 1,404 tags can't be pulled") || !strings.Contains(said, "regfsck check "+d.(*report.Check).Target) {
		t.Errorf("%s", said)
	}
}

// TestAReportThatIsTooLarge: reading of a file is limited.
func TestAReportThatIsTooLarge(t *testing.T) {
	before := *report.MaxPast
	defer func() { *report.MaxPast = before }()
	text := jsonOf(t, reports.Damaged())
	*report.MaxPast = int64(len(text)) - 1
	if _, err := report.ReadSaved(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "it is bigger than") {
		t.Errorf("%v", err)
	}
	(*report.MaxPast)++
	if _, err := report.ReadSaved(strings.NewReader(text)); err != nil {
		t.Error(err)
	}
}

package report_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"regfsck/fixtures/reports"
	"regfsck/fixtures/schematest"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/plan"
	"regfsck/report"
)

// documentsOf returns documents of all types, also with optional members.
func documentsOf() []interface{ Fields() any } {
	var all []interface{ Fields() any }
	for _, d := range reports.All() {
		all = append(all, d)
	}
	pruned := reports.PlanOf(reports.ManySteps(1, 1))
	pruned.Retention = []report.Retained{{Repository: "a", Tag: "b"}}
	run := &report.Run{Outcome: &apply.Outcome{}, Plan: &plan.Plan{Steps: reports.ManySteps(1, 1)}, Retention: pruned.Retention, Requests: true, Forgotten: &report.Forgotten{}, After: &report.HookFailure{Exit: 4}}
	lost := reports.Hostile()["why"].(*report.Why)
	lost.Lost = &check.LostImage{}
	body, err := reports.Damaged().Record("store")
	if err != nil {
		panic(err)
	}
	listed := reports.CheckOf(nil, nil)
	listed.Listing = &report.Listing{Listed: []string{"a"}, Lacking: []string{"b"}}
	recorded, err := report.ReadRecord(body, "store")
	if err != nil {
		panic(err)
	}
	return append(all, pruned, run, lost, reports.PlanOf(nil), reports.Compared(), listed, &report.Failure{}, &report.Failure{After: &report.HookFailure{}}, &report.Status{Problem: "cut", Runs: make([]report.Weighed, 1), Store: []string{"s"}}, recorded, &report.Status{Last: recorded}, &report.PastRun{Outcome: &apply.Outcome{NotDone: make([]apply.NotDone, 1), Keep: true}, Done: &plan.Plan{Steps: reports.ManySteps(2, 2)}, Weighed: true, Before: "r"}, &report.SavedPlan{Plan: &plan.Plan{Steps: reports.ManySteps(2, 2)}}, &report.Program{Version: "1.2.3"},
		&report.Export{Files: make([]report.Exported, 1), Notes: []string{"a note"}},
		&report.Shard{Hashing: &graph.Hashing{Wrong: make([]graph.Blob, 1), Unread: make([]graph.Fault, 1)}, Notes: []string{"a note"}, Requests: true})
}

// TestDocumentsAndSchemas: documents have exactly the members of their schemas, and are
// valid.
func TestDocumentsAndSchemas(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range documentsOf() {
		var b bytes.Buffer
		if err := report.WriteJSON(&b, d); err != nil {
			t.Fatal(err)
		}
		var head struct{ Schema string }
		if err := json.Unmarshal(b.Bytes(), &head); err != nil {
			t.Fatal(err)
		}
		name, version, _ := strings.Cut(strings.TrimPrefix(head.Schema, "regfsck."), "/")
		schema, ok := report.SchemaOf(name)
		if !ok || version != "1" {
			t.Fatalf("%T: there is no schema of %q", d, head.Schema)
		}
		seen[name] = true
		if err := schematest.Validate(schema, b.Bytes()); err != nil {
			t.Errorf("%T: %v in\n%s", d, err, b.String())
		}
		var doc map[string]any
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		for member := range doc { // each member is required unless it is optional
			left := doc[member]
			delete(doc, member)
			if text, _ := json.Marshal(doc); schematest.Validate(schema, text) == nil && !optional(d, member) {
				t.Errorf("%s: nobody misses %s", name, member)
			}
			doc[member] = left
		}
		doc["more"] = 1
		if text, _ := json.Marshal(doc); schematest.Validate(schema, text) == nil {
			t.Errorf("%s: anything may be in it", name)
		}
	}
	for _, n := range report.SchemaNames() {
		if !seen[n[0]] && n[0] != "accept" { // which people write
			t.Errorf("no document of %s was looked at", n[0])
		}
	}
	if _, ok := report.SchemaOf("nope"); ok {
		t.Error("there is a schema of nope")
	}
}

// optional reports whether a member may be missing.
func optional(d interface{ Fields() any }, member string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(d.Fields())) {
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name == member {
			return strings.Contains(options, "omit")
		}
	}
	return true // its name isn't constant
}

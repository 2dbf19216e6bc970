package main

import (
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// TestARebuiltTagIsAsOldAsItWas: a bucket gives a rebuilt link the time of that
// moment, and no rule takes the tag for the newest one.
func TestARebuiltTagIsAsOldAsItWas(t *testing.T) {
	b := fixtures.New(1)
	for i, tag := range []string{"v1", "v2", "v3"} {
		b.SetClock(fixtures.Epoch.AddDate(0, i, 0))
		b.Image("app", tag, fixtures.Image{})
	}
	b.Edit(layout.CurrentKey("app", "v1"), func([]byte) []byte { return nil })
	f, _, _ := change(t, b, s3test.Enabled)
	var a applied
	if f.document(t, &a, "fix", "STORE", "--apply", "--yes", "--only", "link-invalid"); a.Totals.Done != 1 {
		t.Fatalf("%+v, %s", a, f.errs.String())
	}
	f.run("prune", "STORE", "--keep-last", "2")
	if said := f.out.String(); !strings.Contains(said, "- v1  pushed 2024-03-01") || strings.Contains(said, "- v2") || strings.Contains(said, "- v3") {
		t.Errorf("%s%s", said, f.errs.String())
	}
}

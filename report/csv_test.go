package report

import (
	"bytes"
	"encoding/csv"
	"testing"

	"regfsck/graph/usage"
)

// A text from a store that a spreadsheet would compute is kept a text; a number stays
// one.
func TestCellsAreNoFormulas(t *testing.T) {
	evil := `=HYPERLINK("http://example.com","x")`
	list := &TagList{Repository: usage.RepositoryUsage{Name: "app"}, Rows: []TagRow{{}}}
	row := &list.Rows[0]
	row.Name, row.ArtifactType, row.Platforms, row.Size, row.Because = "=1+1", "+1", []string{evil}, -5, []string{"@SUM(A1)"}
	var b bytes.Buffer
	if err := Renderer("csv", list)(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q: %v", rows, err)
	}
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[1][i]
	}
	for name, want := range map[string]string{"tag": "'=1+1", "artifact_type": "'+1", "platforms": "'" + evil, "size_bytes": "-5", "broken_because": "'@SUM(A1)", "repository": "app"} {
		if got[name] != want {
			t.Errorf("%s is %q, not %q", name, got[name], want)
		}
	}
	for cell, want := range map[string]string{"-1": "'-1", "\tx": "'\\tx", "\rx": "'\\rx", "a=1": "a=1", "": "", "'=1": "'=1"} {
		if got := textValue.csvCell(cell); got != want {
			t.Errorf("%q is written as %q, not %q", cell, got, want)
		}
	}
}

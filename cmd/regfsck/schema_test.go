package main

import (
	"encoding/json"
	"strings"
	"testing"

	"regfsck/fixtures/schematest"
	"regfsck/report"
)

// validated fails where a document that the program wrote isn't as its schema says. It
// is called with all that tests ask for as JSON.
func validated(t testing.TB, command []string, document []byte) {
	t.Helper()
	var head struct{ Schema string }
	if err := json.Unmarshal(document, &head); err != nil {
		return // the test itself looks at what was cut off
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(head.Schema, "regfsck."), "/")
	schema, ok := report.SchemaOf(name)
	if !ok {
		t.Errorf("%q: there is no schema of %q", command, head.Schema)
		return
	}
	if err := schematest.Validate(schema, document); err != nil {
		t.Errorf("%q: %v in\n%.2000s", command, err, document)
	}
}

func TestSchemasArePrinted(t *testing.T) {
	f := newFake(t)
	for _, n := range report.SchemaNames() {
		want, _ := report.SchemaOf(n[0])
		if exit := f.run("schema", n[0]); exit != 0 || f.out.String() != string(want) {
			t.Errorf("%s: exit %d, %s", n[0], exit, f.errs.String())
		}
	}
	for args, want := range map[string]string{"schema": "takes one NAME", "schema check ls": "takes one NAME", "schema chek": `no document "chek"; did you mean check?`} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

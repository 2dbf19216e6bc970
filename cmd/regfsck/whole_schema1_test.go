package main

import (
	"strings"
	"testing"
)

// Tags of schema 1 are told, with the version that can't serve them, and ls says
// what they are.
func TestSchema1IsTold(t *testing.T) {
	b := small()
	const note = "registry 2.x serves it, and 3.x can't"
	f := newWhole(t, b)
	if f.run("check", "STORE"); strings.Contains(f.out.String(), note) {
		t.Errorf("there is none:\n%s", f.out.String())
	}
	for n, tag := range []string{"one", "two", "three", "four"} {
		b.Schema1("old", tag, 2)
		f.rewrite(t, b)
		if exit := f.run("check", "STORE"); exit != 0 || !strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), note) || !strings.Contains(f.out.String(), "old:"+tag) && n < 3 {
			t.Errorf("exit %d\n%s", exit, f.out.String())
		}
		var doc struct {
			Totals struct {
				Schema1 int `json:"tags_schema1"`
			}
		}
		if f.document(t, &doc, "check", "STORE"); doc.Totals.Schema1 != n+1 {
			t.Errorf("%d tags of schema 1, and the document says %d", n+1, doc.Totals.Schema1)
		}
	}
	var list struct{ Tags []struct{ Kind string } }
	f.document(t, &list, "ls", "STORE", "old")
	if len(list.Tags) != 4 || list.Tags[0].Kind != "schema-1" {
		t.Errorf("%+v", list)
	}
	if f.run("ls", "STORE", "old"); strings.Count(f.out.String(), "schema-1") != 4 {
		t.Errorf("%s", f.out.String())
	}
}

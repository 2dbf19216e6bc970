package report

import (
	"bytes"
	"strings"
	"testing"

	"regfsck/graph/finding"
	"regfsck/report/view"
)

func TestEveryFindingIsExplained(t *testing.T) {
	briefs := map[string]finding.Kind{}
	for id := range finding.All {
		e := id.Explanation()
		if e.Brief == "" || strings.HasSuffix(e.Brief, ".") || len(e.Brief) > 74 {
			t.Errorf("%s: brief %q", id, e.Brief)
		}
		if other, ok := briefs[e.Brief]; ok {
			t.Errorf("%s and %s are told alike", id, other)
		}
		briefs[e.Brief] = id
		for _, p := range []string{e.Means, e.Cause, e.Advice} {
			if len(p) < 20 || !strings.HasSuffix(p, ".") {
				t.Errorf("%s: %q is no paragraph", id, p)
			}
		}
	}
}

func TestExplanationsAreWritten(t *testing.T) {
	var all bytes.Buffer
	if err := Explanations().WriteText(&all, view.Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(all.String(), "fatal  ") || strings.Contains(all.String(), "\n\n\n") {
		t.Errorf("the list begins with %.40q", all.String())
	}
	for id := range finding.All {
		if !strings.Contains(all.String(), "  "+id.String()+" ") {
			t.Errorf("%s is not listed", id)
		}
		var one bytes.Buffer
		if err := Explanation(id).WriteText(&one, view.Options{Width: 60}); err != nil {
			t.Fatal(err)
		}
		text := one.String()
		if !strings.HasPrefix(text, id.String()+"  "+id.Severity().String()+"\n") {
			t.Errorf("%s begins with %.40q", id, text)
		}
		for _, title := range []string{"\nWhat it means\n", "\nHow it happens\n", "\nWhat to do\n"} {
			if !strings.Contains(text, title) {
				t.Errorf("%s lacks %q", id, title)
			}
		}
		for _, line := range strings.Split(text, "\n")[2:] {
			if len(line) > 60 && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s: %q is longer than 60", id, line)
			}
		}
	}
}

package finding

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRowsAreComplete: each kind has a complete row, in the order of reports: worst first.
func TestRowsAreComplete(t *testing.T) {
	names, briefs := map[string]bool{}, map[string]bool{}
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	before := Fatal
	n := 0
	for k := range All {
		n++
		e, name, s := k.Explanation(), k.String(), k.Severity()
		if !kebab.MatchString(name) || names[name] {
			t.Errorf("%d has the name %q", k, name)
		}
		if briefs[e.Brief] {
			t.Errorf("%s is told like another: %q", name, e.Brief)
		}
		if s < before || (s == Asked) != (k >= NumKinds) {
			t.Errorf("%s stands at a wrong place: it is of severity %s", name, s)
		}
		if k.Harms() && s != Error && s != Warning || s == Garbage && len(k.Cures()) == 0 {
			t.Errorf("%s is %s: harms a tag: %v, cures %v", name, s, k.Harms(), k.Cures())
		}
		names[name], briefs[e.Brief], before = true, true, s
	}
	if n != len(kinds)-1 {
		t.Errorf("%d kinds and %d rows", n, len(kinds)-1)
	}
	if kinds[None].name != "" || None.OnRequest() || None.Harms() {
		t.Error("None is a kind")
	}
}

// TestRequestsAreExplained: the explanation of a cure on request has its command.
func TestRequestsAreExplained(t *testing.T) {
	for k := range Kinds {
		says := strings.Contains(k.Explanation().Advice, "--also "+k.String())
		if k.OnRequest() && !says {
			t.Errorf("%s: %q doesn't say how it is asked for", k, k.Explanation().Advice)
		}
		if !k.OnRequest() && says {
			t.Errorf("%s is not done on request, and its explanation says so", k)
		}
	}
}

// TestKindsAreText: a kind is encoded as text in JSON, as a value and as a key, and decoded.
func TestKindsAreText(t *testing.T) {
	all := append(slices.Collect(All), None)
	for _, k := range all {
		text, err := json.Marshal(map[Kind]Kind{k: k})
		if want := `{"` + k.String() + `":"` + k.String() + `"}`; err != nil || string(text) != want {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
		var back map[Kind]Kind
		if err := json.Unmarshal(text, &back); err != nil || back[k] != k {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	k := BlobOrphan
	if err := json.Unmarshal([]byte(`"blob-unheard-of"`), &k); err == nil || k != BlobOrphan {
		t.Errorf("an unknown kind was taken for %q", k)
	}
	if _, ok := Parse(""); ok {
		t.Error("nothing is a kind")
	}
}

// TestDocumentedKinds: README and help topics name only existing kinds of findings.
func TestDocumentedKinds(t *testing.T) {
	pages, err := filepath.Glob("../../cmd/regfsck/help/*.md")
	commands, again := filepath.Glob("../../cmd/regfsck/help/commands/*.md")
	if err != nil || again != nil || len(pages) < 10 || len(commands) < 10 {
		t.Fatalf("%d topics, %d commands, %v, %v", len(pages), len(commands), err, again)
	}
	named := 0
	for _, page := range slices.Concat(pages, commands, []string{"../../README.md"}) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
			for _, first := range []string{"blob-", "layer-link-", "revision-link-", "tag-", "manifest-", "store-", "repo-"} {
				_, ok := Parse(name)
				if strings.HasPrefix(name, first) && !ok {
					t.Errorf("%s names %s, which is no kind of finding", page, name)
				} else if ok {
					named++
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d are named", named)
	}
}

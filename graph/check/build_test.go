package check

import (
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// aliasName returns the digest in an alias's key.
func aliasName(key string) string {
	parsed, _ := layout.Parse(key)
	return parsed.Algorithm + ":" + parsed.Hex
}

// flip changes a body and keeps its length.
func flip(body []byte) []byte {
	body[len(body)/2] ^= 1
	return body
}

func empty([]byte) []byte { return nil }

// failing makes all of the operations on key fail; without operations, all but listings.
func failing(key string, ops ...fixtures.Op) fixtures.Rule {
	return func(_ int, op fixtures.Op, k string) fixtures.Wrong {
		if k == key && (slices.Contains(ops, op) || len(ops) == 0 && op != fixtures.OpItem) {
			return fixtures.Fail
		}
		return fixtures.Right
	}
}

// once makes the first op on key faulty.
func once(key string, op fixtures.Op, w fixtures.Wrong) fixtures.Rule {
	seen := false
	return func(_ int, o fixtures.Op, k string) fixtures.Wrong {
		if k == key && o == op && !seen {
			seen = true
			return w
		}
		return fixtures.Right
	}
}

// expect compares the findings of a result: id, path and cure of each, in any order.
func expect(t *testing.T, r *Result, want ...string) {
	t.Helper()
	var got []string
	for f := range r.Findings {
		got = append(got, f.Kind.String()+" "+f.Path+" "+string(f.Cure))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// nothingGoes fails if there is any garbage but empty directories.
func nothingGoes(t *testing.T, r *Result) {
	t.Helper()
	goes := slices.DeleteFunc(garbage(r), func(s string) bool { return strings.HasPrefix(s, finding.DirectoryEmpty.String()) })
	if len(goes) > 0 {
		t.Errorf("called garbage:\n%s", strings.Join(goes, "\n"))
	}
}

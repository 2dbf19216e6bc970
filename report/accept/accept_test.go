package accept

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/graph/finding"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rulesOf(t *testing.T, entries ...Entry) *Set {
	t.Helper()
	var rules []Rule
	for i, e := range entries {
		if e.Reason == "" {
			e.Reason = "known"
		}
		r, err := NewRule(e, "f.yml", i+1, today)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	s, err := New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInvalidEntries(t *testing.T) {
	good := Entry{ID: "foreign-file", Key: "k", Reason: "r"}
	for _, c := range []struct {
		change func(*Entry)
		want   string
	}{
		{func(e *Entry) { e.ID = "" }, "no id"},
		{func(e *Entry) { e.ID = "foreign-fil" }, `with the id "foreign-fil"`},
		{func(e *Entry) { e.ID = "tag-removed" }, "no check finds"},
		{func(e *Entry) { e.ID = "store-unreadable" }, "can't be accepted"},
		{func(e *Entry) { e.Key = "" }, "no key and no glob"},
		{func(e *Entry) { e.Glob = "**" }, "a key and a glob"},
		{func(e *Entry) { e.Key, e.Glob = "", "a[" }, "malformed"},
		{func(e *Entry) { e.Key, e.Glob = "", `a\/b` }, "malformed"},
		{func(e *Entry) { e.Key, e.Glob = "", "**/[a-" }, "malformed"},
		{func(e *Entry) { e.Reason = " \n" }, "no reason"},
		{func(e *Entry) { e.Reason = strings.Repeat("x", 1001) }, "longer than 1000 bytes"},
		{func(e *Entry) { e.Tags = -1 }, "from 0, not -1"},
		{func(e *Entry) { e.Until = "tomorrow" }, "until is a day"},
		{func(e *Entry) { e.Until = "2026-02-30" }, "until is a day"},
		{func(e *Entry) { e.Until = "2026-03-01T00:00:00Z" }, "until is a day"},
	} {
		e := good
		c.change(&e)
		if _, err := NewRule(e, "f", 1, today); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", e, err, c.want)
		}
	}
	r, err := NewRule(good, "f.yml", 3, today)
	if err != nil || r.Expired || r.Where() != "f.yml, line 3" {
		t.Errorf("%+v, %v", r, err)
	}
	again := r
	again.Line = 9
	if _, err := New([]Rule{r, again}); err == nil || err.Error() != "f.yml, line 9: the same is accepted by f.yml, line 3; keep one of them" {
		t.Errorf("the same twice: %v", err)
	}
}

// TestAnEntryEndsWithItsDay: an entry is valid until the end of its last day in UTC.
func TestAnEntryEndsWithItsDay(t *testing.T) {
	east, west := time.FixedZone("", 14*3600), time.FixedZone("", -12*3600)
	for at, want := range map[time.Time]bool{
		time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC):    false,
		time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC): false,
		time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC):    true,
		time.Date(2026, 3, 2, 13, 0, 0, 0, east):       false,
		time.Date(2026, 3, 1, 13, 0, 0, 0, west):       true,
	} {
		r, err := NewRule(Entry{ID: "foreign-file", Key: "k", Reason: "r", Until: "2026-03-01"}, "f", 1, at)
		if err != nil || r.Expired != want {
			t.Errorf("%v: expired %v, %v", at, r.Expired, err)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob string
		yes  []string
		no   []string
	}{
		{"**", []string{"", "a", "a/b/c", "a//b", "\xff", "a\nb"}, nil},
		{"a/**", []string{"a", "a/b", "a/b/c"}, []string{"ab", "b/a", ""}},
		{"**/c", []string{"c", "a/c", "a/b/c"}, []string{"c/d", "bc"}},
		{"a/**/c", []string{"a/c", "a/b/c", "a/b/b/c"}, []string{"a", "ac", "a/c/d"}},
		{"**/b/**/b", []string{"b/b", "x/b/y/b"}, []string{"b", "b/b/c"}},
		{"a/*/c", []string{"a/b/c", "a//c", "a/*/c", "a/\x1b[31m/c", "a/\xff\xfe/c", "a/\n/c"}, []string{"a/b/b/c", "a/c"}},
		{"a?c", []string{"abc", "a\xffc", "aüc"}, []string{"a/c", "abbc"}},
		{`a\*`, []string{"a*"}, []string{"ab", `a\*`}},
		{"[!a]", []string{"!", "a"}, []string{"b"}},
		{"[^a]", []string{"b", "\xff"}, []string{"a", "/"}},
		{"a**b", []string{"ab", "axb"}, []string{"a/b"}},
		{"", []string{""}, []string{"a"}},
		{"/a", []string{"/a"}, []string{"a"}},
		{"a/", []string{"a/"}, []string{"a"}},
		{"A", []string{"A"}, []string{"a"}},
		{"a.b", []string{"a.b"}, []string{"axb"}},
	} {
		g, err := ParseGlob(c.glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Concat(c.yes, c.no) {
			if got, want := g.Match(key), slices.Contains(c.yes, key); got != want {
				t.Errorf("%q, %q: %v", c.glob, key, got)
			}
		}
	}
	many, err := ParseGlob(strings.Repeat("**/*a*/", 40) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if many.Match(strings.Repeat("aaaaaaaaaaaaaaaaaaaa/", 2000) + "c") { // trying all combinations of ** would take too long
		t.Error("it matched")
	}
}

// TestGlobsAreRegularExpressions: a pattern matches what its regular expression matches.
func TestGlobsAreRegularExpressions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, n int) string {
		var parts []string
		for range random.IntN(n) + 1 {
			parts = append(parts, from[random.IntN(len(from))])
		}
		return strings.Join(parts, "/")
	}
	forms := map[string]string{"**": `(?:[^/]*/)*`, "*": `[^/]*/`, "a": `a/`, "b*": `b[^/]*/`, "?": `[^/]/`}
	for range 20000 {
		glob, key := pick([]string{"**", "*", "a", "b*", "?"}, 6), pick([]string{"a", "b", "ba", ""}, 6)
		expr := ""
		for part := range strings.SplitSeq(glob, "/") {
			expr += forms[part]
		}
		g, err := ParseGlob(glob)
		if err != nil {
			t.Fatal(err)
		}
		if want := regexp.MustCompile("^" + expr + "$").MatchString(key + "/"); g.Match(key) != want {
			t.Fatalf("%q, %q: %v, and %s says otherwise", glob, key, !want, expr)
		}
	}
}

// TestTally: accepted findings, counts and the rest, for findings of all kinds.
func TestTally(t *testing.T) {
	missing := func(path string, tags int) finding.Finding {
		return finding.Finding{Kind: finding.BlobMissing, Path: path, AffectsCount: tags}
	}
	findings := []finding.Finding{
		missing("known", 1), missing("worse", 2), missing("new", 1), missing("idle", 0),
		{Kind: finding.ForeignFile, Path: "d/x", Bytes: 5}, {Kind: finding.ForeignFile, Path: "d/y", Bytes: 7}, {Kind: finding.ForeignFile, Path: "e/\xff", Bytes: 1},
		{Kind: finding.BlobOrphan, Path: "known", Bytes: 9, InGrace: true},
	}
	broken := []finding.BrokenTag{
		{Tag: "a", Because: []string{"blob-missing known"}},
		{Tag: "b", Because: []string{"blob-missing known", "blob-missing new"}},
		{Tag: "c", Because: []string{"blob-missing worse"}},
		{Tag: "d", Because: []string{"manifest-missing known"}},
		{Tag: "e"},
		{Tag: "f", Because: slices.Repeat([]string{"blob-missing known"}, finding.MaxAffects)},
	}
	s := rulesOf(t,
		Entry{ID: "blob-missing", Key: "known", Tags: 1},
		Entry{ID: "blob-missing", Key: "worse", Tags: 1},
		Entry{ID: "blob-missing", Glob: "i*"},
		Entry{ID: "foreign-file", Glob: "d/*", Until: "2026-02-28"}, // expired
		Entry{ID: "foreign-file", Key: "d/x"},
		Entry{ID: "foreign-file", Glob: "d/**"},
		Entry{ID: "foreign-file", Key: "e/\ufffd"},
		Entry{ID: "blob-orphan", Key: "known"},
		Entry{ID: "blob-corrupt", Key: "known"},
	)
	s.Tally(slices.Values(findings), slices.Values(broken))
	var got []string
	for _, r := range s.Rules {
		got = append(got, fmt.Sprint(r.Named, r.Accepted, r.TooMany, r.MaxTags, r.Expired))
	}
	want := []string{"1 1 0 0 false", "1 0 1 2 false", "1 1 0 0 false", "2 0 0 0 true", "1 1 0 0 false", "2 1 0 0 false", "1 1 0 0 false", "1 0 0 0 false", "0 0 0 0 false"}
	if !slices.Equal(got, want) {
		t.Errorf("rules %q, want %q", got, want)
	}
	if n := s.Counts[finding.ForeignFile]; n.Count != 3 || n.Bytes != 13 || s.Counts[finding.BlobMissing].Count != 2 || s.Sum().Count != 5 || s.TagsBroken != 1 {
		t.Errorf("counts %+v, sum %+v, %d tags", n, s.Sum(), s.TagsBroken)
	}
	if left := s.Left(finding.BlobMissing, finding.Count{Count: 4, InGrace: 2}); left.Count != 2 || left.InGrace != 2 {
		t.Errorf("left %+v", left)
	}
	for i, want := range []int{0, -1, -1, 2, 4, 5, 6, -1} {
		if r := s.By(&findings[i]); (r == nil) != (want < 0) || r != nil && r != &s.Rules[want] {
			t.Errorf("%s: accepted by %+v, want rule %d", findings[i].Path, r, want)
		}
	}
}

// TestATagOfManyReasons: a tag with more reasons than listed is accepted only if all reasons
// are.
func TestATagOfManyReasons(t *testing.T) {
	var findings []finding.Finding
	tag := finding.BrokenTag{Tag: "a"}
	for i := range finding.MaxAffects + 1 {
		findings = append(findings, finding.Finding{Kind: finding.BlobMissing, Path: fmt.Sprint(i), AffectsCount: 1})
		if i < finding.MaxAffects {
			tag.Because = append(tag.Because, fmt.Sprint("blob-missing ", i))
		}
	}
	for last, want := range map[string]int{"": 1, "10": 0} {
		var rules []Entry
		for i := range findings {
			if key := fmt.Sprint(i); key != last {
				rules = append(rules, Entry{ID: "blob-missing", Key: key, Tags: 1})
			}
		}
		s := rulesOf(t, rules...)
		if s.Tally(slices.Values(findings), slices.Values([]finding.BrokenTag{tag})); s.TagsBroken != want {
			t.Errorf("without %q: %d tags known", last, s.TagsBroken)
		}
	}
	var none *Set
	none.Tally(slices.Values(findings), slices.Values([]finding.BrokenTag{tag}))
	if none.By(&findings[0]) != nil || none.Knows(&tag) || none.Sum().Count != 0 || none.Left(finding.BlobMissing, finding.Count{Count: 3}).Count != 3 {
		t.Error("no set accepts something")
	}
}

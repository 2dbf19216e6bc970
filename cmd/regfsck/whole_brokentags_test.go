package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/walker/layout"
)

// TestAllListsOfBrokenTagsAgree: the headline of check, the tags that it lists, ls
// --broken as text and as CSV, and both documents name the same tags as broken, and
// the same as those that could not be judged, each with a reason.
func TestAllListsOfBrokenTagsAgree(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	broken, unknown := 0, 0
	for _, d := range fixtures.Damages() {
		b := fixtures.Standard()
		d.Apply(b)
		f.rewrite(t, b)
		if d.Disk != nil {
			if err := d.Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}
		is, not := f.listsAgree(t, d.ID+"/"+d.Name)
		broken, unknown = broken+is, unknown+not
	}
	whole := fixtures.Standard()
	f.rewrite(t, whole)
	for _, ref := range [][2]string{{"base", "stable"}, {"lists", "deep"}, {"app", "latest"}} {
		m := whole.Tagged(ref[0], ref[1])
		for _, key := range []string{m.Key(), layout.CurrentKey(ref[0], ref[1]), m.RevisionKey()} {
			f.check = func(ctx context.Context, r backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
				return graph.Check(ctx, fixtures.NewFaulty(r, func(_ int, _ fixtures.Op, at string) fixtures.Wrong {
					if at == key {
						return fixtures.Fail
					}
					return fixtures.Right
				}), o)
			}
			is, not := f.listsAgree(t, "unreadable "+key)
			broken, unknown = broken+is, unknown+not
		}
	}
	if broken < 20 || unknown < 5 {
		t.Errorf("only %d broken and %d unknown tags were compared", broken, unknown)
	}
}

// listsAgree compares what is said of the tags of STORE, and returns how many are
// broken and how many are unknown.
func (f *fake) listsAgree(t *testing.T, name string) (broken, unknown int) {
	t.Helper()
	type tag struct {
		Ref     string
		Because []string
	}
	type document struct {
		Totals struct {
			Broken  int `json:"tags_broken"`
			Unknown int `json:"tags_unknown"`
			Tags    int
		}
		Broken  []tag `json:"broken_tags"`
		Unknown []tag `json:"unknown_tags"`
	}
	var checked, listed document
	f.document(t, &checked, "check", "STORE")
	f.document(t, &listed, "ls", "STORE", "--broken")
	refs := func(tags []tag) (all []string) {
		for _, t := range tags {
			all = append(all, t.Ref)
		}
		return all
	}
	is, not := refs(checked.Broken), refs(checked.Unknown)
	if len(is) != checked.Totals.Broken || len(not) != checked.Totals.Unknown {
		t.Errorf("%s: the totals say %d and %d, the lists %q and %q", name, checked.Totals.Broken, checked.Totals.Unknown, is, not)
	}
	if fmt.Sprint(checked.Broken, checked.Unknown) != fmt.Sprint(listed.Broken, listed.Unknown) {
		t.Errorf("%s: check says\n%v\n%v\nand ls\n%v\n%v", name, checked.Broken, checked.Unknown, listed.Broken, listed.Unknown)
	}
	for _, tag := range slices.Concat(checked.Broken, checked.Unknown) {
		if len(tag.Because) == 0 || slices.ContainsFunc(tag.Because, func(why string) bool { return !strings.Contains(why, " docker/") }) {
			t.Errorf("%s: the reasons of %s are %q", name, tag.Ref, tag.Because)
		}
	}

	f.run("check", "STORE", "--no-progress")
	text := f.out.String()
	head, _, _ := strings.Cut(text, "\nFATAL")
	head, _, _ = strings.Cut(head, "\nERRORS")
	want := slices.Concat(is, not)
	if got := namedIn(head); !slices.Equal(got, want) {
		t.Errorf("%s: the text lists %q, want %q\n%s", name, got, want, head)
	}
	for _, headline := range []struct {
		tags int
		said *regexp.Regexp
	}{
		{len(is), regexp.MustCompile(`(?m)^([\d,]+) of [\d,]+ tags? can't be pulled$`)},
		{len(not), regexp.MustCompile(`(?m)^(?:Nobody can say whether )?([\d,]+)(?: of [\d,]+ tags? can be pulled| more tags? could not be judged)`)},
	} {
		if m := headline.said.FindStringSubmatch(head); headline.tags == 0 != (m == nil) || m != nil && m[1] != strconv.Itoa(headline.tags) {
			t.Errorf("%s: %d tags are said to be %q in\n%s", name, headline.tags, m, head)
		}
	}

	f.run("ls", "STORE", "--broken", "--no-progress")
	if got := namedIn(f.out.String()); !slices.Equal(got, want) {
		t.Errorf("%s: ls lists %q, want %q", name, got, want)
	}
	path := filepath.Join(f.dir, "broken.csv")
	f.run("ls", "STORE", "--broken", "--report", path, "--no-progress")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 1+len(want) {
		t.Fatalf("%s: %v, %d rows", name, err, len(rows))
	}
	for i, row := range rows[1:] {
		state := map[bool]string{true: "broken", false: "unknown"}[i < len(is)]
		if row[0]+":"+row[1] != want[i] || row[3] != state {
			t.Errorf("%s: row %q, want %s %s", name, row, want[i], state)
		}
	}
	return len(is), len(not)
}

// ofTag is a line that names a tag: two or four spaces, and nothing but the tag.
var ofTag = regexp.MustCompile(`(?m)^  (\S+:\S+)$`)

func namedIn(text string) (refs []string) {
	for _, m := range ofTag.FindAllStringSubmatch(text, -1) {
		refs = append(refs, m[1])
	}
	return refs
}

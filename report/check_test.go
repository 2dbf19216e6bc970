package report_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend/words"
	"regfsck/fixtures/reports"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/view"
	"regfsck/walker/layout"
)

var update = flag.Bool("update", false, "write testdata instead of comparing with it")

// same compares with a file of testdata.
func same(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s, line %d\n got %q\nwant %q", name, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s has %d lines, got %d", name, len(w), len(g))
}

func TestTextIsAsRead(t *testing.T) {
	same(t, "damaged.txt", written(t, reports.Damaged().View, view.Options{}))
	same(t, "clean.txt", written(t, reports.Clean().View, view.Options{}))
}

func TestColourRepeatsWords(t *testing.T) {
	colored := written(t, reports.Damaged().View, view.Options{Color: true})
	if !strings.Contains(colored, "\x1b[1;31mDAMAGED") {
		t.Error("the verdict has no colour")
	}
	for _, st := range []view.Style{view.Bold, view.Dim, view.Red, view.Green, view.Yellow, view.Cyan} {
		colored = strings.ReplaceAll(colored, "\x1b["+string(st)+"m", "")
	}
	same(t, "damaged.txt", strings.ReplaceAll(colored, "\x1b[0m", ""))
}

func TestForeignTextIsEscaped(t *testing.T) {
	evil := "a\x1b[31m\r\n\x00\x7f\u0085\u202e\u2066\u200f\u200b\ufeff\xff\\z"
	f := finding.Finding{Kind: finding.BlobMissing, Path: evil, Repository: evil, Tag: evil, Digest: evil, Detail: evil,
		Affects: []string{evil}, AffectsCount: 2, Cure: finding.Cure(evil)}
	g := f
	g.Affects, g.AffectsCount = nil, 0
	h := g
	h.Tag = ""
	c := reports.CheckOf([]finding.Finding{f, g, h}, []finding.BrokenTag{{Repository: evil, Tag: evil, Because: []string{evil, "blob-missing " + evil}}})
	c.Result.Totals.Tags, c.Result.Totals.TagsBroken = 1, 1
	c.Result.Notes = []string{evil}
	c.Target, c.Repeat = evil, []string{evil}
	c.Result.Complete = false
	text := written(t, c.View, view.Options{})
	for _, r := range text {
		if r != '\n' && (r < ' ' || r == 0x7f || strings.ContainsRune("\u0085\u202e\u2066\u200f\u200b\ufeff\ufffd", r)) {
			t.Fatalf("%q is in the text", r)
		}
	}
	if n := strings.Count(text, `\xff`); n < 9 {
		t.Errorf("the byte that is no UTF-8 is shown %d times only", n)
	}
}

func TestCleanIsUnambiguous(t *testing.T) {
	for s, want := range map[string]string{
		"app/web:1.2_x-y": "app/web:1.2_x-y", "": "", "ünï": "ünï", `say "hi"`: `say "hi"`,
		`a\x1b`: `a\\x1b`, "a\x1b": `a\x1b`, "a\tb": `a\tb`, "\xff\xfe": `\xff\xfe`, "\u202e": `\u202e`, "\"\n": `"\n`,
	} {
		if got := words.Clean(s); got != want {
			t.Errorf("Clean(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestListsAreCutOnATerminalAlone(t *testing.T) {
	c := reports.Many(2500)
	whole := written(t, c.View, view.Options{})
	if n := strings.Count(whole, "app:t"); n != 2500 || strings.Contains(whole, "more:") {
		t.Errorf("off a terminal %d of 2500 tags are listed", n)
	}
	cut := written(t, c.View, view.Options{Terminal: true})
	if n := strings.Count(cut, "app:t"); n != 2500 {
		t.Errorf("on a terminal %d tags are listed, not all", n)
	}
	if n := strings.Count(cut, "\n    p"); n != 10 {
		t.Errorf("on a terminal %d findings are listed, not 10", n)
	}
	for _, want := range []string{"… and 2,490 more:  regfsck check /var/lib/registry --json", "--report regfsck.json"} {
		if !strings.Contains(cut, want) {
			t.Errorf("the cut text lacks %q", want)
		}
	}
	if n := strings.Count(written(t, reports.Many(10).View, view.Options{Terminal: true}), "more:"); n != 0 {
		t.Errorf("a list of ten is cut")
	}
	if got := written(t, c.View, view.Options{Terminal: true, Limit: 3}); !strings.Contains(got, "… and 2,497 more") {
		t.Error("the limit is not heeded")
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		check *report.Check
		want  string
	}{
		{"clean", reports.Clean(), "CLEAN: both tags can be pulled\n"},
		{"damaged", reports.Many(3), "DAMAGED: 3 of 3 tags can't be pulled, 3 errors\n"},
		{"both", reports.Damaged(), "DAMAGED and INCOMPLETE: 1,206 of 1,404 tags can't be pulled, 3 tags not judged, 1 entry could not be read, 3 errors, 1 warning, 1 garbage object (3.0 GiB)\n"},
		{"incomplete", func() *report.Check {
			c := reports.CheckOf([]finding.Finding{{Kind: finding.StoreUnreadable}}, nil)
			c.Result.Complete = false
			c.Result.Totals = check.Totals{Tags: 5, TagsUnknown: 2}
			return c
		}(), "INCOMPLETE: 2 tags not judged, 1 entry could not be read\n"},
	} {
		var b bytes.Buffer
		if err := c.check.Short(view.Options{}).WriteText(&b, view.Options{}); err != nil || b.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, b.String(), err, c.want)
		}
	}
}

func TestIncompleteIsNotClean(t *testing.T) {
	c := reports.Clean()
	c.Result.Complete = false
	c.Result.Totals.TagsUnknown = 1
	text := written(t, c.View, view.Options{})
	if strings.Contains(text, "CLEAN") || strings.Contains(text, "oth tags can be pulled") {
		t.Errorf("a store that was not read to the end is called clean:\n%s", text)
	}
}

func TestGarbageInGrace(t *testing.T) {
	c := reports.CheckOf([]finding.Finding{{Kind: finding.BlobOrphan, Bytes: 5, InGrace: true, Cure: finding.CureRemove}}, nil)
	text := strings.Join(strings.Fields(written(t, c.View, view.Options{})), " ")
	if !strings.Contains(text, "blob-orphan 0 0 B 1") || strings.Contains(text, "garbage object") {
		t.Errorf("young garbage is counted as garbage:\n%s", text)
	}
}

func TestSuggestedCommand(t *testing.T) {
	c := reports.Many(20)
	c.Repeat = []string{"/my store/it's", "--grace", "2h"}
	if text := written(t, c.View, view.Options{Terminal: true}); !strings.Contains(text, `regfsck check '/my store/it'\''s' --grace 2h --report`) {
		t.Errorf("no command that can be pasted:\n%s", text)
	}
	c = reports.Clean()
	c.Looked.Verify = "all"
	if text := written(t, c.View, view.Options{}); strings.Contains(text, "Next") {
		t.Errorf("all was done and there is a next command:\n%s", text)
	}
}

func TestWritersErrorsAreReturned(t *testing.T) {
	for _, size := range []int{0, 70000} {
		c, visited := reports.Many(5000), 0
		all := slices.Collect(c.Result.Findings)
		c.Result.Findings = func(yield func(finding.Finding) bool) {
			for _, f := range all {
				if visited++; !yield(f) {
					return
				}
			}
		}
		if err := c.View(view.Options{}).WriteText(&reports.Full{Left: size}, view.Options{}); !errors.Is(err, reports.ErrFull) {
			t.Errorf("text after %d bytes: %v", size, err)
		}
		visited = 0
		if err := report.WriteJSON(&reports.Full{Left: size}, c); !errors.Is(err, reports.ErrFull) {
			t.Errorf("JSON after %d bytes: %v", size, err)
		}
		if visited == len(all) {
			t.Errorf("JSON after %d bytes: all findings were made for a writer that is gone", size)
		}
	}
}

// TestManyForeignFilesAreCountedByName: a thousand files of a file manager are one line, and
// a single one is listed.
func TestManyForeignFilesAreCountedByName(t *testing.T) {
	var all []finding.Finding
	for i := range 1204 {
		tag := fmt.Sprintf("%s/app%d/_manifests/tags/", layout.Repositories, i%7)
		all = append(all, finding.Finding{Kind: finding.ForeignFile, Path: fmt.Sprintf("%s@eaDir/file%d", tag, i), Bytes: 2})
	}
	all = append(all, finding.Finding{Kind: finding.ForeignFile, Path: layout.Blobs + "/.DS_Store"})
	c := reports.Many(0)
	c.Result.Findings = slices.Values(all)
	c.Result.Counts[finding.ForeignFile].Count = len(all)
	if n := strings.Count(written(t, c.View, view.Options{}), "\nforeign-file  "+layout.Root+"/"); n != len(all) {
		t.Errorf("off a terminal %d of %d have a line", n, len(all))
	}
	text := written(t, c.View, view.Options{Terminal: true, FullPaths: true})
	if !strings.Contains(text, "@eaDir  1,204 files  2.4 KiB\n") || strings.Count(text, "@eaDir/") != 1 {
		t.Errorf("not counted:\n%s", text)
	}
	if !strings.Contains(text, layout.Blobs+"/.DS_Store\n") {
		t.Errorf("one is not told by itself:\n%s", text)
	}
}

func TestExitLineWithFailOn(t *testing.T) {
	c := reports.Damaged()
	c.FailOn, c.Exit = finding.Fatal, exitcode.OfCheck(c.Result, finding.Fatal, nil)
	if text := written(t, c.View, view.Options{}); !strings.Contains(text, "Exit code 8: ") || !strings.Contains(text, "damage was found, but does not count (--fail-on never)") {
		t.Errorf("--fail-on never is not told:\n%s", text)
	}
	c = reports.CheckOf([]finding.Finding{{Kind: finding.ForeignFile}}, nil)
	c.FailOn, c.Exit = finding.Warning, exitcode.OfCheck(c.Result, finding.Warning, nil)
	if text := written(t, c.View, view.Options{}); !strings.Contains(text, "Exit code 4: ") || !strings.Contains(text, "--fail-on warning") {
		t.Errorf("--fail-on warning is not told:\n%s", text)
	}
}

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
	if err := report.Explanations().WriteText(&all, view.Options{}); err != nil {
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
		if err := report.Explanation(id).WriteText(&one, view.Options{Width: 60}); err != nil {
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

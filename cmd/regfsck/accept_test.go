package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"regfsck/cmd/regfsck/acceptfile"
	"regfsck/cmd/regfsck/help"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/fixtures/schematest"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/accept"
	"regfsck/report/formats"
	"regfsck/walker/layout"
)

// acceptFile writes a file of accepted findings.
func (f *fake) acceptFile(name string, entries ...string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte("schema: regfsck.accept/1\naccepted:\n- "+strings.Join(entries, "\n- ")+"\n"), 0o644); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// accepting returns a store with damage, and a file that accepts all its errors and foreign
// files.
func accepting(t *testing.T) *fake {
	t.Helper()
	f := newFix(t, rotten())
	f.run("check", "STORE", "--report", "DIR/old.json", "--quiet")
	if exit := f.run("accept", "DIR/old.json", "--reason", "lost with the disk", "--until", "2999-12-31", "--severity", "error", "--severity", "warning", "--output", "DIR/a.yml"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	return f
}

type checkDocument struct {
	Verdict string
	Totals  struct {
		Tags       int
		TagsBroken int `json:"tags_broken"`
	}
	Counts   map[string]finding.Count
	Accepted *struct {
		Findings   int
		TagsBroken int `json:"tags_broken"`
		Entries    []struct {
			ID, Key, Glob, State string
			Line, Named          int
			Accepted             int
		}
	}
	BrokenTags []struct {
		Ref      string
		Accepted bool
	} `json:"broken_tags"`
	Findings []struct {
		ID, Severity, Path string
		Accepted           *struct{ Reason, Until, File string }
	}
	Since struct{ Added []any }
	Notes []string
	Exit  struct{ Code int }
}

func (f *fake) checked(args ...string) (doc checkDocument) {
	f.t.Helper()
	f.run(append([]string{"check", "STORE", "--json"}, args...)...)
	if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil {
		f.t.Fatalf("%v: %s%s", err, f.out.String(), f.errs.String())
	}
	return doc
}

// TestAcceptedIsReportedApart: acceptance changes only the sections of a report and the exit
// code.
func TestAcceptedIsReportedApart(t *testing.T) {
	f := accepting(t)
	plain, known := f.checked(), f.checked("--accept", "DIR/a.yml")
	if plain.Exit.Code != 4 || known.Exit.Code != 0 || known.Verdict != "damaged" || plain.Accepted != nil {
		t.Errorf("exit %d and %d, verdict %s", plain.Exit.Code, known.Exit.Code, known.Verdict)
	}
	errors := 0
	for i, found := range known.Findings {
		bad := found.Severity == "error" || found.Severity == "warning"
		if bad {
			errors++
		}
		if bad != (found.Accepted != nil) || bad && (found.Accepted.Reason != "lost with the disk" || found.Accepted.Until != "2999-12-31" || found.Accepted.File != f.dir+"/a.yml") {
			t.Errorf("%s %s: accepted %+v", found.ID, found.Path, found.Accepted)
		}
		if found.Accepted = nil; found != plain.Findings[i] {
			t.Errorf("%+v is %+v without --accept", found, plain.Findings[i])
		}
	}
	if known.Accepted.Findings != errors || errors == 0 || known.Accepted.TagsBroken != known.Totals.TagsBroken || known.Totals != plain.Totals || known.Totals.TagsBroken == 0 || readable(t, known.Counts) != readable(t, plain.Counts) {
		t.Errorf("%+v of %d, %+v", known.Accepted, errors, known.Totals)
	}
	for _, tag := range known.BrokenTags {
		if !tag.Accepted {
			t.Errorf("%s isn't known", tag.Ref)
		}
	}
	broken := fmt.Sprintf("%d of %d tags can't be pulled", known.Totals.TagsBroken, known.Totals.Tags)
	for _, args := range [][]string{nil, {"--quiet"}} {
		f.run(append([]string{"check", "STORE", "--accept", "DIR/a.yml"}, args...)...)
		if !strings.Contains(f.out.String(), "\nDAMAGED: "+broken+" (accepted), ") && !strings.HasPrefix(f.out.String(), "DAMAGED: "+broken+" (accepted), ") {
			t.Errorf("%q: the verdict hides broken tags:\n%s", args, f.out.String())
		}
	}
	for flag, want := range map[string]int{"error": 0, "warning": 0, "garbage": 4, "never": 0} {
		if exit := f.run("check", "STORE", "--accept", "DIR/a.yml", "--fail-on", flag); exit != want {
			t.Errorf("--fail-on %s: exit %d", flag, exit)
		}
	}
}

// TestAcceptedChangesNoPlan: commands that change something don't have the flag, and no
// setting sets it for them.
func TestAcceptedChangesNoPlan(t *testing.T) {
	f := accepting(t)
	words := map[string][]string{"fix": {"STORE"}, "rm": {"STORE", "app"}, "prune": {"STORE", "--keep-last", "1"}}
	for command, args := range words {
		args = append([]string{command}, append(args, "--json")...)
		f.run(args...)
		plain := f.sameEachTime(t)
		f.env = map[string]string{"REGFSCK_ACCEPT": f.dir + "/a.yml"}
		f.run(args...)
		if f.sameEachTime(t) != plain || plain == "" {
			t.Errorf("%s: with something accepted it says\n%s\nand without\n%s", command, f.sameEachTime(t), plain)
		}
		f.env = nil
		if exit := f.run(append(args, "--accept", "DIR/a.yml")...); exit != 16 {
			t.Errorf("%s takes --accept: exit %d", command, exit)
		}
	}
	f.run("check", "STORE", "--accept", "DIR/a.yml")
	if !strings.Contains(f.out.String(), "regfsck fix "+f.store+" ") || strings.Contains(f.out.String(), "regfsck fix "+f.store+" --accept") {
		t.Errorf("what leads on:\n%s", f.out.String())
	}
}

// sameEachTime returns a document without what varies.
func (f *fake) sameEachTime(t *testing.T) string {
	t.Helper()
	var doc map[string]any
	if json.Unmarshal(f.out.Bytes(), &doc) != nil {
		return ""
	}
	for _, member := range []string{"started", "finished", "cost"} {
		delete(doc, member)
	}
	return readable(t, doc)
}

// TestAcceptedExpires: an entry ends after its last day, and every report says so.
func TestAcceptedExpires(t *testing.T) {
	f := newFix(t, rotten())
	last := f.now().UTC().Format(accept.DateForm)
	path := f.acceptFile("a.yml", "{id: foreign-file, glob: '**', reason: ours, until: "+last+"}", "{id: blob-corrupt, key: gone, reason: r, until: 2001-01-01}", "{id: tag-dangling, key: gone, reason: r}")
	states := func() (all []string) {
		for _, e := range f.checked("--accept", path, "--fail-on", "warning").Accepted.Entries {
			all = append(all, fmt.Sprint(e.Line, " ", e.State, " ", e.Named))
		}
		return all
	}
	if got, want := states(), []string{"3 applies 1", "4 expired 0", "5 unmatched 0"}; !slices.Equal(got, want) {
		t.Errorf("on its last day %q, want %q", got, want)
	}
	day := f.now()
	f.now = func() time.Time { return day.AddDate(0, 0, 1) }
	if got, want := states(), []string{"3 expired 1", "4 expired 0", "5 unmatched 0"}; !slices.Equal(got, want) {
		t.Errorf("on the day after it %q, want %q", got, want)
	}
	f.run("check", "STORE", "--accept", path)
	for _, want := range []string{"ENTRIES OF --accept THAT DO NOT APPLY", path + ", line 3  foreign-file  **  expired: its last day was " + last + "; it names 1 finding\n", path + ", line 5  tag-dangling  gone  matches nothing; remove it\n", ", 2 entries of --accept expired\n"} {
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("no %q in\n%s", want, f.out.String())
		}
	}
	f.rewrite(t, fixtures.Standard()) // only the expired entry remains
	if f.run("check", "STORE", "--accept", path, "--quiet"); !strings.Contains(f.out.String(), "line 3  foreign-file  **  expired") || !strings.Contains(f.out.String(), "expired\n") {
		t.Errorf("--quiet hides it:\n%s", f.out.String())
	}
	f.now = func() time.Time { return day }
	fine := f.acceptFile("b.yml", "{id: foreign-file, glob: '**', reason: ours}")
	if exit := f.run("check", "STORE", "--accept", fine, "--quiet"); exit != 0 || f.out.Len() > 0 {
		t.Errorf("all is well, exit %d: %s", exit, f.out.String())
	}
}

// TestAcceptedIsLimitedByTags: an entry accepts no more broken tags than its limit.
func TestAcceptedIsLimitedByTags(t *testing.T) {
	b := fixtures.Standard()
	image := b.Image("team/app", "1.0", fixtures.Image{Layers: []int{70}})
	lost := image.Blobs[1]
	b.Erase(lost.Key())
	f := newFix(t, b)
	path := f.acceptFile("a.yml", "{id: blob-missing, key: "+lost.Key()+", reason: r, tags: 1}")
	if doc := f.checked("--accept", path); doc.Exit.Code != 0 || doc.Accepted.TagsBroken != 1 {
		t.Fatalf("exit %d, %+v", doc.Exit.Code, doc.Accepted)
	}
	b.Tag("team/app", "2.0", image.Digest)
	f.rewrite(t, b)
	doc := f.checked("--accept", path)
	if doc.Exit.Code != 4 || doc.Accepted.TagsBroken != 0 || doc.Accepted.Entries[0].State != "too-many-tags" || doc.Totals.TagsBroken != 2 {
		t.Errorf("exit %d, %+v", doc.Exit.Code, doc.Accepted)
	}
	if f.run("check", "STORE", "--accept", path); !strings.Contains(f.out.String(), "1 finding breaks more tags than it allows (1); tags: 2 would accept that\n") {
		t.Errorf("it isn't said:\n%s", f.out.String())
	}
}

// TestUnreadableIsNotAccepted: what could not be read can't be accepted.
func TestUnreadableIsNotAccepted(t *testing.T) {
	f := newFake(t, aFault, anError)
	path := f.acceptFile("a.yml", "{id: blob-missing, glob: '**', reason: r}", "{id: foreign-file, key: x, reason: r}")
	if doc := f.checked("--accept", path); doc.Exit.Code != 8 || doc.Accepted.Findings != 1 || doc.Accepted.Entries[1].State != "not-looked-for" {
		t.Errorf("exit %d, %+v", doc.Exit.Code, doc.Accepted)
	}
	bad := f.acceptFile("b.yml", "{id: store-unreadable, glob: '**', reason: r}")
	if exit := f.run("check", "STORE", "--accept", bad); exit != 16 || !strings.Contains(f.errs.String(), "b.yml, line 3: store-unreadable can't be accepted") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestAcceptedInEachForm: each format separates accepted findings, with the reason, and lists
// expired entries.
func TestAcceptedInEachForm(t *testing.T) {
	f := accepting(t)
	old := f.acceptFile("old.yml", "{id: blob-orphan, glob: '**', reason: r, until: 2001-01-01}")
	args := []string{"check", "STORE", "--accept", "DIR/a.yml", "--accept", old, "--quiet"}
	for _, f := range formats.OfDocument(&report.Check{}) {
		args = append(args, "--report", "DIR/r"+f.Ext)
	}
	if exit := f.run(args...); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	body := func(ext string) string {
		text, err := os.ReadFile(f.dir + "/r" + ext)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	known := f.checked("--accept", "DIR/a.yml")
	n := known.Accepted.Findings

	rows, err := csv.NewReader(strings.NewReader(body(".csv"))).ReadAll()
	if err != nil || len(rows) != len(known.Findings)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	at, accepted := slices.Index(rows[0], "accepted"), 0
	for _, row := range rows[1:] {
		if row[at] != "" && row[at] == "lost with the disk" && row[at+1] == "2999-12-31" {
			accepted++
		}
	}
	if accepted != n || rows[0][at+1] != "accepted_until" {
		t.Errorf("%d of %d rows are accepted", accepted, n)
	}

	var suites struct {
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Class   string `xml:"classname,attr"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(body(".junit.xml")), &suites); err != nil {
		t.Fatal(err)
	}
	skipped, expired := 0, 0
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			if c.Skipped != nil && strings.HasPrefix(c.Skipped.Message, "accepted: lost with the disk (until 2999-12-31; ") {
				skipped++
			}
			if s.Name == "--accept" && c.Class == "blob-orphan" && strings.Contains(c.Skipped.Message, "expired: its last day was 2001-01-01") {
				expired++
			}
		}
	}
	errors := 0
	for _, found := range known.Findings {
		if found.Severity == "error" {
			errors++
		}
	}
	if suites.Failures != 0 || skipped != errors || expired != 1 || suites.Skipped != errors+known.Totals.TagsBroken+1 {
		t.Errorf("%d failures, %d of %d skipped, %d expired, %d skipped in all", suites.Failures, skipped, errors, expired, suites.Skipped)
	}

	prom, labels := body(".prom"), `command="check",store="`+f.store+`"`
	for _, want := range []string{
		"regfsck_last_run_success{" + labels + "} 1\n", "regfsck_damaged{" + labels + "} 1\n",
		fmt.Sprintf("regfsck_tags_broken{%s} %d\n", labels, known.Totals.TagsBroken), fmt.Sprintf("regfsck_tags_broken_accepted{%s} %d\n", labels, known.Totals.TagsBroken),
		"regfsck_accept_entries{" + labels + `,state="expired"} 1` + "\n", fmt.Sprintf("regfsck_accept_entries{%s,state=\"applies\"} %d\n", labels, len(known.Accepted.Entries)),
		"regfsck_findings{" + labels + `,id="foreign-file",severity="warning"} 1` + "\n", "regfsck_findings_accepted{" + labels + `,id="foreign-file",severity="warning"} 1` + "\n",
		"regfsck_findings_accepted{" + labels + `,id="blob-orphan",severity="garbage"} 0` + "\n",
	} {
		if !strings.Contains(prom, want) {
			t.Errorf("no %q", want)
		}
	}

	for ext, wants := range map[string][]string{
		".html": {fmt.Sprintf("<h2>Accepted findings (%d)</h2>", n), "<h2>Entries of --accept that do not apply (1)</h2>", fmt.Sprintf("<h2>All other findings (%d)</h2>", len(known.Findings)-n), "lost with the disk", "expired: its last day was 2001-01-01", "can&#39;t be pulled (accepted)", ", accepted</td>"},
		".md":   {"## ACCEPTED: known", "lost with the disk (until 2999-12-31; ", "## ENTRIES OF --accept THAT DO NOT APPLY", "expired: its last day was 2001-01-01", "can't be pulled (accepted)"},
		".json": {`"accepted":{"reason":"lost with the disk","until":"2999-12-31"`, `"state":"expired"`},
	} {
		for _, want := range wants {
			if !strings.Contains(body(ext), want) {
				t.Errorf("%s: no %q", ext, want)
			}
		}
	}

	f.run("check", "STORE", "--accept", "DIR/a.yml", "--accept", old)
	apart, garbage := 0, 0
	for line := range strings.Lines(f.out.String()) {
		if strings.HasPrefix(line, "accepted  ") && strings.Contains(line, "  lost with the disk (until 2999-12-31; ") {
			apart++
		} else if id, _, _ := strings.Cut(line, "  "); id != "" {
			if kind, ok := finding.Parse(id); ok {
				t.Errorf("%s is not told apart: %s", kind, line)
			}
		}
		if strings.HasPrefix(line, "  blob-orphan ") {
			garbage++
		}
	}
	if !strings.Contains(f.out.String(), "/current/link  twin:gone can't be pulled  lost with the disk (until ") {
		t.Errorf("whom it hurts isn't said:\n%s", f.out.String())
	}
	if apart != n || garbage != 1 {
		t.Errorf("%d of %d lines, %d of garbage, in\n%s", apart, n, garbage, f.out.String())
	}
}

// TestAcceptedOnATerminal: lists are cut, expired entries are first, and no line is too wide.
func TestAcceptedOnATerminal(t *testing.T) {
	b := fixtures.Standard()
	for i := range 30 {
		b.PutAt(fmt.Sprintf("docker/registry/v2/repositories/s%02d.txt", i), []byte("x"), fixtures.Epoch)
	}
	f := newFix(t, b)
	entries := []string{"{id: foreign-file, glob: '**', reason: 'many words that say why these files are here, and that nobody needs them but those who put them here'}"}
	for i := range 20 {
		entries = append(entries, fmt.Sprintf("{id: blob-missing, key: k%d, reason: r, until: 2001-01-01}", i), fmt.Sprintf("{id: blob-missing, key: l%d, reason: r}", i))
	}
	path := f.acceptFile("a.yml", entries...)
	for _, width := range []int{60, 80, 120} {
		f.env = map[string]string{"COLUMNS": fmt.Sprint(width)}
		f.terminal = func(io.Writer) (int, bool) { return width, true }
		f.run("check", "STORE", "--accept", path, "--no-progress", "--color", "never")
		text := f.out.String()
		if n := strings.Count(text, "repositories/s"); n != 10 || strings.Count(text, "expired: its last day") != 10 || strings.Contains(text, "take it out") || !strings.Contains(text, "… and 20 more:") || !strings.Contains(text, "… and 30 more entries:") || !strings.Contains(strings.Join(strings.Fields(text), " "), "20 entries of --accept expired") {
			t.Errorf("width %d, %d files:\n%s", width, n, text)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\n"); len([]rune(line)) > width && !strings.Contains(line, f.dir) && !strings.Contains(line, f.store) {
				t.Errorf("width %d: %q", width, line)
			}
		}
	}
	f.run("check", "STORE", "--accept", path, "--quiet")
	if text := f.out.String(); strings.Count(text, "expired: its last day") != 10 || !strings.Contains(text, "\n… and 10 more that expired\n") {
		t.Errorf("--quiet says\n%s", text)
	}
}

// TestAcceptedHostileNames: unusual names are accepted by the file that accept writes, and by
// globs.
func TestAcceptedHostileNames(t *testing.T) {
	b := fixtures.Standard()
	names := []string{"a\nb: c", "*", "[x", `back\slash`, "\x1b[31mred", "\u202egpj", "- x", "#", "'", `"`, "null", " lead", "\xff\xfe", "ü", "{{.}}", "<script>", "%s"}
	for _, name := range names {
		b.PutAt("docker/registry/v2/repositories/"+name, []byte("x"), fixtures.Epoch)
	}
	f := newFix(t, b)
	f.run("check", "STORE", "--report", "DIR/r.json", "--quiet")
	if exit := f.run("accept", "DIR/r.json", "--reason", "a\nb: 'c'\t\x1b[31m # \u202e", "--output", "DIR/a.yml"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	glob := f.acceptFile("b.yml", `{id: foreign-file, glob: 'docker/registry/v2/repositories/*', reason: r}`)
	for _, path := range []string{f.dir + "/a.yml", glob} {
		doc := f.checked("--accept", path, "--fail-on", "warning")
		if doc.Exit.Code != 0 || doc.Accepted.Findings != len(names) {
			t.Errorf("%s: exit %d, %d of %d", path, doc.Exit.Code, doc.Accepted.Findings, len(names))
		}
		for _, e := range doc.Accepted.Entries {
			if e.State != "applies" {
				t.Errorf("%+v", e)
			}
		}
		f.run("check", "STORE", "--accept", path, "--report", "DIR/r.html", "--report", "DIR/r.md")
		for _, name := range []string{"", "r.html", "r.md"} {
			text := f.out.Bytes()
			if name != "" {
				text, _ = os.ReadFile(f.dir + "/" + name)
			}
			if bytes.Contains(text, []byte("\x1b[31m")) || bytes.Contains(text, []byte("\u202e")) || bytes.Contains(text, []byte("<script>\n")) || !bytes.Contains(text, []byte(`\u202e`)) {
				t.Errorf("%s %q: a name stands in it as it is, or not at all", path, name)
			}
		}
	}
	f.run("check", "STORE", "--since", "DIR/r.json", "--accept", "DIR/a.yml", "--json")
	var doc checkDocument
	if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil || len(doc.Since.Added) > 0 {
		t.Errorf("%v: %d are new since a check of the same", err, len(doc.Since.Added))
	}
}

// TestAcceptWritesWhatIsChosen: the file is valid by its schema, and has the findings that
// were chosen.
func TestAcceptWritesWhatIsChosen(t *testing.T) {
	f := accepting(t)
	f.run("schema", "accept")
	schema := bytes.Clone(f.out.Bytes())
	chosen := func(args ...string) (file accept.File) {
		t.Helper()
		args = append([]string{"accept", "DIR/old.json", "--reason", "r"}, args...)
		if exit := f.run(args...); exit != 0 {
			t.Errorf("%q: exit %d, %s", args, exit, f.errs.String())
		}
		var doc any
		if err := yaml.Unmarshal(f.out.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := schematest.Validate(schema, text); err != nil {
			t.Errorf("%q: %v in\n%s", args, err, f.out.String())
		}
		if err := json.Unmarshal(text, &file); err != nil || file.Target != f.store {
			t.Errorf("target %q, %v", file.Target, err)
		}
		return file
	}
	found := f.checked()
	count := func(wanted func(id, severity, path string) bool) (n int) {
		for _, one := range found.Findings {
			if wanted(one.ID, one.Severity, one.Path) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		args   string
		wanted func(id, severity, path string) bool
	}{
		{"", func(_, _, _ string) bool { return true }},
		{"--until 2999-01-01", func(_, _, _ string) bool { return true }},
		{"--severity garbage", func(_, severity, _ string) bool { return severity == "garbage" }},
		{"--severity garbage --severity error", func(_, severity, _ string) bool { return severity != "warning" }},
		{"--id foreign-file", func(id, _, _ string) bool { return id == "foreign-file" }},
		{"--key **/notes.txt", func(id, _, _ string) bool { return id == "foreign-file" }},
		{"--key docker/registry/v2/repositories/base/notes.txt --key nowhere", func(id, _, _ string) bool { return id == "foreign-file" }},
		{"--key docker/registry/v2/blobs/** --severity garbage", func(_, severity, path string) bool {
			return severity == "garbage" && strings.HasPrefix(path, "docker/registry/v2/blobs/")
		}},
	} {
		file := chosen(strings.Fields(c.args)...)
		if want := count(c.wanted); len(file.Entries) != want || want == 0 {
			t.Errorf("%s: %d entries, want %d", c.args, len(file.Entries), want)
		}
		for _, e := range file.Entries {
			if (e.Until == "2999-01-01") != strings.Contains(c.args, "--until") {
				t.Errorf("%s: %+v", c.args, e)
			}
		}
		if strings.Contains(f.errs.String(), "without an end (--until DATE sets one)") == strings.Contains(c.args, "--until") {
			t.Errorf("%s: %s", c.args, f.errs.String())
		}
	}
	f.run("check", "STORE", "--accept", "DIR/a.yml", "--report", "DIR/new.json", "--quiet")
	if f.run("accept", "DIR/new.json", "--reason", "r"); !strings.Contains(f.errs.String(), "accepted already") || strings.Contains(f.out.String(), "foreign-file") {
		t.Errorf("what was accepted is accepted again: %s\n%s", f.errs.String(), f.out.String())
	}
	write(t, f.dir+"/other.json", `{"schema":"regfsck.plan/1"}`)
	for _, c := range []struct{ args, want string }{
		{"accept", "takes one REPORT.json, and 0 were given"},
		{"accept DIR/old.json DIR/old.json --reason r", "2 were given"},
		{"accept DIR/none.json --reason r", "no such file"},
		{"accept DIR/a.yml --reason r", "no JSON report"},
		{"accept DIR/other.json --reason r", "regfsck.plan/1"},
		{"accept DIR/old.json", "--reason is missing"},
		{"accept DIR/old.json --reason=", "--reason is missing"},
		{"accept DIR/old.json --reason r --until tomorrow", "until is a day like"},
		{"accept DIR/old.json --reason r --until 2001-01-01", "is past already"},
		{"accept DIR/old.json --reason r --id blob-mising", "did you mean blob-missing?"},
		{"accept DIR/old.json --reason r --severity fatal", "error, warning or garbage"},
		{"accept DIR/old.json --reason r --key [", "malformed"},
		{"accept DIR/old.json --reason r --key nowhere", "nothing of " + f.dir + "/old.json is left to be accepted"},
		{"accept DIR/new.json --reason r --severity error", "is left to be accepted; left out: "},
		{"accept DIR/old.json --reason r --output DIR/a.yml", "exists already"},
		{"accept DIR/old.json --reason r --output DIR/nowhere/a.yml", "can't be written"},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != 16 || !strings.Contains(f.errs.String(), c.want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s%s", c.args, exit, f.errs.String(), f.out.String())
		}
	}
}

// TestInvalidAcceptFile: an invalid file ends the check before it reads the store.
func TestInvalidAcceptFile(t *testing.T) {
	f := newFake(t)
	head := "schema: regfsck.accept/1\n"
	for body, want := range map[string]string{
		"":                       "it is empty",
		"# nothing\n":            "it is empty",
		"---\n":                  "it is empty",
		"[]":                     "line 1: the file has lines like schema: …",
		"a: [":                   "no YAML: ",
		"\xff\xfe\xff":           "no YAML: ",
		head:                     "accepted is a list of entries, and there is none",
		head + "accepted:\n":     "line 2: it has no entries",
		head + "accepted: []\n":  "line 2: it has no entries",
		head + "accepted: {}\n":  "accepted is a list",
		head + "accepted: [x]\n": "line 2: an entry has lines like id: …",
		"accepted: [{id: x}]\n":  `schema is "", and this program reads regfsck.accept/1`,
		"schema: regfsck.accept/2\naccepted: [{}]\n": `schema is "regfsck.accept/2"`,
		head + "acepted: []\n":                       `line 2: there is no key "acepted": the file has schema, target, accepted`,
		head + "target:\naccepted: []\n":             "line 2: target has no value",
		head + "accepted:\n- {id: foreign-file, glob: x, reason: r}\n- id: foreign-file\n  glob: y\n  reason: r\n  untill: 2030-01-01\n": `line 7: there is no key "untill": an entry has id, key, glob, tags, reason, until`,
		head + "accepted:\n- {id: foreign-file, glob: x, reason: r, reason: s}\n":                                                        "line 3: reason is there twice",
		head + "accepted:\n- {id: foreign-file, glob: x}\n":                                                                              "line 3: it has no reason",
		head + "accepted:\n- {id: foreign-file, reason: r}\n":                                                                            "line 3: it has no key and no glob",
		head + "accepted:\n- {id: foreign-file, key: [a], reason: r}\n":                                                                  "line 3: key is a text",
		head + "accepted:\n- {id: foreign-file, key: !!binary aGk=, reason: r}\n":                                                        "line 3: key is a text",
		head + "accepted:\n- {id: foreign-file, key: a, reason: ~}\n":                                                                    "line 3: reason has no value",
		head + "accepted:\n- {id: foreign-file, key: a, reason: r, tags: many}\n":                                                        `tags is a number from 0, not "many"`,
		head + "accepted:\n- {id: foreign-file, key: a, reason: r, until: 2030-13-01}\n":                                                 "line 3: until is a day",
		head + "accepted:\n- {id: forein-file, key: a, reason: r}\n":                                                                     `line 3: no check finds anything with the id "forein-file"`,
		head + "accepted:\n- {id: foreign-file, key: a, reason: r}\n- {id: foreign-file, key: a, reason: s}\n":                           "line 4: the same is accepted by ",
		head + "accepted:\n- {<<: {id: foreign-file}, key: a, reason: r}\n":                                                              `there is no key "<<"`,
		head + "accepted:\n- {id: foreign-file, key: a, reason: r}\n---\nx: 1\n":                                                         "more than one document",
		head + "# " + strings.Repeat("x", 9<<20):                                                                                         "it is larger than",
	} {
		path := f.dir + "/a.yml"
		write(t, path, body)
		if exit := f.run("check", "STORE", "--accept", path); exit != 16 || !strings.Contains(f.errs.String(), "--accept "+path) || !strings.Contains(f.errs.String(), want) || !strings.Contains(f.errs.String(), "regfsck help accepted") || len(f.seen) > 0 || f.out.Len() > 0 {
			t.Errorf("%.80q: exit %d, want %q, %s", body, exit, want, f.errs.String())
		}
	}
	for _, path := range []string{"DIR", "DIR/none.yml"} {
		if exit := f.run("check", "STORE", "--accept", path); exit != 16 || !strings.Contains(f.errs.String(), "can't be read") && !strings.Contains(f.errs.String(), "is a directory") || len(f.seen) > 0 {
			t.Errorf("%s: exit %d, %s", path, exit, f.errs.String())
		}
	}
	good := f.acceptFile("good.yml", "&x {id: foreign-file, key: 123, reason: 2030-01-01, tags: '2'}")
	if exit := f.run("check", "STORE", "--accept", good); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("check", "STORE", "--accept", good, "--accept", good); exit != 16 || !strings.Contains(f.errs.String(), "the same is accepted by") {
		t.Errorf("the same file twice: exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("check", "STORE", "--accept", good, "--shard", "1/2", "--ledger", "DIR/l"); exit != 16 || !strings.Contains(f.errs.String(), "can't be used with --accept") {
		t.Errorf("--shard: exit %d, %s", exit, f.errs.String())
	}
}

// TestAcceptFileOfTheHelp: the file in the help topic is valid.
func TestAcceptFileOfTheHelp(t *testing.T) {
	page, _ := help.Topic("accepted")
	for _, b := range page.Blocks {
		if len(b.Lines) == 0 || b.Lines[0] != "schema: "+accept.Schema {
			continue
		}
		if file, err := acceptfile.Read(strings.NewReader(strings.Join(b.Lines, "\n")), "shown", fixtures.Epoch); err != nil || len(file.Rules) != 2 || file.Target == "" {
			t.Errorf("%+v, %v", file, err)
		}
		return
	}
	t.Error("the topic shows no file")
}

// TestAcceptInSettings: --accept can be set, and an error about the file says where it was
// set.
func TestAcceptInSettings(t *testing.T) {
	f := accepting(t)
	more := f.acceptFile("more.yml", "{id: blob-orphan, glob: '**', reason: r}")
	f.env = map[string]string{"REGFSCK_ACCEPT": f.dir + "/a.yml\n" + more}
	if doc := f.checked(); doc.Exit.Code != 0 || len(doc.Accepted.Entries) < 2 {
		t.Errorf("exit %d, %+v", doc.Exit.Code, doc.Accepted)
	}
	f.env = nil
	f.settings = f.settingsFile("check:\n  accept: [" + f.dir + "/a.yml]\n")
	if doc := f.checked(); doc.Exit.Code != 0 || doc.Accepted == nil {
		t.Errorf("exit %d, %+v", doc.Exit.Code, doc.Accepted)
	}
	if exit := f.run("fix", "STORE"); exit&16 != 0 {
		t.Errorf("fix: exit %d, %s", exit, f.errs.String())
	}
	f.settings = f.settingsFile("check:\n  accept: " + f.dir + "/none.yml\n")
	if exit := f.run("check", "STORE"); exit != 16 || !strings.Contains(f.errs.String(), "--accept is set by "+f.settings+", line 2.") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestAcceptedOfAnotherStore: a file for another store accepts nothing, and a note says so.
func TestAcceptedOfAnotherStore(t *testing.T) {
	f := accepting(t)
	text, err := os.ReadFile(f.dir + "/a.yml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.dir+"/other.yml", strings.Replace(string(text), "target: "+f.store, "target: s3://elsewhere", 1))
	doc := f.checked("--accept", "DIR/other.yml")
	if doc.Exit.Code != 4 || doc.Accepted.Findings != 0 || !strings.Contains(strings.Join(doc.Notes, "\n"), "Nothing that "+f.dir+"/other.yml accepts is accepted here: the file is for another store, s3://elsewhere.") {
		t.Errorf("exit %d, %+v, %q", doc.Exit.Code, doc.Accepted, doc.Notes)
	}
	if doc := f.checked("--accept", "DIR/other.yml", "--accept", "DIR/a.yml"); doc.Exit.Code != 0 {
		t.Errorf("with its own besides: exit %d", doc.Exit.Code)
	}
	write(t, f.dir+"/any.yml", strings.Replace(string(text), "target: "+f.store+"\n", "", 1))
	if doc := f.checked("--accept", "DIR/any.yml"); doc.Exit.Code != 0 {
		t.Errorf("for any: exit %d", doc.Exit.Code)
	}
}

// TestAcceptedSince: in a comparison, new findings are marked as accepted.
func TestAcceptedSince(t *testing.T) {
	f := accepting(t)
	path := f.acceptFile("b.yml", "{id: foreign-file, glob: '**/*.txt', reason: ours}")
	write(t, f.store+"/docker/registry/v2/repositories/new.txt", "x")
	f.run("check", "STORE", "--since", "DIR/old.json", "--accept", path)
	_, since, _ := strings.Cut(f.out.String(), "\nSINCE ")
	if !strings.Contains(since, "  foreign-file  1\n    docker/registry/v2/repositories/new.txt  (accepted)\n") || !strings.Contains(since, ": 1 finding is new, 0 gone") || !strings.Contains(f.out.String(), "\naccepted  foreign-file  docker/registry/v2/repositories/new.txt  ours (no end; ") {
		t.Errorf("since:\n%s", f.out.String())
	}
}

// TestAcceptedWithAListing: with a saved listing, the same findings are accepted.
func TestAcceptedWithAListing(t *testing.T) {
	server := s3test.Start(t, s3test.Options{})
	credentials(t, server)
	bucket := server.Make(t, "bucket")
	b := fixtures.Standard()
	b.Erase(b.Image("team/app", "1.0", fixtures.Image{Layers: []int{70}}).Blobs[1].Key())
	bucket.Fill(t, s3test.From(b.Into, ""))
	f := newFix(t, fixtures.Standard())
	inventoryOf(t, f.dir+"/inventory", bucket)
	store := []string{"s3://bucket", "--s3-endpoint", server.Endpoint}
	check := func(args ...string) int { return f.run(slices.Concat([]string{"check"}, store, args)...) }
	if exit := check("--report", "DIR/r.json", "--quiet"); exit != 4 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	if exit := f.run("accept", "DIR/r.json", "--reason", "r", "--output", "DIR/a.yml"); exit != 0 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	if exit := check("--accept", "DIR/a.yml"); exit != 0 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	manifests, _ := filepath.Glob(f.dir + "/inventory/*/manifest.json")
	if len(manifests) == 0 {
		t.Fatal("there is no inventory")
	}
	if exit := check("--accept", "DIR/a.yml", "--listing", manifests[0]); exit&^8 != 0 || !strings.Contains(f.out.String(), "(accepted)") || strings.Contains(f.out.String(), "THAT DO NOT APPLY") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

// TestAcceptedByLayoutKey: keys of entries are those of the layout, also if the store is
// reached by another path.
func TestAcceptedByLayoutKey(t *testing.T) {
	b := fixtures.Standard()
	orphan := layout.BlobKey(layout.Sum([]byte("orphan")))
	b.PutAt(orphan, []byte("orphan"), fixtures.Epoch)
	f := newFix(t, b)
	path := f.acceptFile("a.yml", "{id: blob-orphan, key: "+orphan+", reason: r}")
	if exit := f.run("check", "STORE", "--accept", path, "--fail-on", "garbage"); exit != 0 || !strings.Contains(f.out.String(), "accepted  blob-orphan  "+orphan) {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

package formats

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/changes"
	"regfsck/report/document"
	"regfsck/report/view"
)

var (
	//go:embed html/page.tmpl
	htmlPage string
	//go:embed html/style.css
	htmlStyle string
	//go:embed html/script.js
	htmlScript string

	htmlTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(htmlPage)) }) // few runs write a page
)

// Limits of a page, so that a browser shows it quickly. The page says what it omits; JSON has
// everything.
const (
	htmlRows      = 100_000 // of a table
	htmlFirst     = 100     // rows that are shown initially, and without a script
	htmlParts     = 200     // repositories of a diff
	htmlPartLines = 100     // lines of each
)

// htmlWriter writes an answer as one self-contained file: its policy forbids network access,
// and the script only sorts, filters and pages. Rows are data from which the script shows a
// hundred at a time, so that many rows are fast.
func htmlWriter(d report.Document) func(io.Writer) error {
	return func(w io.Writer) error {
		p := pageOf(d)
		out := bufio.NewWriterSize(w, 64<<10)
		out.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
			`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ` + hashOf(htmlStyle) + "; script-src " + hashOf(htmlScript) + `; base-uri 'none'; form-action 'none'">` +
			"\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>" +
			template.HTMLEscapeString(p.Title+" "+p.Target) + "</title>\n<style>" + htmlStyle + "</style>\n</head>\n<body>\n")
		if err := htmlTemplate().Execute(out, p); err != nil {
			return err
		}
		for _, t := range slices.Concat(p.Before, p.Tables) {
			if err := t.writeData(out); err != nil {
				return err
			}
		}
		out.WriteString("<script>" + htmlScript + "</script>\n</body>\n</html>\n")
		return out.Flush()
	}
}

// hashOf returns the hash of a text for a Content-Security-Policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// htmlReport is the data of the template. All text is cleaned.
type htmlReport struct {
	Title, Target, When, Version string

	Verdict        *htmlVerdict
	Facts          []htmlFact
	Before, Tables []*htmlTable
	Maps           []treemap
	Diff           []htmlPart
	Blocks         []htmlBlock
	Notes          []string
	Commands       [][2]string
}

type htmlVerdict struct{ Tone, Word, Sentence string }

type htmlFact struct{ Name, Value string }

// pageOf returns the page of an answer. Checks, plans and lists have parts of their own;
// other answers are made from the view.
func pageOf(d report.Document) *htmlReport {
	p := &htmlReport{}
	p.say(d)
	switch d := d.(type) {
	case *report.Check:
		p.check(d)
	case *report.Plan:
		p.check(&d.Check)
		p.plan(d)
	case *report.RepositoryList:
		p.from(&d.Check)
		p.Maps = treemapsOf(&d.Check)
		p.table("repositories", "Repositories", "", repositoriesSheet(d))
	case *report.TagList:
		p.from(&d.Check)
		p.table("tags", "Tags of "+words.Clean(d.Repository.Name), "", tagsSheet(d))
	case *report.BrokenList:
		p.from(&d.Check)
		p.table("broken", "Tags that can't be pulled", "", brokenTagsSheet(d))
	case *report.Comparison:
		p.Title, p.Target, p.Version, p.When = "regfsck diff", words.Clean(d.New.Target), words.Clean(d.Version), words.Clean(d.Old.Finished)+" to "+words.Clean(d.New.Finished)
		p.table("changes", "What is new and what is gone", "", comparisonSheet(d))
	case *report.TagTree:
		p.from(&d.Check)
		p.blocks(d)
	case *report.Why:
		p.from(&d.Check)
		p.blocks(d)
	case *report.SavedPlan:
		p.Title, p.Target, p.Version, p.When = "regfsck "+words.Clean(d.Header.Command), words.Clean(d.Header.Target), words.Clean(d.Version), dated(d.Header.Made)
		p.plan(d.AsPlan())
	case *report.Run:
		p.Title, p.Target, p.Version, p.When = "regfsck "+d.Command, words.Clean(d.Target), words.Clean(d.Version), dated(d.Finished)
		p.blocks(d)
	case *report.PastRun:
		p.Title, p.Target, p.Version, p.When = "regfsck "+words.Clean(d.Summary.Command), words.Clean(d.Summary.Target), words.Clean(d.Version), dated(d.Summary.Began)
		p.blocks(d)
	case *report.Status:
		p.Title, p.Target, p.Version, p.When = "regfsck status", words.Clean(d.Target), words.Clean(d.Version), dated(d.Now)
		p.blocks(d)
	case *report.Runs:
		p.Title, p.Target, p.Version = "regfsck undo --list", words.Clean(d.Target), words.Clean(d.Version)
		p.blocks(d)
	case *report.Purge:
		p.Title, p.Target, p.Version, p.When = "regfsck purge", words.Clean(d.Target), words.Clean(d.Version), dated(d.Finished)
		p.blocks(d)
	}
	return p
}

// say sets what every page begins and ends with.
func (p *htmlReport) say(d report.Document) {
	for b := range d.View(view.Options{Terminal: true}) {
		switch b.Kind {
		case view.TitleBlock:
			p.Title = view.Unstyled(b.Text)
		case view.VerdictBlock:
			p.Verdict = verdictOf(b.Text)
		case view.CommandsBlock:
			p.Commands = append(p.Commands, b.Commands...)
		}
	}
	if p.Title == "" {
		p.Title = "regfsck"
	}
}

// tones are the classes of verdicts, by the style of the first word.
var tones = map[string]string{string(view.Green): "good", string(view.Red): "bad", string(view.Yellow): "warn", string(view.Cyan): "plan"}

func verdictOf(text string) *htmlVerdict {
	v := &htmlVerdict{Tone: "plan"}
	for style, part := range view.Spans(text) {
		if v.Word == "" {
			v.Tone, v.Word = tones[style], part
			continue
		}
		v.Sentence += part
	}
	v.Sentence = strings.TrimPrefix(v.Sentence, ": ")
	return v
}

// from sets the subject of a check.
func (p *htmlReport) from(c *report.Check) {
	p.Title, _, _ = strings.Cut(p.Title, "  ")
	p.Target, p.Version, p.When = words.Clean(c.Target), words.Clean(c.Version), dated(c.Finished)
	p.Notes = words.All(c.Result.Notes, words.Clean)
}

func dated(at time.Time) string { return at.UTC().Format("2 January 2006, 15:04 UTC") }

// check sets the results of a check.
func (p *htmlReport) check(c *report.Check) {
	p.from(c)
	n := &c.Result.Totals
	p.Facts = []htmlFact{
		{"Repositories", words.Number(n.Repositories)}, {"Tags", words.Number(n.Tags)}, {"Broken tags", words.Number(n.TagsBroken)},
		{"Tags not judged", words.Number(n.TagsUnknown)}, {"Blobs", words.Number(n.Blobs)}, {"Stored", words.Size(n.Bytes)}, {"In use", words.Size(n.ReferencedBytes)},
		{"Can be freed", words.Size(n.ReclaimableBytes)},
	}
	helps := helpsOf(c)
	if n.TagsBroken > 0 {
		p.Before = append(p.Before, newHTMLTable("broken", "Tags that can't be pulled", "", brokenSheet(c, c.Result.Broken, helps)))
	}
	if n.TagsUnknown > 0 {
		p.Before = append(p.Before, newHTMLTable("unknown", "Tags that could not be judged", report.Unjudged, brokenSheet(c, c.Result.Unknown, helps)))
	}
	p.Maps = treemapsOf(c)
	if c.Since != nil {
		p.table("changes", "What is new and what is gone", "Since the report of "+words.Clean(c.Since.Finished)+".", comparisonSheet(c.Comparison()))
	}
	if c.Accepted != nil {
		p.Facts = append(p.Facts, htmlFact{"Accepted findings", words.Number(c.Accepted.Sum().Count)})
		p.table("accepted", "Accepted findings", "Known, and not counted by --fail-on. A fix treats them as any other finding.", acceptedSheet(c))
		p.table("entries", "Entries of --accept that do not apply", "", fateSheet(c))
	}
	p.table("kinds", "What was found", "One row for each kind of finding. regfsck explain shows what each means.", kindSheet(c))
	title := "All findings"
	if c.Accepted != nil {
		title = "All other findings"
	}
	others := finding.Where(c.Result.Findings, func(f *finding.Finding) bool { return c.Accepted.By(f) == nil })
	p.table("findings", title, "", sheet{findingColumns(), document.Map(others, findingCells)})
	if u := c.Usage(); u != nil {
		l := report.RepositoryList{Rows: largestFirst(u)}
		p.table("repositories", "Repositories", "own: freed if the repository is removed. shared: other repositories use it too.", repositoriesSheet(&l))
	}
}

// helpsOf describes the cure of each finding that blocks tags, by its kind and key.
func helpsOf(c *report.Check) map[string]string {
	all := map[string]string{}
	for f := range c.Result.Findings {
		if f.Kind.Severity() >= finding.Garbage || len(all) == htmlRows {
			break
		}
		all[f.Kind.String()+" "+f.Path] = help(&f)
	}
	return all
}

// help describes the cure of a finding.
func help(f *finding.Finding) string {
	also := "fix --also " + f.Kind.String()
	switch f.Cure {
	case finding.CureRebuild:
		return "fix heals it"
	case finding.CureHeal:
		return "fix --from heals it"
	case finding.CureMoveAsk:
		return also + ", then push it again"
	case finding.CureRemoveAsk:
		return "push it again, or " + also + " removes it"
	case finding.CureWithdrawAsk:
		return "push it again (" + also + " first, if the client skips it)"
	case finding.CureWriteAsk:
		return also
	}
	switch {
	case f.Kind.Severity() == finding.Fatal:
		return "check again once it can be read"
	case f.Kind == finding.BlobArchived:
		return "restore it from the archive"
	}
	return "push it again"
}

// brokenSheet returns tags with their reasons and cures.
func brokenSheet(c *report.Check, tags iter.Seq[finding.BrokenTag], helps map[string]string) sheet {
	return sheet{columns("tag", "because", "what helps", "where:digest"), document.Map(tags, func(b finding.BrokenTag) []string {
		kinds, cures, paths := c.Because(&b), []string{}, []string{}
		for _, why := range b.Because {
			_, path, _ := strings.Cut(why, " ")
			paths = append(paths, path)
			if h := helps[why]; h != "" && !slices.Contains(cures, h) {
				cures = append(cures, h)
			}
		}
		return []string{b.Ref(), strings.Join(kinds, ", "), strings.Join(cures, "; "), strings.Join(paths, " ")}
	})}
}

// kindSheet returns the kinds that were found.
func kindSheet(c *report.Check) sheet {
	return sheet{columns("id", "severity", "count:count", "accepted:count", "bytes:bytes", "in grace:count", "what it is"), func(yield func([]string) bool) {
		for id := range finding.Kinds {
			n := c.Result.Counts[id]
			if n.Count+n.InGrace > 0 && !yield([]string{id.String(), id.Severity().String(), digits(n.Count), digits(n.Count - c.Left(id).Count), digits(n.Bytes), digits(n.InGrace), id.Explanation().Brief}) {
				return
			}
		}
	}}
}

// htmlPart is the changes in one repository.
type htmlPart struct {
	Title, Sum, More string
	Open             bool
	Lines            []htmlLine
}

type htmlLine struct{ Class, Sign, Name, Size, Finding, Reason string }

var signClasses = map[string]string{changes.Removed: "gone", changes.Written: "add", changes.Undecided: "ask"}

// plan sets the changes of a plan.
func (p *htmlReport) plan(d *report.Plan) {
	groups := changes.Groups(d.Changes())
	for i, g := range groups {
		if i == htmlParts {
			p.Diff = append(p.Diff, htmlPart{Title: "… and " + words.Number(len(groups)-i) + " more repositories", Sum: "see the table of steps"})
			break
		}
		p.Diff = append(p.Diff, partOf(g, i < 3))
	}
	if len(d.Plan.Steps) > 0 {
		p.table("steps", "All steps", "", planSheet(d))
	}
	for _, r := range d.Refusals {
		p.Notes = append(p.Notes, "--apply would be refused: "+words.Clean(r.Why)+". "+words.Clean(r.How))
	}
}

func partOf(g []changes.Change, open bool) htmlPart {
	part := htmlPart{Title: changes.Title(&g[0]), Open: open}
	bytes, count := int64(0), map[string]int{}
	for i := range g {
		c := &g[i]
		count[c.Sign]++
		if c.Sign == changes.Removed {
			bytes += c.Bytes
		}
		if i < htmlPartLines {
			size := ""
			if c.Bytes > 0 {
				size = words.Size(c.Bytes)
			}
			part.Lines = append(part.Lines, htmlLine{signClasses[c.Sign], strings.Replace(c.Sign, changes.Removed, "−", 1), words.Clean(c.Name), size, c.Kind.String(), words.Clean(c.Reason)})
		}
	}
	for _, sign := range []string{changes.Written, changes.Removed, changes.Undecided} {
		if n := count[sign]; n > 0 {
			part.Sum += " " + strings.Replace(sign, changes.Removed, "−", 1) + words.Number(n)
		}
	}
	if bytes > 0 {
		part.Sum += ", " + words.Size(bytes) + " removed"
	}
	if n := len(g) - htmlPartLines; n > 0 {
		part.More = "… and " + words.Number(n) + " more, in the table of steps"
	}
	return part
}

// htmlTable is a table that can be sorted and filtered.
type htmlTable struct {
	ID, Title, About, Rest string

	Columns []htmlColumn
	First   [][]htmlCell
	sheet   sheet
}

type htmlColumn struct{ Name, Class string }

type htmlCell struct{ Class, Text, Whole string }

func (p *htmlReport) table(id, title, about string, s sheet) {
	p.Tables = append(p.Tables, newHTMLTable(id, title, about, s))
}

func newHTMLTable(id, title, about string, s sheet) *htmlTable {
	t := &htmlTable{ID: id, Title: title, About: about, sheet: s}
	for _, c := range s.columns {
		t.Columns = append(t.Columns, htmlColumn{strings.ReplaceAll(c.name, "_", " "), string(c.kind)})
	}
	n := 0
	for row := range s.rows {
		if n++; n > htmlFirst {
			continue
		}
		var cells []htmlCell
		for i, value := range row {
			kind := s.columns[i].kind
			cell := htmlCell{Class: string(kind), Text: kind.shown(value)}
			if kind == digestValue && cell.Text != words.Clean(value) {
				cell.Whole = words.Clean(value)
			}
			cells = append(cells, cell)
		}
		t.First = append(t.First, cells)
	}
	if n > 0 {
		t.Title += " (" + words.Number(n) + ")"
	}
	if n > htmlFirst {
		t.Rest = "These are the first " + words.Number(htmlFirst) + " of " + words.Number(n) + "; a script shows the others."
	}
	if n > htmlRows {
		t.About = strings.TrimSpace("These are the first " + words.Number(htmlRows) + ". The JSON report has all of them. " + t.About)
	}
	return t
}

// writeData writes the rows as data for the script: kinds of columns, and cleaned values. The
// JSON is escaped so that it can't end the element.
func (t *htmlTable) writeData(w *bufio.Writer) error {
	head, err := json.Marshal(words.All(t.sheet.columns, func(c sheetColumn) string { return string(c.kind) }))
	if err != nil {
		return err
	}
	w.WriteString(`<script type="application/json" id="` + t.ID + `-data">{"kinds":` + string(head) + `,"rows":[`)
	n := 0
	for row := range t.sheet.rows {
		if n == htmlRows {
			break
		}
		line, err := json.Marshal(words.All(row, words.Clean))
		if err != nil {
			return err
		}
		if n++; n > 1 {
			w.WriteString(",\n")
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	_, err = w.WriteString("]}</script>\n")
	return err
}

// htmlBlock is a group of blocks without a gap.
type htmlBlock struct {
	Kind, Text string // heading, prose, lines or rows
	Head       []view.Column
	Rows       [][]htmlValue
}

type htmlValue struct {
	Text  string
	Right bool
}

// blocks sets the view's blocks.
func (p *htmlReport) blocks(d report.Document) {
	var columns []view.Column
	header := false
	last := func(kind string) *htmlBlock {
		if n := len(p.Blocks); n > 0 && p.Blocks[n-1].Kind == kind {
			return &p.Blocks[n-1]
		}
		p.Blocks = append(p.Blocks, htmlBlock{Kind: kind})
		return &p.Blocks[len(p.Blocks)-1]
	}
	for b := range d.View(view.Options{}) {
		text := view.Unstyled(b.Text)
		switch b.Kind {
		case view.HeadingBlock:
			p.Blocks = append(p.Blocks, htmlBlock{Kind: "heading", Text: text})
		case view.ProseBlock:
			p.Blocks = append(p.Blocks, htmlBlock{Kind: "prose", Text: text})
		case view.LineBlock:
			last("lines").Text += strings.Repeat("  ", b.Depth) + text + "\n"
		case view.TableBlock:
			columns, header = b.Columns, !b.NoHeader
			p.Blocks = append(p.Blocks, htmlBlock{Kind: "gap"})
		case view.GapBlock:
			p.Blocks = append(p.Blocks, htmlBlock{Kind: "gap"})
		case view.RowBlock:
			rows := last("rows")
			if header {
				rows.Head = columns
			}
			var cells []htmlValue
			for i, cell := range b.Cells {
				cells = append(cells, htmlValue{view.Unstyled(cell), columns[i].Right})
			}
			rows.Rows = append(rows.Rows, cells)
		}
	}
}

package formats

import (
	"cmp"
	"encoding/csv"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend/words"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/graph/usage"
	"regfsck/report"
	"regfsck/report/document"
)

// sheet is an answer as a table of plain values.
type sheet struct {
	columns []sheetColumn
	rows    iter.Seq[[]string] // a value for each column: sizes in bytes, times as in JSON
}

type sheetColumn struct {
	name string
	kind valueKind
}

// valueKind is the kind of a column's values.
type valueKind string

const (
	textValue   valueKind = "text"
	countValue  valueKind = "count"
	bytesValue  valueKind = "bytes"
	timeValue   valueKind = "time"
	digestValue valueKind = "digest"
	pathValue   valueKind = "path" // a key, or a long text
)

// sheetOf returns the function that makes a document's table, nil if it has none. It depends
// only on the document's type.
func sheetOf(d report.Document) func() sheet {
	switch d := d.(type) {
	case *report.Check:
		return func() sheet { return checkSheet(d) }
	case *report.Plan:
		return func() sheet { return planSheet(d) }
	case *report.SavedPlan:
		return func() sheet { return planSheet(d.AsPlan()) }
	case *report.PastRun:
		return func() sheet { return planSheet(d.AsPlan()) }
	case *report.Run:
		return func() sheet { return runSheet(d) }
	case *report.Comparison:
		return func() sheet { return comparisonSheet(d) }
	case *report.RepositoryList:
		return func() sheet { return repositoriesSheet(d) }
	case *report.TagList:
		return func() sheet { return tagsSheet(d) }
	case *report.BrokenList:
		return func() sheet { return brokenTagsSheet(d) }
	case *report.TagTree:
		return func() sheet { return treeSheet(d) }
	case *report.Why:
		return func() sheet { return whySheet(d) }
	}
	return nil
}

// csvWriter writes a table. Text from a store is escaped as in text output.
func csvWriter(d report.Document) func(io.Writer) error {
	of := sheetOf(d)
	if of == nil {
		return nil
	}
	return func(w io.Writer) error {
		s := of()
		out := csv.NewWriter(w)
		err := out.Write(words.All(s.columns, func(c sheetColumn) string { return c.name }))
		for row := range s.rows {
			if err != nil {
				return err
			}
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = s.columns[i].kind.csvCell(cell)
			}
			err = out.Write(cells)
		}
		out.Flush()
		return cmp.Or(err, out.Error())
	}
}

// csvCell returns the cell of a value. Text that a spreadsheet would read as a formula is
// preceded by an apostrophe.
func (k valueKind) csvCell(value string) string {
	switch k {
	case countValue, bytesValue, timeValue:
		return words.Clean(value)
	}
	if value != "" && strings.ContainsRune("=+-@\t\r", rune(value[0])) {
		return "'" + words.Clean(value)
	}
	return words.Clean(value)
}

func digits[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// columns returns columns by their names, each with its kind after a colon; without one it is
// text.
func columns(names ...string) (all []sheetColumn) {
	for _, n := range names {
		name, kind, _ := strings.Cut(n, ":")
		all = append(all, sheetColumn{name, cmp.Or(valueKind(kind), textValue)})
	}
	return all
}

// checkSheet returns the findings, also those in grace.
func checkSheet(c *report.Check) sheet {
	return sheet{append(findingColumns(), columns("accepted", "accepted_until")...), document.Map(c.Result.Findings, func(f finding.Finding) []string {
		reason, until := "", ""
		if r := c.Accepted.By(&f); r != nil {
			reason, until = r.Reason, r.Until
		}
		return append(findingCells(f), reason, until)
	})}
}

func findingColumns() []sheetColumn {
	return columns("severity", "id", "repository", "tag", "digest:digest", "path:path", "bytes:bytes", "modified:time", "affects_count:count", "affects", "detail", "cure", "in_grace")
}

func findingCells(f finding.Finding) []string {
	return []string{
		f.Kind.Severity().String(), f.Kind.String(), f.Repository, f.Tag, f.Digest, f.Path, digits(f.Bytes), document.Time(f.Modified),
		digits(f.AffectsCount), strings.Join(f.Affects, " "), f.Detail, string(f.Cure), yes(f.InGrace),
	}
}

// acceptedSheet returns the accepted findings.
func acceptedSheet(c *report.Check) sheet {
	accepted := finding.Where(c.Result.Findings, func(f *finding.Finding) bool { return c.Accepted.By(f) != nil })
	return sheet{columns("reason", "until", "severity", "id", "path:path", "bytes:bytes", "affects_count:count", "affects", "entry"), document.Map(accepted, func(f finding.Finding) []string {
		r := c.Accepted.By(&f)
		return []string{r.Reason, r.Until, f.Kind.Severity().String(), f.Kind.String(), f.Path, digits(f.Bytes), digits(f.AffectsCount), strings.Join(f.Affects, " "), r.Where()}
	})}
}

// fateSheet returns the entries of --accept that don't simply apply.
func fateSheet(c *report.Check) sheet {
	return sheet{columns("entry", "id", "what became of it", "key or glob:path"), func(yield func([]string) bool) {
		for _, state := range report.RuleStates {
			for r := range c.Accepted.Each() {
				if why := c.Fate(r); why != "" && c.StateOf(r) == state && !yield([]string{r.Where(), r.ID, why, r.About()}) {
					return
				}
			}
		}
	}}
}

// yes returns "yes" or "".
func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// planSheet returns the steps and then, with an empty step, what needs a decision.
func planSheet(p *report.Plan) sheet {
	return sheet{columns("step", "kind", "finding", "repository", "tag", "digest:digest", "path:path", "bytes:bytes", "reason", "on_request"), func(yield func([]string) bool) {
		for i := range p.Plan.Steps {
			s := &p.Plan.Steps[i]
			bytes := s.Bytes
			if s.Op == plan.Write {
				bytes = int64(len(s.Body))
			}
			if !yield([]string{string(s.Op), string(s.Kind), report.KindName(s.Finding), s.Repository, s.Tag, s.Digest, s.Key, digits(bytes), s.Reason, ""}) {
				return
			}
		}
		for f := range p.Decisions() {
			if !yield([]string{"", "", f.Kind.String(), f.Repository, f.Tag, f.Digest, f.Path, digits(f.Bytes), f.Detail, "--also " + f.Kind.String()}) {
				return
			}
		}
	}}
}

// runSheet returns the steps that were not carried out.
func runSheet(r *report.Run) sheet {
	return sheet{columns("result", "step", "kind", "finding", "repository", "tag", "digest:digest", "path:path", "bytes:bytes", "reason"), document.Each(r.Outcome.NotDone, func(l *apply.NotDone) []string {
		result := "skipped"
		if l.Failed {
			result = "failed"
		}
		s := &l.Step
		return []string{result, string(s.Op), string(s.Kind), report.KindName(s.Finding), s.Repository, s.Tag, s.Digest, s.Key, digits(s.Bytes), l.Reason}
	})}
}

// repositoriesSheet returns the repositories.
func repositoriesSheet(l *report.RepositoryList) sheet {
	return sheet{columns("repository", "tags:count", "tags_broken:count", "manifests:count", "own_bytes:bytes", "shared_bytes:bytes", "total_bytes:bytes", "upload_bytes:bytes", "pushed:time"), document.Each(l.Rows, func(r *usage.RepositoryUsage) []string {
		return []string{
			r.Name, digits(r.Tags), digits(r.Broken), digits(r.Manifests), digits(r.Own), digits(r.Shared), digits(r.Total()),
			digits(r.Uploads), document.Time(r.Pushed),
		}
	})}
}

// tagsSheet returns the tags.
func tagsSheet(l *report.TagList) sheet {
	return sheet{columns("repository", "tag", "digest:digest", "kind", "artifact_type", "platforms", "size_bytes:bytes", "own_bytes:bytes", "pushed:time", "created:time",
		"signatures:count", "other_referrers:count", "broken_because"), document.Each(l.Rows, func(r *report.TagRow) []string {
		return []string{
			l.Repository.Name, r.Name, r.Digest, string(r.Form), r.ArtifactType, strings.Join(r.Platforms, " "), digits(r.Size), digits(r.Own),
			document.Time(r.Pushed), document.Time(r.Created), digits(r.Signatures), digits(r.Others), strings.Join(r.Because, "; "),
		}
	})}
}

// brokenTagsSheet returns the tags with their reasons; state is "broken" or "unknown".
func brokenTagsSheet(l *report.BrokenList) sheet {
	return sheet{columns("repository", "tag", "broken_because", "state"), func(yield func([]string) bool) {
		for i, b := range slices.Concat(l.Rows, l.Unknown) {
			state := "broken"
			if i >= len(l.Rows) {
				state = "unknown"
			}
			if !yield([]string{b.Repository, b.Tag, strings.Join(b.Because, "; "), state}) {
				return
			}
		}
	}}
}

// treeSheet returns the nodes of the tree, parents first.
func treeSheet(l *report.TagTree) sheet {
	return sheet{columns("repository", "tag", "depth:count", "digest:digest", "role", "kind", "size_bytes:bytes", "broken"), func(yield func([]string) bool) {
		if l.Tree.Digest != "" {
			below(l, &l.Tree, 0, yield)
		}
	}}
}

// below yields a node and its children, and reports whether to continue.
func below(l *report.TagTree, n *usage.Node, depth int, yield func([]string) bool) bool {
	if !yield([]string{l.Repository, l.Tag.Name, digits(depth), n.Digest, string(n.Role), l.Words[n.Digest], digits(n.Size), n.Broken}) {
		return false
	}
	for i := range n.Children {
		if !below(l, &n.Children[i], depth+1, yield) {
			return false
		}
	}
	return true
}

// whySheet returns the paths.
func whySheet(y *report.Why) sheet {
	return sheet{columns("repository", "tag", "held_by", "path", "steps:count"), document.Map(y.Paths, func(p usage.Path) []string {
		steps := words.All(p.Steps, func(s usage.Step) string { return report.StepWord(s) + " " + s.Digest })
		return []string{p.Repository, p.Tag, string(p.Hold), strings.Join(steps, " > "), digits(len(p.Steps))}
	})}
}

// shown formats a value for people.
func (k valueKind) shown(value string) string {
	switch k {
	case countValue:
		n, _ := strconv.ParseInt(value, 10, 64)
		return words.Number(n)
	case bytesValue:
		n, _ := strconv.ParseInt(value, 10, 64)
		return words.Size(n)
	case timeValue:
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return ""
		}
		return report.Day(at)
	case digestValue:
		return report.Short(words.Clean(value))
	}
	return words.Clean(value)
}

// comparisonSheet returns the findings that are new or gone.
func comparisonSheet(c *report.Comparison) sheet {
	return sheet{columns("change", "severity", "id", "repository", "tag", "path:path", "bytes:bytes", "detail"), func(yield func([]string) bool) {
		for change, all := range c.Changes {
			for _, f := range all {
				if !yield([]string{change, f.Severity, f.ID, f.Repository, f.Tag, f.Path, digits(f.Bytes), f.Detail}) {
					return
				}
			}
		}
	}}
}

package report

import (
	"regfsck/graph/finding"
)

// Explanation is all about one kind of finding, for people.
func Explanation(id finding.Kind) View {
	return func(yield func(Block) bool) {
		p, e := newPrinter(yield), id.Explanation()
		p.title(p.paint(severityTitles[id.Severity()].style, id.String()), "  ", id.Severity().String())
		p.line(0, e.Brief)
		for _, part := range [...]struct{ title, body string }{
			{"What it means", e.Means}, {"How it happens", e.Cause}, {"What to do", e.Advice},
		} {
			p.heading(bold, part.title)
			p.prose(1, part.body)
		}
	}
}

// Explanations is a line about every kind of finding, worst first, and
// then about what only a removal names.
func Explanations() View {
	return func(yield func(Block) bool) {
		p := newPrinter(yield)
		before := finding.Severity(255)
		for id := range finding.All {
			s := id.Severity()
			if s != before {
				if id != finding.None+1 {
					p.blank()
				}
				p.line(0, p.paint(severityTitles[s].style, s.String()), "  ", severityMeanings[s])
				p.bareTable(1, Column{Name: "finding", Width: 25}, Column{Name: "what"})
				before = s
			}
			p.row(id.String(), id.Explanation().Brief)
		}
		p.blank()
		p.line(0, p.paint(bold, "Next: "), "regfsck explain ID")
	}
}

// SeverityMeaning says in a clause what findings of a severity are.
func SeverityMeaning(s finding.Severity) string { return severityMeanings[s] }

var severityMeanings = [...]string{
	finding.Fatal:   "something is unknown, so nothing is removed",
	finding.Error:   "an image can't be pulled, or soon can't be",
	finding.Warning: "unusual but legal, or changing: look at it",
	finding.Garbage: "unused, safe to remove; not damage",
	finding.Asked:   "removed because you asked for it; no check reports it",
}

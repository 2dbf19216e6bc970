package report

import (
	"io"

	"regfsck/graph"
)

// Explanation is what there is to say about one kind of finding.
type Explanation struct {
	Brief string // a line without an end mark: what was found
	Means string // what it means for whoever pulls and pushes
	Comes string // how it comes about
	Do    string // what to do
}

// Explain returns the explanation of a kind of finding.
func Explain(id graph.ID) Explanation {
	switch id.Severity() {
	case graph.Fatal, graph.Error:
		return damage[id]
	case graph.Warning:
		return oddities[id]
	case graph.Asked:
		return removals[id]
	}
	return leftovers[id]
}

// WriteExplanation writes all about one kind of finding, for people.
func WriteExplanation(w io.Writer, id graph.ID, o TextOptions) error {
	p, e := newPrinter(w, o.Color, o.Width), Explain(id)
	p.line(0, p.paint(severityTitles[id.Severity()].style, id.String()), "  ", id.Severity().String())
	p.line(0, e.Brief)
	for _, part := range [...]struct{ title, body string }{
		{"What it means", e.Means}, {"How it comes about", e.Comes}, {"What to do", e.Do},
	} {
		p.blank()
		p.line(0, p.paint(bold, part.title))
		p.prose(1, part.body)
	}
	return p.flush()
}

// WriteExplanations writes a line about every kind of finding, worst first, and
// then about what only a removal names.
func WriteExplanations(w io.Writer, o TextOptions) error {
	p := newPrinter(w, o.Color, o.Width)
	before := graph.Severity(255)
	for id := range graph.NumReasons {
		s := id.Severity()
		if s != before {
			if id > 0 {
				p.blank()
			}
			p.line(0, p.paint(severityTitles[s].style, s.String()), "  ", severityMeanings[s])
			before = s
		}
		p.line(1, left(id.String(), 25), Explain(id).Brief)
	}
	p.blank()
	p.line(0, p.paint(bold, "Next: "), "regfsck explain ID")
	return p.flush()
}

var severityMeanings = [...]string{
	graph.Fatal:   "something is unknown, so nothing may be deleted",
	graph.Error:   "an image can't be pulled, or soon can't be",
	graph.Warning: "odd, legal or in motion: a person should look",
	graph.Garbage: "takes space and nothing needs it; not damage",
	graph.Asked:   "goes because somebody asked for it; no check finds it",
}

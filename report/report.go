// Package report turns results of commands into answers: views as text, JSON documents, and
// explanations of findings.
//
// It decides nothing about a store. Text and JSON are made from one value, such as Check, so
// that they can't differ. Findings are iterated over and never collected: a report of ten
// million lines needs no more memory than one.
//
// The text answers questions in an operator's order: was everything read, which tags can't be
// pulled, why, what else is wrong, what uses space, and what to do next. The verdict and the
// next command are last, where a terminal shows them.
package report

import (
	"slices"
	"strconv"
	"strings"

	"regfsck/backend/words"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// Document is an answer that every renderer accepts.
type Document interface {
	// View returns the answer as text.
	View(view.Options) view.View

	// Short returns the summary, mostly one line.
	Short(view.Options) view.View

	// Fields returns a struct with tags of encoding/json. Its type defines the document, and
	// the schema is generated from it. Lists may be sequences, which are computed while they
	// are written.
	Fields() any
}

// text writes a Check.
type text struct {
	*Check
	*view.Printer
	verb string // the command that shows the same again
}

// text returns the view that say writes.
func (c *Check) text(verb string, o view.Options, say func(*text)) view.View {
	return view.Of(o, func(p *view.Printer) {
		t := &text{c, p, verb}
		t.Rest = t.command("--json")
		say(t)
	})
}

// title writes the command and the store.
func (t *text) title(parts ...string) {
	if t.PhasesShown {
		t.Gap()
	}
	t.Printer.Title(parts...)
}

// meaningOf is Meaning for a command: the code of a removal doesn't cover the rest of the
// store.
func meaningOf(command string, e exitcode.Code) string {
	if e == 0 && (command == "rm" || command == "prune") {
		return "done (damage in the rest of the store does not change this code)"
	}
	return e.Meaning()
}

// exitLine writes the exit code and its meaning.
func exitLine(p *view.Printer, e exitcode.Code, meaning string) {
	p.Gap()
	equals := ": "
	if len(e.Names()) > 1 {
		equals = " = "
	}
	p.Line(0, "Exit code ", strconv.Itoa(int(e)), equals, meaning)
}

// command returns the command that shows the same again, with more flags.
func (t *text) command(flags ...string) string {
	return strings.Join(append([]string{commandOf(append([]string{t.verb}, t.Repeat...)...)}, flags...), " ")
}

// cropped shortens digests on a terminal, so that lines fit.
func (t *text) cropped(s string) string {
	if !t.Terminal || t.FullPaths {
		return s
	}
	return Short(s)
}

// at returns a command about the same store.
func (c *Check) at(verb string, more ...string) string {
	return commandOf(slices.Concat([]string{verb, c.Repeat[0]}, more, c.Reach)...)
}

// ofStore returns a command about a store: STORE, and the flags for its undo and purge.
func ofStore(store []string, verb string, more ...string) string {
	return commandOf(slices.Concat([]string{verb, store[0]}, more, store[1:])...)
}

// line returns a view of one line.
func line(o view.Options, text string) view.View {
	return view.Of(o, func(p *view.Printer) { p.Line(0, text) })
}

// grouped splits a list into groups with the same key, in order of occurrence.
func grouped[T any, K comparable](all []T, key func(*T) K) (groups [][]*T) {
	at := map[K]int{}
	for i := range all {
		k := key(&all[i])
		if _, known := at[k]; !known {
			at[k], groups = len(groups), append(groups, nil)
		}
		groups[at[k]] = append(groups[at[k]], &all[i])
	}
	return groups
}

// commandOf returns a command line to paste.
func commandOf(line ...string) string {
	return "regfsck " + strings.Join(words.All(line, words.Quote), " ")
}

// lower makes the first letter lower case.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

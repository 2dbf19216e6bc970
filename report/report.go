// Package report turns the results of commands into answers: views for people, documents
// for machines, and the explanation of every finding.
//
// It decides nothing about a store. One value, Check, holds all there is to
// say about a run, and both the text and the JSON are made from it alone, so
// that the two can't differ. Findings are iterated over, never
// collected: a report of ten million lines needs no more memory than one.
//
// The text answers questions in the order in which an operator asks them: was everything read, which tags can't be pulled, why, what else is
// wrong, what takes space, and what now. The verdict and the next command come
// last, where a terminal leaves the eye.
package report

import (
	"slices"
	"strconv"
	"strings"

	"regfsck/backend/words"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// Document is an answer of the program in a form that every renderer takes.
type Document interface {
	// View is the answer for people.
	View(view.Options) view.View

	// Short is what matters most of it, mostly in one line.
	Short(view.Options) view.View

	// Fields is the answer for machines: a struct whose tags are those of encoding/json.
	// Its type is the form of the document, and the schema is made of it; lists in it may be
	// sequences, which are made while they are written.
	Fields() any
}

// text is a Check on its way to a printer.
type text struct {
	*Check
	*view.Printer
	verb string // the command that shows the same again
}

// text returns the view that say makes.
func (c *Check) text(verb string, o view.Options, say func(*text)) view.View {
	return view.Of(o, func(p *view.Printer) {
		t := &text{c, p, verb}
		t.Rest = t.command("--json")
		say(t)
	})
}

// title adds what was asked, and of which store.
func (t *text) title(parts ...string) {
	if t.PhasesShown {
		t.Gap()
	}
	t.Printer.Title(parts...)
}

// meaningOf is Meaning for a command: the code of one that removes what was named says
// nothing about the rest of the store.
func meaningOf(command string, e exitcode.Code) string {
	if e == 0 && (command == "rm" || command == "prune") {
		return "done (damage in the rest of the store does not change this code)"
	}
	return e.Meaning()
}

// exitLine ends a text with the exit code and what it means.
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

// cropped cuts digests on a terminal, where a line should fit; elsewhere they are
// whole.
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

// commandOf returns a command line of the program that can be pasted.
func commandOf(words ...string) string {
	all := []string{"regfsck"}
	for _, w := range words {
		all = append(all, quote(w))
	}
	return strings.Join(all, " ")
}

// quote returns s as one word of a shell.
func quote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%="
	if words.Clean(s) != s {
		return "$'" + strings.ReplaceAll(words.Clean(s), "'", `\'`) + "'"
	}
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// lower makes a sentence a part of one.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

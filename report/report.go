// Package report renders what the others found: text for people, JSON for
// machines, progress for the impatient, and the explanation of every finding.
//
// It decides nothing about a store. One value, Check, holds all there is to
// say about a run, and both the text and the JSON are made from it alone, so
// that the two can't tell different stories. Findings are run through, never
// collected: a report of ten million lines needs no more memory than one.
//
// The text answers in the order in which somebody who was called at night
// asks: was everything read, which tags can't be pulled, why, what else is
// wrong, what takes space, and what now. The verdict and the next command come
// last, where a terminal leaves the eye.
package report

import (
	"slices"
	"strconv"
	"strings"
)

// TextOptions says for whom the text is.
type TextOptions struct {
	Color    bool
	Terminal bool // a person looks on: long lists are cut
	Width    int  // of the terminal, in columns; 0 when unknown

	PhasesShown bool // the phases of the run stand there already

	Limit     int  // entries a list on a terminal; 0 for 10
	Verbose   bool // of a plan every step is shown, by its key
	FullPaths bool // paths and digests are whole on a terminal, too
}

// text is a Check on its way to a printer.
type text struct {
	*Check
	*printer
	verb  string // the command that shows the same again
	limit int    // of a list; 0 for none
	terse bool   // paths and digests are cut
	lines bool   // each finding is one line
	after bool   // the phases stand above already
	cut   bool
	whole string // where all of it is to be found, where no command shows it; or ""
}

func newText(c *Check, yield func(Block) bool, o TextOptions) *text {
	t := &text{Check: c, printer: newPrinter(yield), verb: "check", terse: o.Terminal && !o.FullPaths, lines: !o.Terminal, after: o.PhasesShown}
	if o.Terminal {
		t.limit = o.Limit
		if t.limit <= 0 {
			t.limit = 10
		}
	}
	return t
}

// title adds what was asked, and of which store.
func (t *text) title(parts ...string) {
	if t.after {
		t.blank()
	}
	t.printer.title(parts...)
}

// shown reports whether the nth entry of a list, from 0, is to be written.
func (t *text) shown(n int) bool { return t.limit == 0 || n < t.limit }

// more says how many entries of a list of n were left out.
func (t *text) more(steps, n int) { t.moreOf(steps, n, "") }

// moreOf is more of a list of what, which begins with a space.
func (t *text) moreOf(steps, n int, what string) {
	if t.shown(n - 1) {
		return
	}
	t.cut = true
	where := t.whole
	if where == "" {
		where = t.command("--json")
	}
	t.line(steps, t.paint(dim, "… and "+Number(n-t.limit)+" more"+what+":  "+where))
}

// keys writes keys, a line each, and cuts them as any list.
func (t *text) keys(steps int, keys []string) {
	for i, k := range keys {
		if t.shown(i) {
			t.line(steps, Clean(k))
		}
	}
	t.more(steps, len(keys))
}

// meaningOf is Meaning for a command: one that removes what somebody names says
// nothing of the rest of the store.
func meaningOf(command string, e Exit) string {
	if e == 0 && (command == "rm" || command == "prune") {
		return "done (damage in the rest of the store does not change this code)"
	}
	return e.Meaning()
}

// exitLine ends a text with the exit code and what it tells.
func exitLine(p *printer, e Exit, meaning string) {
	p.blank()
	equals := ": "
	if len(e.bits()) > 1 {
		equals = " = "
	}
	p.line(0, "Exit code ", strconv.Itoa(int(e)), equals, meaning)
}

// command returns the command that shows the same again, with more flags.
func (t *text) command(flags ...string) string {
	return strings.Join(append([]string{commandOf(append([]string{t.verb}, t.Repeat...)...)}, flags...), " ")
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

// quote returns s as a shell takes it for one word.
func quote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%="
	if Clean(s) != s {
		return "$'" + strings.ReplaceAll(Clean(s), "'", `\'`) + "'"
	}
	if s != "" && strings.Trim(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// lower makes a sentence a part of one.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

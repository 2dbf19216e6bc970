package report

import (
	"strconv"
	"strings"

	"regfsck/graph/finding"
)

// verdict writes the line that matters most. CLEAN is said only of a store that
// was read to the end, and of whose tags all could be judged.
func (t *text) verdict() {
	word, st := "CLEAN", green
	certain := t.Result.Complete && t.Result.Totals.TagsUnknown == 0
	switch {
	case t.Result.Damaged() && !certain:
		word, st = "DAMAGED and INCOMPLETE", red
	case t.Result.Damaged():
		word, st = "DAMAGED", red
	case !certain:
		word, st = "INCOMPLETE", yellow
	}
	t.line(0, t.paint(st, word), ": ", t.summary())
}

// summary puts the whole result into one line.
func (t *text) summary() string {
	n := &t.Result.Totals
	var parts []string
	switch {
	case n.TagsBroken > 0:
		parts = append(parts, Number(n.TagsBroken)+" of "+Plural(n.Tags, "tag", "tags")+" can't be pulled")
	case n.TagsUnknown == 0 && n.Tags > 0:
		parts = append(parts, lower(t.all()))
	case n.Tags == 0 && !t.Result.Complete:
		parts = append(parts, lower(t.none()))
	case n.Tags == 0:
		parts = append(parts, "no tags")
	}
	if n.TagsUnknown > 0 {
		parts = append(parts, Plural(n.TagsUnknown, "tag", "tags")+" unknown")
	}
	of := t.bySeverity()
	if of[finding.Fatal].Count > 0 {
		parts = append(parts, Plural(of[finding.Fatal].Count, "thing", "things")+" could not be read")
	}
	if of[finding.Error].Count > 0 {
		parts = append(parts, Plural(of[finding.Error].Count, "error", "errors"))
	}
	if of[finding.Warning].Count > 0 {
		parts = append(parts, Plural(of[finding.Warning].Count, "warning", "warnings"))
	}
	if of[finding.Garbage].Count > 0 {
		parts = append(parts, Plural(of[finding.Garbage].Count, "piece", "pieces")+" of garbage ("+Size(of[finding.Garbage].Bytes)+")")
	}
	return strings.Join(parts, ", ")
}

// lower makes a sentence a part of one.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// bySeverity sums up the counts.
func (t *text) bySeverity() (of [finding.Garbage + 1]finding.Count) {
	for id := range finding.Kinds {
		of[id.Severity()] = add(of[id.Severity()], t.Result.Counts[id])
	}
	return of
}

// next names the commands that lead on.
func (t *text) next() {
	var steps [][2]string
	if id, ok := t.worst(); ok {
		steps = append(steps, [2]string{"regfsck explain " + id.String(), "what it means, what to do"})
	}
	if t.Result.Complete && t.curable() {
		steps = append(steps, [2]string{commandOf(append([]string{"fix"}, t.Fix...)...), "plans what can be repaired and removed; changes nothing"})
	}
	if !t.Result.Complete {
		steps = append(steps, [2]string{t.command(), "again, once everything can be read"})
	}
	if t.cut {
		steps = append(steps, [2]string{t.command("--report regfsck.json"), "all of the findings, in a file"})
	}
	if !t.BlobsHashed && t.Result.Complete && !t.Result.Damaged() {
		steps = append(steps, [2]string{t.command("--verify all"), "the bytes of every blob too"})
	}
	t.steps(steps)
}

// steps writes commands that lead on, each with what it is for.
func (t *text) steps(steps [][2]string) {
	if len(steps) == 0 {
		return
	}
	t.blank()
	wide := 0
	for _, s := range steps {
		wide = max(wide, len(s[0]))
	}
	for i, s := range steps {
		lead := "      "
		if i == 0 {
			lead = "Next: "
		}
		t.line(0, t.paint(bold, lead), left(s[0], wide), "  ", t.paint(dim, s[1]))
	}
}

// curable reports whether a fix could do anything.
func (t *text) curable() bool {
	for f := range t.Result.Findings {
		if f.Cure != finding.CureNone && !f.Young {
			return true
		}
	}
	return false
}

// worst returns the first id that is worth an explanation.
func (t *text) worst() (finding.Kind, bool) {
	for id := range finding.Kinds {
		if id.Severity() != finding.Garbage && t.Result.Counts[id].Count > 0 {
			return id, true
		}
	}
	return 0, false
}

// meaningOf is Meaning for a command: one that removes what somebody names says
// nothing of the rest of the store.
func meaningOf(command string, e Exit) string {
	if e == 0 && (command == "rm" || command == "prune") {
		return "done (what else is wrong with the store doesn't raise it)"
	}
	return e.Meaning()
}

func (t *text) exit() {
	meaning := meaningOf(t.verb, t.Exit)
	switch {
	case t.verb != "check":
	case t.Result.Damaged() && t.Exit&DamageLeft == 0:
		meaning = "damage doesn't raise it (--fail-on never)"
		if rest := t.Exit; rest != 0 {
			meaning = rest.Meaning() + "; " + meaning
		}
	case !t.Result.Damaged() && t.Exit&DamageLeft != 0:
		meaning += "; counted as damage: --fail-on " + t.FailOn.String()
	}
	exitLine(t.printer, t.Exit, meaning)
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

package report

import (
	"io"
	"strings"

	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/plan"
)

// Plan is all there is to say about a plan that isn't carried out yet.
type Plan struct {
	Check                 // the scan that it was made from
	Command  string       // "fix", "rm" or "prune", or "apply" for a plan from a file
	File     string       // of apply: the file
	Policy   graph.Policy // under which it was made
	Plan     *plan.Plan
	Facts    apply.Facts     // what is known besides the scan
	Refusals []apply.Refusal // why carrying it out would be refused now

	Retention []Retained // of prune, by repository: what stays and what goes; nil for others

	Unfinished     string // the run that was broken off and that the next one finishes, or ""
	UnfinishedPlan string // of a removal, which no other run goes on with: its plan's file; else ""

	Applying bool // it is about to be carried out: nothing is said about that

	Versions *Versions // of a bucket that is to be changed; nil for others

	State  string   // the folder that keeps what goes, for an undo; "" where there is to be none
	NoUndo string   // why that folder could not keep it, which is among Refusals; "" if it can
	Apply  []string // the arguments of the command that carries it out
}

// WriteText writes the plan as a diff for people: by repository what goes, what
// is rebuilt and what needs a decision, blobs last; what that comes to, what
// would refuse it, how it is undone, and the command that carries it out. The
// same store gives the same text, but for the times of the phases.
func (p *Plan) WriteText(w io.Writer, o TextOptions) error {
	t := p.text(w, o)
	t.line(0, t.paint(bold, "regfsck "+p.Command), "  ", Clean(p.Target))
	t.phases()
	t.store()
	t.retention()
	t.diff()
	t.sums()
	t.shares()
	t.bereft()
	t.hidden()
	t.notes()
	t.undo()
	if p.Applying {
		t.blank()
		t.planned()
		return t.flush()
	}
	t.unfinished()
	t.refusals()
	t.last()
	t.exit()
	return t.flush()
}

// WriteVerdict writes what the plan comes to in one line.
func (p *Plan) WriteVerdict(w io.Writer, o TextOptions) error {
	t := p.text(w, o)
	t.planned()
	return t.flush()
}

// planText is a Plan on its way to a printer.
type planText struct {
	*text
	p   *Plan
	all []change
}

func (p *Plan) text(w io.Writer, o TextOptions) *planText {
	t := &planText{newText(&p.Check, w, o), p, p.changes()}
	t.verb = p.Command
	if p.File != "" { // apply would change the store
		t.whole = "they stand in " + Clean(p.File)
	}
	return t
}

// maxBereft is how many signatures without their image are named.
const maxBereft = 20

// bereft names the signatures that stay in other repositories and lose their image.
func (t *planText) bereft() {
	all := t.Result.Bereft
	if len(all) == 0 {
		return
	}
	t.blank()
	t.prose(1, Plural(len(all), "signature in another repository stays and loses its", "signatures in other repositories stay and lose their")+" image:")
	for _, b := range all[:min(len(all), maxBereft)] {
		t.line(2, Clean(b.Ref()))
	}
	if n := len(all) - maxBereft; n > 0 {
		t.line(2, "… and "+Number(n)+" more (--json names them)")
	}
}

// undo says how what is about to happen can be taken back. Where it should be
// and could not, a refusal says why.
func (t *planText) undo() {
	if len(t.p.Plan.Steps) == 0 || t.p.NoUndo != "" {
		return
	}
	t.blank()
	if t.p.State != "" && !t.p.Plan.TakesAway() {
		if what := t.undoable(); what != "" {
			t.prose(0, what+" could be undone: nothing goes, and what is written is removed again. The journal that tells of it stands in")
			t.line(1, Clean(t.p.State))
		}
		return
	}
	if t.p.Versions != nil {
		t.versions()
		return
	}
	if t.p.State == "" {
		t.prose(0, "Nothing of this could be undone (--undo none): what goes is gone, and its space is free at once.")
		return
	}
	if what := t.undoable(); what != "" {
		t.prose(0, what+" could be undone: what goes is kept, byte for byte, and takes up its space until regfsck purge gives it up. It is moved into")
		t.line(1, Clean(t.p.State))
	}
}

// undoable says what no undo brings back, and returns what could be undone, as
// the beginning of a sentence; "" if there is nothing.
func (t *planText) undoable() string {
	switch aborts := t.p.Plan.Totals().Aborts; aborts {
	case 0:
		return "All of it"
	case len(t.p.Plan.Steps):
		t.prose(0, "Nothing of this could be undone: a multipart upload that was aborted is gone for good, and its space is free at once.")
		return ""
	default:
		t.prose(0, Plural(aborts, "multipart upload", "multipart uploads")+" would be gone for good: to abort one can't be undone.")
		return "All the rest"
	}
}

// unfinished says that an earlier run was broken off.
func (t *planText) unfinished() {
	if t.p.Unfinished != "" {
		t.blank()
		how := "The next run finishes what it had begun; regfsck undo takes it back."
		if t.p.UnfinishedPlan != "" {
			how = "No other run goes on with what it was to remove. This does, if it is carried out before any other change, and regfsck undo takes it back:"
		}
		t.prose(0, "Run "+Clean(t.p.Unfinished)+" was broken off. "+how)
		if t.p.UnfinishedPlan != "" {
			t.line(1, commandOf("apply", t.p.UnfinishedPlan))
		}
	}
}

// refusals says what would stop the plan from being carried out.
func (t *planText) refusals() {
	for _, r := range t.p.Refusals {
		t.blank()
		t.prose(0, "--apply would be refused: "+Clean(r.Why)+". "+Clean(r.How))
		t.keys(1, r.Keys)
	}
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

// planned puts the plan into a line.
func (t *planText) planned() {
	steps := len(t.p.Plan.Steps)
	if steps == 0 {
		t.line(0, t.paint(green, "NOTHING TO DO"), t.decided())
		return
	}
	t.line(0, t.paint(cyan, "PLAN "+t.p.Plan.ID()), ": ", Plural(steps, "step", "steps"), ", ", Size(t.p.Plan.Bytes()), " go", t.decided())
}

// decided counts what waits for a decision.
func (t *planText) decided() string {
	n := 0
	for range t.p.decisions() {
		n++
	}
	if n == 0 {
		return ""
	}
	return "; " + Plural(n, "thing needs", "things need") + " a decision"
}

// last writes the plan's line and the commands that lead on.
func (t *planText) last() {
	t.blank()
	t.planned()
	var steps [][2]string
	switch {
	case len(t.p.Plan.Steps) == 0:
	case len(t.p.Refusals) > 0:
		steps = append(steps, [2]string{commandOf(t.p.Apply...), "carries this out, once nothing refuses it"})
	default:
		steps = append(steps, [2]string{commandOf(t.p.Apply...), "carries out exactly this"})
	}
	if t.cut && t.whole == "" {
		steps = append(steps, [2]string{t.command("--report report.json"), "all of it, in a file"})
	}
	if id, ok := t.worst(); ok {
		steps = append(steps, [2]string{"regfsck explain " + id.String(), "what it means, what to do"})
	}
	t.steps(steps)
}

// commandOf returns a command line of the program that can be pasted.
func commandOf(words ...string) string {
	all := []string{"regfsck"}
	for _, w := range words {
		all = append(all, quote(w))
	}
	return strings.Join(all, " ")
}

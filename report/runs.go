package report

import (
	"iter"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// Runs is the list of the runs that a state directory knows.
type Runs struct {
	Version string
	Target  string
	State   string
	Runs    []journal.Summary // newest first

	Store  []string           // STORE and the flags by which it is found again
	Others []backend.StateDir // the other state directories that are known to have been used with it
}

// The names of the forms of the documents of Runs and Purge.
const (
	RunsSchema    = "regfsck.runs/1"
	PastRunSchema = "regfsck.run/1"
	PurgeSchema   = "regfsck.purge/1"
)

// View is a line a run.
func (r *Runs) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		p := newPrinter(yield)
		if len(r.Runs) == 0 {
			p.line(0, "There are no runs in ", Clean(r.State))
			r.others(p)
			return
		}
		p.table(0, Column{Name: "run", Width: 24}, Column{Name: "when", Width: 22, Drop: 1}, Column{Name: "command", Width: 9},
			Column{Name: "steps", Width: 10, Right: true, Drop: 3}, Column{Name: "size", Width: 12, Right: true, Drop: 2}, Column{Name: "state", Gap: 2})
		for i := range r.Runs {
			run := &r.Runs[i]
			state := string(run.Status)
			if run.CanUndo() {
				state += ", can be undone"
			}
			if run.Unconfirmed > 0 {
				state += "; " + Plural(run.Unconfirmed, "more step", "more steps") + " may have been done"
			}
			if run.Damage != "" {
				state += "; damaged: " + Clean(run.Damage)
			}
			p.row(Clean(run.ID), stamp(run.Began), Clean(run.Command), Number(run.Done), Size(run.Bytes), state)
		}
		r.others(p)
	}
}

// others names the state directories with other runs of the store.
func (r *Runs) others(p *printer) {
	if len(r.Others) == 0 {
		return
	}
	p.blank()
	p.line(0, "This store was changed with other state directories too; their runs are not listed here:")
	for _, d := range r.Others {
		if d.Reachable() {
			p.line(1, commandOf(slices.Concat([]string{"undo", r.Store[0], "--list", "--state", d.Path}, r.Store[1:])...))
		} else {
			p.line(1, Clean(d.String()))
		}
	}
}

// Short is View: a list is all there is.
func (r *Runs) Short(o TextOptions) View { return r.View(o) }

// pastFields are a run of the past.
type pastFields struct {
	ID          string `json:"id"`
	Plan        string `json:"plan"`
	Command     string `json:"command"`
	Target      string `json:"target"`
	Began       string `json:"began"`
	Status      string `json:"status"`
	Changed     int    `json:"keys"`
	Done        int    `json:"steps_done"`
	Unconfirmed int    `json:"steps_unknown"`
	Bytes       int64  `json:"bytes"`
	CanUndo     bool   `json:"can_undo"`
	Damage      string `json:"damage"`
}

// runsFields are the document of a list of runs.
type runsFields struct {
	headFields
	State  string                     `json:"state"`
	Runs   iter.Seq[pastFields]       `json:"runs"`
	Others iter.Seq[backend.StateDir] `json:"other_states"`
	Exit   exitFields                 `json:"exit"`
}

// Fields is the list for machines.
func (r *Runs) Fields() any {
	return runsFields{headFields{RunsSchema, toolOf(r.Version), r.Target}, r.State, each(r.Runs, pastOf), slices.Values(r.Others), exitOf(0)}
}

func pastOf(r *journal.Summary) pastFields {
	return pastFields{r.ID, r.Plan, r.Command, r.Target, stamp(r.Began), string(r.Status), r.Changed, r.Done, r.Unconfirmed, r.Bytes, r.CanUndo(), r.Damage}
}

// PastRun is a run of the past, as its journal knows it.
type PastRun struct {
	Version string
	Summary journal.Summary
	State   string
	Ended   time.Time      // zero where it has not come to an end
	Outcome *apply.Outcome // Kept is what the store keeps now, if Weighed, else what the run moved away
	Done    *plan.Plan     // the steps that it carried out
	Whole   bool           // its plan is known, so that nothing of it is missing
	Weighed bool
	Before  string   // the later run that has to be undone before this one; "" for none
	Store   []string // STORE and the flags by which undo and purge find the run; nil where no STORE is known
	KeptAs  string   // what people call what the store itself keeps; "" where it stands in State
}

// plan is what was done as a plan of a store of which nothing is known.
func (r *PastRun) plan() *Plan { return planOfSteps(r.Summary.Command, r.Summary.Target, r.Done) }

// View is when the run was, what it repaired and removed by names, what it could not do,
// what it weighs and whether it can be undone.
func (r *PastRun) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		p := r.plan()
		t := p.text(yield, o)
		t.whole = "--json has all of them"
		run := &runText{&Run{Command: r.Summary.Command, Store: r.Store, State: r.State, Outcome: r.Outcome}, t.printer, t.limit}
		t.title(t.paint(bold, "regfsck "+Clean(r.Summary.Command)), "  ", Clean(r.Summary.Target))
		t.blank()
		t.bareTable(1, Column{Width: 8}, Column{})
		for _, row := range [][2]string{
			{"run", r.Summary.ID}, {"plan", r.Summary.Plan}, {"began", stamp(r.Summary.Began)}, {"ended", stamp(r.Ended)}, {"journal", journal.Dir(r.State, r.Summary.ID)},
		} {
			if row[1] != "" {
				t.row(t.paint(dim, row[0]), Clean(row[1]))
			}
		}
		if o.Verbose {
			t.diff()
		} else {
			t.byName()
		}
		run.counts()
		run.left()
		if d := r.Summary.Damage; d != "" {
			t.blank()
			t.prose(0, "The journal of this run is damaged: "+Clean(d)+". This may lack some of what it did.")
		}
		t.blank()
		r.verdict(t.printer)
		r.undo(t.printer)
	}
}

// Short is what became of it, in one line.
func (r *PastRun) Short(o TextOptions) View {
	return func(yield func(Block) bool) { r.verdict(newPrinter(yield)) }
}

// verdict says how far the run has come, and what it did.
func (r *PastRun) verdict(t *printer) {
	word, st := "DONE", green
	n := r.Outcome.Steps
	switch status := r.Summary.Status; {
	case status == journal.Undone:
		word = "UNDONE"
	case status == journal.Undoing:
		word, st = "UNDONE IN PART", yellow
	case status == journal.Unfinished:
		word, st = "UNFINISHED", yellow
	case status == journal.Interrupted:
		word, st = "STOPPED before the end", yellow
	case n.Skipped+n.Failed > 0 || r.Summary.Damage != "":
		word, st = "DONE IN PART", yellow
	}
	line := Plural(n.Done, "step", "steps") + " done"
	if n.Skipped > 0 {
		line += ", " + Number(n.Skipped) + " skipped"
	}
	if n.Failed > 0 {
		line += ", " + Number(n.Failed) + " failed"
	}
	line += ", " + Size(n.Bytes) + " removed"
	if status := r.Summary.Status; status == journal.Purged || status == journal.PartlyPurged {
		line += "; " + string(status)
	}
	t.verdict(t.paint(st, word), ": ", line)
}

// undo says what the run weighs, and whether it can be undone.
func (r *PastRun) undo(t *printer) {
	t.blank()
	can := r.Summary.CanUndo()
	switch {
	case r.Weighed && r.Outcome.Kept > 0:
		where := " in the directory of its journal."
		if r.KeptAs != "" {
			where = " as " + r.KeptAs + "."
		}
		t.prose(0, "It keeps "+Size(r.Outcome.Kept)+" for undo"+where)
	case r.Weighed:
		t.prose(0, "It keeps nothing that uses space.")
	case can && r.Outcome.Kept > 0:
		t.prose(0, "It moved "+Size(r.Outcome.Kept)+" away for undo. What that uses now is shown if the store is named: regfsck show STORE "+Clean(r.Summary.ID))
	}
	var steps [][2]string
	switch status := r.Summary.Status; {
	case status == journal.Undone:
		t.prose(0, "It was undone.")
	case !can && status == journal.Purged:
		t.prose(0, "It can't be undone: it was purged.")
	case !can:
		t.prose(0, "It can't be undone (--undo none).")
	case r.Before != "":
		t.prose(0, "It can be undone after run "+Clean(r.Before)+", which came later.")
	case r.Store == nil:
		t.prose(0, "It can be undone.")
	default:
		t.prose(0, "It can be undone.")
		words := append([]string{"undo", r.Store[0], r.Summary.ID}, r.Store[1:]...)
		steps = append(steps, [2]string{commandOf(words...), "restores what it removed"})
		words = slices.Clone(words)
		words[0] = "purge"
		if status != journal.Undoing && status != journal.Unfinished {
			steps = append(steps, [2]string{commandOf(words...), "frees the space and ends the undo"})
		}
	}
	if n := r.Outcome.Counts[finding.MultipartStale].Done; can && n > 0 {
		t.prose(0, "Undo can't restore what was aborted: "+Plural(n, "multipart upload", "multipart uploads")+".")
	}
	t.steps(steps)
}

// sheet is the steps that were done, one a row.
func (r *PastRun) sheet() sheet { return r.plan().sheet() }

// pastRunFields are the document of a run of the past.
type pastRunFields struct {
	headFields
	State    string                         `json:"state"`
	Run      pastFields                     `json:"run"`
	Ended    string                         `json:"ended"`
	Kept     *int64                         `json:"kept_bytes,omitempty"` // that the store keeps for an undo now, where it was asked
	Before   string                         `json:"undo_first,omitempty"` // a later run that has to be undone before
	Whole    bool                           `json:"plan_known"`           // else steps that were never begun aren't among those left
	Totals   apply.Tally                    `json:"totals"`
	Counts   iter.Seq2[string, apply.Tally] `json:"counts"`
	Repairs  []named                        `json:"repairs"`
	Removals []named                        `json:"removals"`
	Steps    iter.Seq[*plan.Step]           `json:"steps"` // that were carried out
	NotDone  iter.Seq[notDoneFields]        `json:"left"`
	Exit     exitFields                     `json:"exit"`
}

// Fields is the run for machines.
func (r *PastRun) Fields() any {
	p := r.plan()
	d := pastRunFields{
		headFields{PastRunSchema, toolOf(r.Version), r.Summary.Target}, r.State, pastOf(&r.Summary), stamp(r.Ended), nil, r.Before, r.Whole, r.Outcome.Steps, (&Run{Outcome: r.Outcome}).byName,
		listed(p.repairs()), listed(p.removals()), each(r.Done.Steps, func(s *plan.Step) *plan.Step { return s }), each(r.Outcome.NotDone, notDoneOf), exitOf(0),
	}
	if r.Weighed {
		d.Kept = &r.Outcome.Kept
	}
	return d
}

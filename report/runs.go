package report

import (
	"iter"
	"slices"

	"regfsck/backend"
	"regfsck/graph/journal"
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
	RunsSchema  = "regfsck.runs/1"
	PurgeSchema = "regfsck.purge/1"
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
		if d.Here {
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

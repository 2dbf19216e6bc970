package report

import (
	"io"
	"slices"

	"regfsck/backend"
	"regfsck/graph/journal"
)

// Runs is the list of the runs that a state folder knows.
type Runs struct {
	Version string
	Target  string
	State   string
	Runs    []journal.Summary // newest first

	Store  []string           // STORE and the flags by which it is found again
	Others []backend.StateDir // the other state directories that are known to have been used with it
}

// The names of the forms in which Runs and Purge write JSON.
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
		p.table(0, Column{Name: "run", Width: 24}, Column{Name: "when", Width: 22}, Column{Name: "command", Width: 9},
			Column{Name: "steps", Width: 10, Right: true}, Column{Name: "size", Width: 12, Right: true}, Column{Name: "state", Gap: 2})
		for i := range r.Runs {
			run := &r.Runs[i]
			state := string(run.Status)
			if run.CanUndo() {
				state += ", can be undone"
			}
			if run.Unconfirmed > 0 {
				state += "; of " + Plural(run.Unconfirmed, "more step", "more steps") + " nobody has noted whether they were done"
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
	p.line(0, "This store has been changed with other state directories too, whose runs aren't among these:")
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

type jsonRun struct {
	ID      string `json:"id"`
	Plan    string `json:"plan"`
	Command string `json:"command"`
	Target  string `json:"target"`
	Began   string `json:"began"`
	Status  string `json:"status"`
	Keys    int    `json:"keys"`
	Steps   int    `json:"steps_done"`
	Unsure  int    `json:"steps_unknown"`
	Bytes   int64  `json:"bytes"`
	CanUndo bool   `json:"can_undo"`
	Damage  string `json:"damage"`
}

// WriteJSON writes the list as one JSON document, under the rules of
// Check.WriteJSON.
func (r *Runs) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	d.field("schema", RunsSchema)
	d.field("tool", jsonTool{r.Version})
	d.field("target", r.Target)
	d.field("state", r.State)
	d.open("runs")
	for i := range r.Runs {
		run := &r.Runs[i]
		d.element(jsonRun{run.ID, run.Plan, run.Command, run.Target, stamp(run.Began), string(run.Status), run.Changed, run.Done, run.Unconfirmed, run.Bytes, run.CanUndo(), run.Damage})
	}
	d.shut()
	d.open("other_states")
	for _, o := range r.Others {
		d.element(jsonStateDir{o.Host, o.Path, o.Here})
	}
	d.shut()
	d.exit(0)
	return d.close()
}

type jsonStateDir struct {
	Host string `json:"host"`
	Path string `json:"path"`
	Here bool   `json:"on_this_machine"`
}

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

// WriteText writes a line a run.
func (r *Runs) WriteText(w io.Writer, o TextOptions) error {
	p := newPrinter(w, o.Color, o.Width)
	if len(r.Runs) == 0 {
		p.line(0, "There are no runs in ", Clean(r.State))
		r.others(p)
		return p.flush()
	}
	p.line(0, p.paint(dim, left("run", 24)+left("when", 22)+left("command", 9)+right("steps", 10)+right("size", 12)+"  state"))
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
		p.line(0, left(Clean(run.ID), 24), left(stamp(run.Began), 22), left(Clean(run.Command), 9),
			right(Number(run.Done), 10), right(Size(run.Bytes), 12), "  ", state)
	}
	r.others(p)
	return p.flush()
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

// WriteVerdict is WriteText: a list is all there is.
func (r *Runs) WriteVerdict(w io.Writer, o TextOptions) error { return r.WriteText(w, o) }

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

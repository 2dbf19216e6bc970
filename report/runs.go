package report

import (
	"errors"
	"io"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/graph/apply"
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

// Purge is all there is to say about runs whose undo was given up.
type Purge struct {
	Version  string
	Target   string
	State    string
	Started  time.Time
	Finished time.Time
	Runs     []Purged
	Damaged  []journal.Summary // runs that were left, since their journals are damaged
	Bucket   bool              // the store is in a bucket: its requests are told
	Cost     backend.Cost
	Exit     Exit
}

// Purged is one of them.
type Purged struct {
	ID    string
	Steps int   // that it had done
	Bytes int64 // of contents, that these took away
	Freed int64 // in whole blocks, where the store is on a disk
	Err   error // nil if all that it kept is gone
}

// ExitOfPurge returns the code of a purge.
func ExitOfPurge(runs []Purged) (e Exit) {
	for _, r := range runs {
		var no *apply.Refused
		switch {
		case r.Err == nil:
		case errors.Is(r.Err, backend.ErrLocked), errors.As(r.Err, &no):
			e |= Refused
		default:
			e |= Incomplete
		}
	}
	return e
}

// WriteText writes a line a run, and the sum.
func (p *Purge) WriteText(w io.Writer, o TextOptions) error {
	t := newPrinter(w, o.Color, o.Width)
	for _, r := range p.Runs {
		if r.Err != nil {
			t.line(0, Clean(r.ID), "  ", t.paint(red, "not purged: "), Clean(r.Err.Error()))
			p.refused(t, r.Err)
			continue
		}
		t.line(0, Clean(r.ID), "  ", Plural(r.Steps, "step", "steps"), " done, ", Size(r.Bytes), " went; ", Size(r.Freed), " free now")
	}
	for _, r := range p.Damaged {
		t.line(0, Clean(r.ID), "  ", t.paint(yellow, "left: "), "it is damaged: ", Clean(r.Damage), "; --damaged with its name gives it up")
	}
	freed := p.sum(t)
	if p.Bucket {
		t.line(0, t.paint(dim, requests(&p.Cost)))
	} else if freed > 0 {
		t.line(0, t.paint(dim, "What is free is what the disk gives back, in whole blocks; all other sizes are of contents."))
	}
	return t.flush()
}

// refused writes what a refusal names, and how to go on.
func (p *Purge) refused(t *printer, err error) {
	no, ok := errors.AsType[*apply.Refused](err)
	if !ok {
		return
	}
	for _, r := range no.Reasons {
		for _, key := range r.Keys {
			t.line(3, Clean(key))
		}
		t.prose(1, Clean(r.How))
	}
}

// WriteVerdict writes the sum.
func (p *Purge) WriteVerdict(w io.Writer, o TextOptions) error {
	t := newPrinter(w, o.Color, o.Width)
	p.sum(t)
	return t.flush()
}

func (p *Purge) sum(t *printer) (freed int64) {
	done := 0
	for _, r := range p.Runs {
		freed += r.Freed
		if r.Err == nil {
			done++
		}
	}
	switch {
	case len(p.Runs) == 0:
		t.line(0, t.paint(green, "NOTHING TO DO"), ": no run keeps anything that is to be given up")
	case done < len(p.Runs):
		t.line(0, t.paint(yellow, "DONE IN PART"), ": ", Plural(done, "run", "runs"), " purged, ", Number(len(p.Runs)-done), " not; ", Size(freed), " free now")
	default:
		t.line(0, t.paint(green, "DONE"), ": ", Plural(done, "run", "runs"), " purged, ", Size(freed), " free now")
	}
	return freed
}

// WriteJSON writes the outcome as one JSON document, under the rules of
// Check.WriteJSON.
func (p *Purge) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	head := Check{Version: p.Version, Target: p.Target, Started: p.Started, Finished: p.Finished}
	head.head(d, PurgeSchema)
	d.field("state", p.State)
	if p.Bucket {
		d.field("cost", jsonAsked{requestsOf(&p.Cost)})
	}
	d.open("runs")
	for _, r := range p.Runs {
		why := ""
		if r.Err != nil {
			why = r.Err.Error()
		}
		d.element(jsonPurged{r.ID, r.Steps, r.Bytes, r.Freed, why})
	}
	d.shut()
	d.exit(p.Exit)
	return d.close()
}

type jsonPurged struct {
	ID    string `json:"id"`
	Steps int    `json:"steps_done"`
	Bytes int64  `json:"bytes"`
	Freed int64  `json:"freed_bytes"`
	Error string `json:"error"`
}

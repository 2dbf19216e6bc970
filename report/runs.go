package report

import (
	"errors"
	"iter"
	"slices"
	"time"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/backend/words"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/report/changes"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// Runs is the list of the runs of a state directory.
type Runs struct {
	Version string
	Target  string
	State   string
	Runs    []journal.Summary // newest first

	Store  []string           // STORE and the flags to open it
	Others []backend.StateDir // other state directories of the store
}

// Names and versions of documents.
const (
	RunsSchema    = "regfsck.runs/1"
	PastRunSchema = "regfsck.run/1"
	PurgeSchema   = "regfsck.purge/1"
)

// View returns a line a run.
func (r *Runs) View(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		if len(r.Runs) == 0 {
			p.Line(0, "There are no runs in ", words.Clean(r.State))
			r.others(p)
			return
		}
		p.Table(0, view.Column{Name: "run", Width: 24}, view.Column{Name: "when", Width: 22, Drop: 1}, view.Column{Name: "command", Width: 9},
			view.Column{Name: "steps", Width: 10, Right: true, Drop: 3}, view.Column{Name: "size", Width: 12, Right: true, Drop: 2}, view.Column{Name: "state", Gap: 2})
		for i := range r.Runs {
			run := &r.Runs[i]
			state := string(run.Status)
			if run.CanUndo() {
				state += ", can be undone"
			}
			if run.Unconfirmed > 0 {
				state += "; " + words.Plural(run.Unconfirmed, "more step", "more steps") + " may have been done"
			}
			if run.Damage != "" {
				state += "; damaged: " + words.Clean(run.Damage)
			}
			p.Row(words.Clean(run.ID), document.Time(run.Began), words.Clean(run.Command), words.Number(run.Done), words.Size(run.Bytes), state)
		}
		r.others(p)
	})
}

// others lists the state directories with other runs of the store.
func (r *Runs) others(p *view.Printer) {
	if len(r.Others) == 0 {
		return
	}
	p.Lead(0, "This store was changed with other state directories too; their runs are not listed here:")
	for _, d := range r.Others {
		if d.Reachable() {
			p.Line(1, ofStore(r.Store, "undo", "--list", "--state", d.Path))
		} else {
			p.Line(1, words.Clean(d.String()))
		}
	}
}

// Short returns View.
func (r *Runs) Short(o view.Options) view.View { return r.View(o) }

// pastFields is an earlier run.
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

// runsFields is the document of a list of runs.
type runsFields struct {
	headFields
	State  string                     `json:"state"`
	Runs   iter.Seq[pastFields]       `json:"runs"`
	Others iter.Seq[backend.StateDir] `json:"other_states"`
	Exit   exitFields                 `json:"exit"`
}

// Fields returns the document.
func (r *Runs) Fields() any {
	return runsFields{headFields{RunsSchema, toolOf(r.Version), r.Target}, r.State, document.Each(r.Runs, pastOf), slices.Values(r.Others), exitOf(0)}
}

func pastOf(r *journal.Summary) pastFields {
	return pastFields{r.ID, r.Plan, r.Command, r.Target, document.Time(r.Began), string(r.Status), r.Changed, r.Done, r.Unconfirmed, r.Bytes, r.CanUndo(), r.Damage}
}

// PastRun is an earlier run, by its journal.
type PastRun struct {
	Version string
	Summary journal.Summary
	State   string
	Ended   time.Time      // zero if it has not ended
	Outcome *apply.Outcome // Kept is from the store if Weighed, else from the journal
	Done    *plan.Plan     // the steps that were carried out
	Whole   bool           // its plan is known
	Weighed bool
	Before  string   // a later run to undo first; "" for none
	Store   []string // STORE and the flags for its undo and purge; nil without STORE
	KeptAs  string   // what the store itself keeps; "" if State keeps it
}

// AsPlan returns the done steps as a plan without a scan.
func (r *PastRun) AsPlan() *Plan { return planOfSteps(r.Summary.Command, r.Summary.Target, r.Done) }

// View returns when the run was, what it changed by name, what failed, how much it keeps, and
// whether it can be undone.
func (r *PastRun) View(o view.Options) view.View {
	p := r.AsPlan()
	return p.text(o, func(t *planText) {
		t.Rest = "--json has all of them"
		run := &runText{&Run{Command: r.Summary.Command, Store: r.Store, State: r.State, Outcome: r.Outcome}, t.Printer}
		t.title(t.Paint(view.Bold, "regfsck "+words.Clean(r.Summary.Command)), "  ", words.Clean(r.Summary.Target))
		t.Gap()
		t.Facts(8, [][2]string{
			{"run", words.Clean(r.Summary.ID)}, {"plan", words.Clean(r.Summary.Plan)}, {"began", document.Time(r.Summary.Began)}, {"ended", document.Time(r.Ended)},
			{"journal", words.Clean(journal.Dir(r.State, r.Summary.ID))},
		})
		t.changes()
		run.counts()
		run.notDone()
		if d := r.Summary.Damage; d != "" {
			t.Para(0, "The journal of this run is damaged: "+words.Clean(d)+". This may lack some of what it did.")
		}
		t.Gap()
		r.verdict(t.Printer)
		r.undo(t.Printer)
	})
}

// Short returns its outcome in one line.
func (r *PastRun) Short(o view.Options) view.View { return view.Of(o, r.verdict) }

// verdict writes the status of the run.
func (r *PastRun) verdict(t *view.Printer) {
	word, st := "DONE", view.Green
	n := r.Outcome.Steps
	switch status := r.Summary.Status; {
	case status == journal.Undone:
		word = "UNDONE"
	case status == journal.Undoing:
		word, st = "UNDONE IN PART", view.Yellow
	case status == journal.Unfinished:
		word, st = "UNFINISHED", view.Yellow
	case status == journal.Interrupted:
		word, st = "STOPPED before the end", view.Yellow
	case n.Skipped+n.Failed > 0 || r.Summary.Damage != "":
		word, st = "DONE IN PART", view.Yellow
	}
	line := words.Plural(n.Done, "step", "steps") + " done" + leftOf(n) + ", " + words.Size(n.Bytes) + " removed"
	if status := r.Summary.Status; status == journal.Purged || status == journal.PartlyPurged {
		line += "; " + string(status)
	}
	t.Verdict(t.Paint(st, word), ": ", line)
}

// undo writes how much the run keeps, and whether it can be undone.
func (r *PastRun) undo(t *view.Printer) {
	t.Gap()
	can := r.Summary.CanUndo()
	switch {
	case r.Weighed && r.Outcome.Kept > 0:
		where := " in the directory of its journal."
		if r.KeptAs != "" {
			where = " as " + r.KeptAs + "."
		}
		t.Prose(0, "It keeps "+words.Size(r.Outcome.Kept)+" for undo"+where)
	case r.Weighed:
		t.Prose(0, "It keeps nothing that uses space.")
	case can && r.Outcome.Kept > 0:
		t.Prose(0, "It moved "+words.Size(r.Outcome.Kept)+" away for undo. What that uses now is shown if the store is named: regfsck show STORE "+words.Clean(r.Summary.ID))
	}
	var steps [][2]string
	switch status := r.Summary.Status; {
	case status == journal.Undone:
		t.Prose(0, "It was undone.")
	case !can && status == journal.Purged:
		t.Prose(0, "It can't be undone: it was purged.")
	case !can:
		t.Prose(0, "It can't be undone (--undo none).")
	case r.Before != "":
		t.Prose(0, "It can be undone after run "+words.Clean(r.Before)+", which is newer.")
	case r.Store == nil:
		t.Prose(0, "It can be undone.")
	default:
		t.Prose(0, "It can be undone.")
		steps = append(steps, [2]string{ofStore(r.Store, "undo", r.Summary.ID), "restores what it removed"})
		if status != journal.Undoing && status != journal.Unfinished {
			steps = append(steps, [2]string{ofStore(r.Store, "purge", r.Summary.ID), "frees the space and ends the undo"})
		}
	}
	if n := r.Outcome.Counts[finding.MultipartStale].Done; can && n > 0 {
		t.Prose(0, "Undo can't restore what was aborted: "+words.Plural(n, "multipart upload", "multipart uploads")+".")
	}
	t.Commands(steps)
}

// pastRunFields is the document of an earlier run.
type pastRunFields struct {
	headFields
	State    string                         `json:"state"`
	Run      pastFields                     `json:"run"`
	Ended    string                         `json:"ended"`
	Kept     *int64                         `json:"kept_bytes,omitempty"` // kept by the store now, if it was asked
	Before   string                         `json:"undo_first,omitempty"` // a later run to undo first
	Whole    bool                           `json:"plan_known"`           // otherwise steps that were not begun are missing
	Totals   apply.Tally                    `json:"totals"`
	Counts   iter.Seq2[string, apply.Tally] `json:"counts"`
	Repairs  []changes.Named                `json:"repairs"`
	Removals []changes.Named                `json:"removals"`
	Steps    iter.Seq[*plan.Step]           `json:"steps"` // that were carried out
	NotDone  iter.Seq[notDoneFields]        `json:"left"`
	Exit     exitFields                     `json:"exit"`
}

// Fields returns the document.
func (r *PastRun) Fields() any {
	p := r.AsPlan()
	d := pastRunFields{
		headFields{PastRunSchema, toolOf(r.Version), r.Summary.Target}, r.State, pastOf(&r.Summary), document.Time(r.Ended), nil, r.Before, r.Whole, r.Outcome.Steps, (&Run{Outcome: r.Outcome}).byName,
		document.List(p.repairs()), document.List(p.removals()), document.Each(r.Done.Steps, func(s *plan.Step) *plan.Step { return s }), document.Each(r.Outcome.NotDone, notDoneOf), exitOf(0),
	}
	if r.Weighed {
		d.Kept = &r.Outcome.Kept
	}
	return d
}

// Purge is the result of purging runs.
type Purge struct {
	Version  string
	Target   string
	State    string
	Started  time.Time
	Finished time.Time
	Runs     []Purged
	Damaged  []journal.Summary // runs that were not purged because their journals are damaged
	Disk     *Disk             // of the store; nil if it isn't on this machine, or nothing was purged
	Requests bool              // requests cost money: the report has their number
	Cost     backend.Cost
	Exit     exitcode.Code
}

// Purged is a purged run.
type Purged struct {
	ID    string
	Steps int   // steps that were done
	Bytes int64 // of content that they removed
	Freed int64 // in whole blocks on a disk
	Err   error // nil if everything was deleted
}

// Disk is how full the store's filesystem was before and after a change.
type Disk struct {
	Before disk.Space  `json:"before"`
	After  disk.Space  `json:"after"`
	Purged *disk.Space `json:"after_purge,omitempty"` // expected after a purge; nil if that frees nothing
}

// table writes it, if it isn't nil.
func (d *Disk) table(t *view.Printer) {
	if d == nil {
		return
	}
	t.Gap()
	t.Table(1, view.Column{Name: "disk of the store", Width: 24}, view.Column{Name: "used", Width: 10, Right: true}, view.Column{Name: "free", Width: 12, Right: true})
	t.Row("before", words.Size(d.Before.Used), words.Size(d.Before.Free))
	t.Row("now", words.Size(d.After.Used), words.Size(d.After.Free))
	if d.Purged != nil {
		t.Row("after a purge, about", words.Size(d.Purged.Used), words.Size(d.Purged.Free))
	}
}

// View returns a line a run, and the total.
func (p *Purge) View(o view.Options) view.View {
	return view.Of(o, func(t *view.Printer) {
		for _, r := range p.Runs {
			if r.Err != nil {
				t.Line(0, words.Clean(r.ID), "  ", t.Paint(view.Red, "not purged: "), words.Clean(r.Err.Error()))
				p.refused(t, r.Err)
				continue
			}
			t.Line(0, words.Clean(r.ID), "  ", words.Plural(r.Steps, "step", "steps"), " done, ", words.Size(r.Bytes), " removed; ", words.Size(r.Freed), " freed")
		}
		for _, r := range p.Damaged {
			t.Line(0, words.Clean(r.ID), "  ", t.Paint(view.Yellow, "left: "), "its journal is damaged: ", words.Clean(r.Damage), "; --damaged with its id purges it")
		}
		freed := p.sum(t)
		if p.Requests {
			t.Line(0, t.Paint(view.Dim, requests(&p.Cost)))
		} else if freed > 0 {
			t.Line(0, t.Paint(view.Dim, "Freed space is counted in whole disk blocks, all other sizes are of contents."))
		}
		p.Disk.table(t)
	})
}

// refused writes a refusal and what to do.
func (p *Purge) refused(t *view.Printer, err error) {
	no, ok := errors.AsType[*apply.Refused](err)
	if !ok {
		return
	}
	for _, r := range no.Reasons {
		for _, key := range r.Keys {
			t.Line(3, words.Clean(key))
		}
		t.Prose(1, words.Clean(r.How))
	}
}

// Short returns the total.
func (p *Purge) Short(o view.Options) view.View {
	return view.Of(o, func(t *view.Printer) {
		p.sum(t)
	})
}

func (p *Purge) sum(t *view.Printer) (freed int64) {
	done := 0
	for _, r := range p.Runs {
		freed += r.Freed
		if r.Err == nil {
			done++
		}
	}
	switch {
	case len(p.Runs) == 0:
		t.Verdict(t.Paint(view.Green, "NOTHING TO DO"), ": no run keeps anything that can be purged")
	case done < len(p.Runs):
		t.Verdict(t.Paint(view.Yellow, "DONE IN PART"), ": ", words.Plural(done, "run", "runs"), " purged, ", words.Number(len(p.Runs)-done), " not; ", words.Size(freed), " freed")
	default:
		t.Verdict(t.Paint(view.Green, "DONE"), ": ", words.Plural(done, "run", "runs"), " purged, ", words.Size(freed), " freed")
	}
	return freed
}

// purgeFields is the document of a purge.
type purgeFields struct {
	timedFields
	State string                 `json:"state"`
	Disk  *Disk                  `json:"disk,omitempty"`
	Cost  *askedFields           `json:"cost,omitempty"`
	Runs  iter.Seq[purgedFields] `json:"runs"`
	Exit  exitFields             `json:"exit"`
}

type purgedFields struct {
	ID    string `json:"id"`
	Steps int    `json:"steps_done"`
	Bytes int64  `json:"bytes"`
	Freed int64  `json:"freed_bytes"`
	Error string `json:"error"`
}

// Fields returns the document.
func (p *Purge) Fields() any {
	return purgeFields{
		timed(PurgeSchema, p.Version, p.Target, p.Started, p.Finished), p.State, p.Disk, askedOf(p.Requests, p.Cost),
		document.Each(p.Runs, func(r *Purged) purgedFields {
			why := ""
			if r.Err != nil {
				why = r.Err.Error()
			}
			return purgedFields{r.ID, r.Steps, r.Bytes, r.Freed, why}
		}), exitOf(p.Exit),
	}
}

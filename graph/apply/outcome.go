package apply

import (
	"regfsck/graph"
	"regfsck/graph/plan"
)

// Outcome is what became of a run, or of its undo.
type Outcome struct {
	Run         string           // "" where there was nothing to do
	Plan        string           // the plan's id
	Resumed     bool             // the run had been begun before
	Interrupted bool             // ended at a safe point before all was done
	Counts      map[string]Tally // by the finding's id
	Left        []Left           // steps that were not carried out, in the plan's order
	Folders     int              // empty folders that went along with what was removed
	Freed       int64            // bytes that the store has back now
	Kept        int64            // bytes that are kept for an undo and take up space
	Keep        bool             // the run can be undone
	Gone        []string         // of an undo: later runs that took something away for good, which what came back may need
	Elsewhere   []OtherRun       // of an undo: later runs with other state directories that took something away, which what came back may need
	Damage      string           // of an undo: what is wrong with the run's journal, so that some of what it did may be unknown; "" for nothing
	Strays      []string         // of an undo: keys that were put back though the journal doesn't know them
	Phases      []graph.Phase    // of the scans that the run made
}

// OtherRun is a run with another state directory of the same store.
type OtherRun struct {
	State string
	ID    string
}

// Tally counts steps.
type Tally struct {
	Done    int   // in this run, or before it was taken up again; of an undo: put back
	Skipped int   // the precondition didn't hold, or it rests on a step that wasn't done
	Failed  int   // the store could not do it, or could not say
	Bytes   int64 // of the removals among Done, whether freed or kept
}

// Left is a step that was not carried out.
type Left struct {
	Step   plan.Step
	Reason string // a clause
	Failed bool   // else it was skipped
}

// Total sums the tallies up.
func (o *Outcome) Total() (t Tally) {
	for _, c := range o.Counts {
		t.Done += c.Done
		t.Skipped += c.Skipped
		t.Failed += c.Failed
		t.Bytes += c.Bytes
	}
	return t
}

// Repaired tells whether anything that was done cured damage; garbage is none.
func (o *Outcome) Repaired() bool {
	for name, c := range o.Counts {
		if id, ok := graph.ParseID(name); ok && c.Done > 0 && id.Severity() < graph.Garbage {
			return true
		}
	}
	return false
}

// tally changes the count of a finding's id.
func (o *Outcome) tally(finding string, change func(*Tally)) {
	t := o.Counts[finding]
	change(&t)
	o.Counts[finding] = t
}

func (o *Outcome) done(finding string, bytes int64) {
	o.tally(finding, func(t *Tally) { t.Done++; t.Bytes += bytes })
}

func (o *Outcome) leave(l Left) {
	o.Left = append(o.Left, l)
	o.tally(l.Step.Finding, func(t *Tally) {
		if l.Failed {
			t.Failed++
		} else {
			t.Skipped++
		}
	})
}

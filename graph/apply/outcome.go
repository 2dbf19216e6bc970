package apply

import (
	"cmp"
	"path/filepath"

	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// Outcome is the result of a run, or of its undo.
type Outcome struct {
	Run              string                 // "" if there was nothing to do
	Plan             string                 // the plan's id
	Resumed          bool                   // the run was begun before
	Interrupted      bool                   // it stopped at a safe point before all was done
	Counts           map[finding.Kind]Tally // of objects, as plan.Step.Object counts them, by the kind of finding
	Steps            Tally                  // of steps
	NotDone          []NotDone              // steps that were not carried out, in order
	Directories      int                    // empty directories that were removed with other objects
	Freed            int64                  // bytes that are free now
	Kept             int64                  // bytes that are kept for undo
	Keep             bool                   // the run can be undone
	RemovedLater     []string               // of an undo: later runs that removed something for good that the restored objects may need
	RemovedElsewhere []OtherRun             // of an undo: likewise, later runs with other state directories
	Damage           string                 // of an undo: what is wrong with the run's journal; "" for nothing
	Strays           []string               // of an undo: restored keys that the journal doesn't have
	Phases           []graph.Phase          // of the run's scans and copies
	Healed           *Healed                // of a run with sources; else nil

	objectFates map[string]fate // the fates of objects with several steps
}

// Healed is the state of the tags that were broken before a run.
type Healed struct {
	Sources        []string `json:"sources"`
	Broken         int      `json:"tags_broken"` // tags that were broken
	check.Prospect          // Mended ones can be pulled now, by the last judgement
	Spare          int      `json:"blobs_no_tag_needs"` // lost blobs in a source that were not copied since no tag is known to need them
}

// OtherRun is a run with another state directory of the same store.
type OtherRun struct {
	State   string `json:"state"`
	ID      string `json:"run"`
	ForGood bool   `json:"for_good"` // nothing of what it removed can be restored
}

// fate is the result of a step, or the worst of an object's steps.
type fate uint8

const (
	fateDone fate = iota
	fateSkipped
	fateFailed
)

// Tally counts steps, or objects.
type Tally struct {
	Done    int   `json:"done"`    // in this run, or before it was resumed; of an undo: restored
	Skipped int   `json:"skipped"` // the precondition wasn't met, or it depends on a step that wasn't done
	Failed  int   `json:"failed"`  // the store could not do it, or its result is unknown
	Bytes   int64 `json:"bytes"`   // of the removals among Done, freed or kept
}

// NotDone is a step that was not carried out.
type NotDone struct {
	Step   plan.Step
	Reason string // a clause
	Failed bool   // otherwise it was skipped
}

// Objects returns the sum over all kinds.
func (o *Outcome) Objects() (t Tally) {
	for _, c := range o.Counts {
		t.Done += c.Done
		t.Skipped += c.Skipped
		t.Failed += c.Failed
		t.Bytes += c.Bytes
	}
	return t
}

// Repaired reports whether damage was repaired; garbage doesn't count.
func (o *Outcome) Repaired() bool {
	for k, c := range o.Counts {
		if k != finding.None && c.Done > 0 && k.Severity() < finding.Garbage {
			return true
		}
	}
	return false
}

// count adds n with that fate.
func (t *Tally) count(f fate, n int) {
	switch f {
	case fateDone:
		t.Done += n
	case fateSkipped:
		t.Skipped += n
	case fateFailed:
		t.Failed += n
	}
}

// note counts a step, and its object once.
func (o *Outcome) note(s *plan.Step, f fate) {
	o.Steps.count(f, 1)
	t := o.Counts[s.Finding]
	thing := s.Object()
	was, known := fateDone, false
	if parted := thing != s.FullKey(); parted {
		if o.objectFates == nil {
			o.objectFates = map[string]fate{}
		}
		thing = s.Finding.String() + " " + thing
		if was, known = o.objectFates[thing]; !known || f > was {
			o.objectFates[thing] = f
		}
	}
	switch {
	case !known:
		t.count(f, 1)
	case f > was:
		t.count(was, -1)
		t.count(f, 1)
	}
	o.Counts[s.Finding] = t
}

// addBytes adds bytes of done steps.
func (o *Outcome) addBytes(k finding.Kind, bytes int64) {
	o.Steps.Bytes += bytes
	t := o.Counts[k]
	t.Bytes += bytes
	o.Counts[k] = t
}

func (o *Outcome) addDone(s *plan.Step) {
	o.note(s, fateDone)
	if s.Op == plan.Remove {
		o.addBytes(s.Finding, s.Bytes)
	}
}

func (o *Outcome) addNotDone(l NotDone) {
	o.NotDone = append(o.NotDone, l)
	f := fateSkipped
	if l.Failed {
		f = fateFailed
	}
	o.note(&l.Step, f)
}

// noteHealed records the state of the tags that were broken before the run. The last
// judgement counts, which includes failed copies.
func (o *Outcome) noteHealed(result *check.Result) {
	if len(result.Sources) == 0 && o.Healed == nil {
		return
	}
	if o.Healed == nil {
		o.Healed = &Healed{Sources: result.Sources, Broken: result.Totals.TagsBroken}
	}
	p := result.Totals.Prospect
	p.Mended = max(0, o.Healed.Broken-p.Push-p.Decide-p.Lost-p.Unasked)
	o.Healed.Prospect, o.Healed.Spare = p, result.Totals.SpareHeals
}

// checkHealed discards that state if it isn't what was done: the run was stopped, or a link
// that a tag may need could not be written.
func (o *Outcome) checkHealed(stopped bool) {
	undone := o.Interrupted || stopped
	for i := range o.NotDone {
		kind := o.NotDone[i].Step.Kind
		undone = undone || kind.Writes() && kind != plan.HealedBlob
	}
	if undone {
		o.Healed = nil
	}
}

// OutcomeOf returns the outcome of an earlier run, by its journal, and the steps that it
// carried out. Steps of its plan that were not begun count as skipped; whole is nil if its
// plan is lost. Kept isn't set: only the store knows.
func OutcomeOf(p *journal.Run, whole *plan.Plan) (o *Outcome, done *plan.Plan) {
	o, done = &Outcome{Run: p.ID, Plan: p.Begin.Plan, Counts: map[finding.Kind]Tally{}, Keep: p.Summary().CanUndo()}, &plan.Plan{}
	if whole == nil || whole.ID() != p.Begin.Plan {
		whole = &plan.Plan{}
	}
	planned := map[string]*plan.Step{}
	for i := range whole.Steps {
		planned[whole.Steps[i].FullKey()] = &whole.Steps[i]
	}
	type part struct {
		step    plan.Step
		failed  string // why, "" if it isn't known to have failed
		unknown bool   // its result is unknown
	}
	begun := map[string]*part{}
	var order []*part
	for n := range p.Intents {
		i := &p.Intents[n]
		if i.Finding == "" { // a directory that was emptied
			continue
		}
		name := cmp.Or(i.Step, i.FullKey())
		of := begun[name]
		if of == nil {
			of = &part{step: stepOf(i, planned[name])}
			begun[name], order = of, append(order, of)
		} else if planned[name] == nil && i.Op == plan.Remove {
			of.step.Bytes += i.Bytes
		}
		r, noted := p.Receipts[i.FullKey()]
		of.failed, of.unknown = cmp.Or(of.failed, r.Err), of.unknown || !noted
		o.Freed += r.Freed
		o.Kept += r.Kept
	}
	for _, of := range order {
		switch {
		case of.failed != "":
			o.addNotDone(NotDone{Step: of.step, Reason: of.failed, Failed: true})
		case of.unknown:
			o.addNotDone(NotDone{Step: of.step, Reason: "the run ended before it noted what became of it"})
		default:
			done.Steps = append(done.Steps, of.step)
			o.addDone(&of.step)
		}
	}
	why := "see the run's own report"
	if s := p.Status(); s == journal.Unfinished || s == journal.Interrupted || p.End == nil || p.End.Interrupted {
		o.Interrupted, why = true, "the run ended before it"
	}
	flat := p.Begin.Store != "" && !filepath.IsAbs(p.Begin.Store) // the store has no directories, so there was nothing to do
	for i := range whole.Steps {
		switch s := whole.Steps[i]; {
		case begun[s.FullKey()] != nil:
		case flat && s.Kind == plan.Directory && !o.Interrupted:
			done.Steps = append(done.Steps, s)
			o.addDone(&s)
		default:
			o.addNotDone(NotDone{Step: s, Reason: why})
		}
	}
	return o, done
}

// stepOf returns the step of an intent, from the plan if planned isn't nil.
func stepOf(i *journal.Intent, planned *plan.Step) plan.Step {
	if planned != nil {
		return *planned
	}
	s := plan.Step{
		Op: i.Op, Kind: i.Kind, Key: cmp.Or(i.Step, i.Key), Finding: i.Reason(), Digest: i.Digest, Bytes: i.Bytes, Content: i.Content, Body: i.Body, Upload: i.Upload,
		Absent: i.Op == plan.Write && !i.Stood, Corrupt: i.Reason() == finding.BlobCorrupt,
	}
	s.Locate()
	return s
}

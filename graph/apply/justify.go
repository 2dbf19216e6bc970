package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/plan"
)

// justify judges the store as it is now and returns the steps that are still to
// be done. Every one of them came out of that; if one doesn't, the plan is
// refused.
func (r *run) justify(ctx context.Context) (todo []*plan.Step, err error) {
	if len(r.Plan.Steps) == 0 {
		return nil, nil
	}
	result, err := r.judgeUnchanged(ctx)
	if err == nil && result == nil {
		result, err = r.readAndJudge(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.noteHealed(result)
	reasons := storeRefusals(result, r.Limits)
	if !r.out.Resumed { // else what was done already would count
		reasons = Refusals(result, r.Plan, r.Limits, r.facts)
	}
	if len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	if err := r.failLostHeals(ctx); err != nil {
		return nil, err
	}
	var stale []string
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if r.lostHeals[s.ID()] {
			continue
		}
		is, err := r.stateOf(ctx, s)
		switch {
		case err != nil:
			return nil, err
		case is == stepDone:
			r.out.addDone(s)
		case is == stepStale && len(r.lostHeals) > 0: // it may rest on what can't be copied
			r.recordNotDone(&stepResult{step: s, reason: r.dependentReason})
		case is == stepStale:
			stale = append(stale, s.Key)
		default:
			todo = append(todo, s)
		}
	}
	if len(stale) > 0 {
		return nil, staleRefusal(stale)
	}
	return todo, nil
}

func staleRefusal(keys []string) error {
	return &Refused{[]Refusal{{
		Why:  fmt.Sprintf("the plan is stale: %d of its steps don't follow from the store as it is now", len(keys)),
		How:  "Make a new plan.",
		Keys: keys,
	}}}
}

// judgeUnchanged judges the reading that the plan was made from, if the links are as
// they were then; nil if nobody can say so. What may have been removed since is
// rechecked at each step.
func (r *run) judgeUnchanged(ctx context.Context) (*check.Result, error) {
	if r.Found == nil || len(r.unfinished) > 0 {
		return nil, nil
	}
	scan := r.Found.Scan
	scan.Progress = r.Scan.Progress // what is shown now is the apply
	before := len(scan.Phases())
	if same, _ := scan.Unchanged(ctx, r.Store); !same {
		return nil, nil // if there was an error, reading all of it will meet it too
	}
	r.scan = scan
	result, err := r.judgeFound(ctx)
	r.out.Phases = append(r.out.Phases, scan.Phases()[before:]...)
	return result, err
}

// judgeFound judges the reading again, with rechecks of its own. Where they
// show what was found, and the plan was made of that, all of it is justified.
func (r *run) judgeFound(ctx context.Context) (*check.Result, error) {
	if !r.Made {
		return r.judge(ctx)
	}
	p := r.Scan.Policy
	p.Keep = r.roots
	result, err := check.Run(ctx, r.scan, p)
	if err != nil || !r.scan.Confirmed() {
		return r.judge(ctx)
	}
	r.justified = make(map[plan.StepID]*plan.Step, len(r.Plan.Steps))
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		r.justified[s.ID()] = s
	}
	return result, nil
}

// readAndJudge reads the whole store and judges it.
func (r *run) readAndJudge(ctx context.Context) (*check.Result, error) {
	o := r.Scan
	o.Now = r.Now()
	scan, err := graph.Read(ctx, r.Store, o.Options)
	if err != nil {
		return nil, err
	}
	r.scan = scan
	result, err := r.judge(ctx)
	r.out.Phases = append(r.out.Phases, scan.Phases()...)
	return result, err
}

// judge judges what was read, and notes which of the plan's steps follow from
// it. What would follow besides is a root from now on: nobody carries it out.
func (r *run) judge(ctx context.Context) (*check.Result, error) {
	mine := make(map[plan.StepID]bool, len(r.Plan.Steps))
	for i := range r.Plan.Steps {
		mine[r.Plan.Steps[i].ID()] = true
	}
	for {
		p := r.Scan.Policy
		p.Keep = r.roots
		result, err := check.Run(ctx, r.scan, p)
		if err != nil {
			return nil, err
		}
		fresh := plan.New(result, p)
		r.justified = make(map[plan.StepID]*plan.Step, len(fresh.Steps))
		more := map[string]bool{}
		for i := range fresh.Steps {
			s := &fresh.Steps[i]
			if c := s.ID(); mine[c] {
				r.justified[c] = s
			} else {
				more[s.FullKey()] = true
				if s.Kind == plan.TagHistory {
					r.partialTags[tagOf(s)] = s.Key
				}
			}
		}
		if len(more) == 0 {
			return result, nil
		}
		r.addRoots(more)
	}
}

// addRoots makes roots, for the rest of the run, of what steps are about.
func (r *run) addRoots(targets map[string]bool) {
	if r.roots == nil {
		r.roots = map[string]bool{}
	}
	maps.Copy(r.roots, targets)
}

// isJustified reports whether a step came out of the last judgement.
func (r *run) isJustified(s *plan.Step) bool {
	f := r.justified[s.ID()]
	return f != nil && sameStep(f, s)
}

// sameStep reports whether two steps do the same under the same condition, and say the
// same of what they do it to: guards and totals use that. Only the reason's wording is
// free, and which source gives a blob. What is written is the same whichever of those is
// named that need it, with its own time: once one of them can't be put right, another is.
func sameStep(a, b *plan.Step) bool {
	was := *b
	was.Reason, was.From = a.Reason, a.From // whichever source gives it, it is the same blob
	if a.Op == plan.Write && (a.Finding != b.Finding || a.Tag != b.Tag || a.Digest != b.Digest) {
		was.Finding, was.Tag, was.Digest, was.Time = a.Finding, a.Tag, a.Digest, a.Time
	}
	return *a == was
}

// stepState says how a step stands before anything is done.
type stepState uint8

const (
	stepPending stepState = iota // it follows from the store as it is
	stepDone                     // the run that is resumed has done it
	stepStale                    // neither
)

// stateOf returns what is to be done about a step of the plan. A tag is removed only
// with all of its history. Of an upload that was interrupted half-way the rest is taken as it is
// now.
func (r *run) stateOf(ctx context.Context, s *plan.Step) (stepState, error) {
	if _, torn := r.partialTags[tagOf(s)]; torn && s.Kind.IsTag() {
		return stepStale, nil
	}
	if r.isJustified(s) {
		return stepPending, nil
	}
	if !r.out.Resumed {
		return stepStale, nil
	}
	f := r.justified[s.ID()]
	if f != nil && s.Kind == plan.Upload && r.unfinished[0].BegunFor(s) {
		*s = *f
		return stepPending, nil
	}
	done, err := r.isDone(ctx, s)
	if err != nil || !done {
		return stepStale, err
	}
	return stepDone, nil
}

// isDone reports whether what the run was about to do for a step has happened.
func (r *run) isDone(ctx context.Context, s *plan.Step) (bool, error) {
	switch {
	case s.Kind == plan.Directory:
		in, err := listDir(ctx, r.Store, s.Key)
		return len(in.dirs) == 0, err
	case !r.unfinished[0].BegunFor(s):
		return false, nil
	case s.Op == plan.Abort:
		there, err := r.uploadsAtStart(ctx)
		_, is := there[s.FullKey()]
		return !is, err
	case s.Kind == plan.HealedBlob:
		right, err := r.hashesRight(ctx, s.Key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return right, err
	case s.Op == plan.Write:
		content, err := r.content(ctx, s.Key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return content == string(s.Body), err
	case strings.HasSuffix(s.Key, "/"):
		in, err := listDir(ctx, r.Store, s.Key)
		return len(in.files) == 0, err
	}
	_, err := r.Store.Stat(ctx, s.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// rereadAfterWrites reads the store once more after links were written and before
// anything is removed. If one removal doesn't follow any more, none is made:
// what the reading missed of one may be what another rests on.
func (r *run) rereadAfterWrites(ctx context.Context, todo []*plan.Step) {
	result, err := r.readAndJudge(ctx)
	if ctx.Err() != nil {
		r.out.Interrupted = true
		return
	}
	if err != nil {
		r.stopReason = "the store could not be read again after links were written: " + err.Error()
		return
	}
	r.noteHealed(result)
	if reasons := storeRefusals(result, r.Limits); len(reasons) > 0 {
		r.stopReason = "after links were written, " + reasons[0].Why
		return
	}
	for _, s := range todo {
		if !s.Kind.Writes() && !r.isJustified(s) {
			r.stopReason = "the store was changed while links were written: " + s.Key + " is not to be removed any more"
			return
		}
	}
}

// rejudge judges the store again after steps were skipped or failed, whose objects are roots
// now.
func (r *run) rejudge(ctx context.Context) {
	result, err := r.judge(ctx)
	switch {
	case ctx.Err() != nil:
		r.out.Interrupted = true
	case err != nil:
		r.stopReason = "the store could not be checked again after a step was skipped: " + err.Error()
	case !result.Complete:
		r.stopReason = "the store could not be read when it was checked again after a step was skipped"
	default:
		r.noteHealed(result)
		r.dependentReason = "kept because of " + r.failedKeys[0]
		if n := len(r.failedKeys) - 1; n > 0 {
			r.dependentReason += fmt.Sprintf(" and %d others", n)
		}
		r.dependentReason += ", which could not be done"
	}
}

// skipReason says why a step must not be carried out any more, "" if it may.
func (r *run) skipReason(s *plan.Step) string {
	switch entry, torn := r.partialTags[tagOf(s)]; {
	case r.stopReason != "":
		return r.stopReason
	case torn && s.Kind.IsTag():
		return "kept because " + entry + " of its history stays"
	case !r.isJustified(s):
		return r.dependentReason
	}
	return ""
}

func tagOf(s *plan.Step) string { return s.Repository + ":" + s.Tag }

// recordNotDone notes that a step isn't carried out, for a reason of its own or because
// of others.
func (r *run) recordNotDone(w *stepResult) {
	s := w.step
	r.out.addNotDone(NotDone{Step: *s, Reason: w.reason, Failed: w.failed})
	if s.Kind == plan.TagHistory {
		r.partialTags[tagOf(s)] = s.Key
	}
	if w.reason != r.dependentReason && w.reason != r.stopReason {
		r.failedKeys = append(r.failedKeys, s.Key)
		r.addRoots(map[string]bool{s.FullKey(): true})
	}
}

package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"regfsck/backend"
	"regfsck/graph/check"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// justify judges the present store and returns the steps to carry out. If one of them no
// longer follows, the plan is refused.
func (r *run) justify(ctx context.Context) (todo []*plan.Step, err error) {
	if len(r.Plan.Steps) == 0 {
		return nil, nil
	}
	var result *check.Result
	if r.Found != nil && len(r.unfinished) == 0 {
		result, err = r.justification.judgeUnchanged(ctx, r.Found, r.Made)
	}
	if err == nil && result == nil {
		result, err = r.justification.read(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.out.noteHealed(result)
	reasons := storeRefusals(result, r.Limits)
	if !r.out.Resumed { // otherwise steps that were done would count
		reasons = Refusals(result, r.Plan, r.Limits, r.facts)
	}
	if len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	lost, err := r.failLostHeals(ctx)
	if err != nil {
		return nil, err
	}
	var stale []string
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if lost[s.ID()] {
			continue
		}
		is, err := r.stateOf(ctx, s)
		switch {
		case err != nil:
			return nil, err
		case is == stepDone:
			r.out.addDone(s)
		case is == stepStale && len(lost) > 0: // it may depend on a lost copy
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

// failLostHeals fails and returns the copies that no longer follow because a source is missing
// or lost the blob. What depends on them is skipped: their objects are roots.
func (r *run) failLostHeals(ctx context.Context) (lost map[plan.StepID]bool, err error) {
	lost = map[plan.StepID]bool{}
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if s.Kind != plan.HealedBlob {
			continue
		}
		is, err := r.stateOf(ctx, s)
		if err != nil {
			return nil, err
		}
		if is != stepStale || !isLacking(ctx, r.Store, s) {
			continue
		}
		lost[s.ID()] = true
		r.recordNotDone(&stepResult{step: s, reason: r.newCopier(ctx).whyNone(ctx, s), failed: true})
	}
	if len(lost) > 0 {
		if r.rejudge(ctx); r.out.Interrupted {
			return nil, ctx.Err()
		}
	}
	return lost, nil
}

func staleRefusal(keys []string) error {
	return &Refused{[]Refusal{{
		Why:  fmt.Sprintf("the plan is stale: %d of its steps don't follow from the store as it is now", len(keys)),
		How:  "Make a new plan.",
		Keys: keys,
	}}}
}

// stepState is the state of a step before the run.
type stepState uint8

const (
	stepPending stepState = iota // it follows from the present store
	stepDone                     // the resumed run has done it
	stepStale                    // neither
)

// stateOf returns the state of a step. A tag is removed only with all of its history. The
// rest of an interrupted upload removal is taken as it is now.
func (r *run) stateOf(ctx context.Context, s *plan.Step) (stepState, error) {
	switch {
	case r.justification.keptEntry(s) != "":
		return stepStale, nil
	case r.justification.follows(s):
		return stepPending, nil
	case r.resumed == nil:
		return stepStale, nil
	}
	f := r.justification.steps[s.ID()]
	if f != nil && s.Kind == plan.Upload && r.resumed.BegunFor(s) {
		*s = *f
		return stepPending, nil
	}
	done, err := r.resumed.isDone(ctx, s)
	if err != nil || !done {
		return stepStale, err
	}
	return stepDone, nil
}

// resumption decides which steps an interrupted run has done.
type resumption struct {
	*journal.Run
	store   backend.Store
	uploads map[string]backend.Upload // the multipart uploads of the store when first listed; nil before
}

// isDone reports whether the run has made the changes of a step.
func (r *resumption) isDone(ctx context.Context, s *plan.Step) (done bool, err error) {
	switch {
	case s.Kind == plan.Directory:
		in, err := listDir(ctx, r.store, s.Key)
		return len(in.dirs) == 0, err
	case !r.BegunFor(s):
		return false, nil
	case s.Op == plan.Abort:
		if r.uploads == nil {
			if r.uploads, err = listUploads(ctx, r.store, func(string) bool { return true }); err != nil {
				return false, err
			}
		}
		_, there := r.uploads[s.FullKey()]
		return !there, nil
	case s.Kind == plan.HealedBlob:
		right, err := hashesRight(ctx, r.store, s.Key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return right, err
	case s.Op == plan.Write:
		content, err := content(ctx, r.store, s.Key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return content == string(s.Body), err
	case strings.HasSuffix(s.Key, "/"):
		in, err := listDir(ctx, r.store, s.Key)
		return len(in.files) == 0, err
	}
	_, err = r.store.Stat(ctx, s.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// rereadAfterWrites reads the store again after links were written, before anything is
// removed. If one removal doesn't follow any more, none is made: others may depend on what
// the scan missed.
func (r *run) rereadAfterWrites(ctx context.Context, todo []*plan.Step) {
	result, err := r.justification.read(ctx)
	if ctx.Err() != nil {
		r.out.Interrupted = true
		return
	}
	if err != nil {
		r.stopReason = "the store could not be read again after links were written: " + err.Error()
		return
	}
	r.out.noteHealed(result)
	if reasons := storeRefusals(result, r.Limits); len(reasons) > 0 {
		r.stopReason = "after links were written, " + reasons[0].Why
		return
	}
	for _, s := range todo {
		if !s.Kind.Writes() && !r.justification.follows(s) {
			r.stopReason = "the store was changed while links were written: " + s.Key + " is not to be removed any more"
			return
		}
	}
}

// rejudge judges the store again after steps were skipped or failed; their objects are roots.
func (r *run) rejudge(ctx context.Context) {
	result, err := r.justification.judge(ctx)
	switch {
	case ctx.Err() != nil:
		r.out.Interrupted = true
	case err != nil:
		r.stopReason = "the store could not be checked again after a step was skipped: " + err.Error()
	case !result.Complete:
		r.stopReason = "the store could not be read when it was checked again after a step was skipped"
	default:
		r.out.noteHealed(result)
		r.dependentReason = "kept because of " + r.failedKeys[0]
		if n := len(r.failedKeys) - 1; n > 0 {
			r.dependentReason += fmt.Sprintf(" and %d others", n)
		}
		r.dependentReason += ", which could not be done"
	}
}

// skipReason returns why a step must not be carried out any more, "" if it may.
func (r *run) skipReason(s *plan.Step) string {
	switch entry := r.justification.keptEntry(s); {
	case r.stopReason != "":
		return r.stopReason
	case entry != "":
		return "kept because " + entry + " of its history is kept"
	case !r.justification.follows(s):
		return r.dependentReason
	}
	return ""
}

// recordNotDone records that a step isn't carried out, for its own reason or because of
// others.
func (r *run) recordNotDone(w *stepResult) {
	s := w.step
	r.out.addNotDone(NotDone{Step: *s, Reason: w.reason, Failed: w.failed})
	own := w.reason != r.dependentReason && w.reason != r.stopReason
	if own {
		r.failedKeys = append(r.failedKeys, s.Key)
	}
	r.justification.keep(s, own)
}

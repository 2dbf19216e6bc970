package apply

import (
	"context"
	"fmt"

	"regfsck/graph/plan"
)

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
	if reasons := storeRefusals(result, r.Limits); len(reasons) > 0 {
		r.stopReason = "after links were written, " + reasons[0].Why
		return
	}
	for _, s := range todo {
		if !s.Kind.Writes() && !r.isJustified(s) {
			r.stopReason = "the store was changed while links were written: " + s.Key + " needn't go any more"
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
		r.stopReason = "the store could not be judged again after a step was left: " + err.Error()
	case !result.Complete:
		r.stopReason = "the store could not be read when it was judged again after a step was left"
	default:
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

package apply

import (
	"context"
	"fmt"

	"regfsck/graph/plan"
)

// readAgain reads the store once more after links were written and before
// anything is removed. If one removal doesn't follow any more, none is made:
// what the reading missed of one may be what another rests on.
func (r *run) readAgain(ctx context.Context, todo []*plan.Step) {
	result, err := r.read(ctx)
	if ctx.Err() != nil {
		r.out.Interrupted = true
		return
	}
	if err != nil {
		r.halt = "the store could not be read again after links were written: " + err.Error()
		return
	}
	if reasons := ofStore(result, r.Limits); len(reasons) > 0 {
		r.halt = "after links were written, " + reasons[0].Why
		return
	}
	for _, s := range todo {
		if !s.Kind.Writes() && !r.follows(s) {
			r.halt = "the store was changed while links were written: " + s.Key + " needn't go any more"
			return
		}
	}
}

// rejudge judges the store again after steps were left, whose objects are roots
// now.
func (r *run) rejudge(ctx context.Context) {
	result, err := r.judge(ctx)
	switch {
	case ctx.Err() != nil:
		r.out.Interrupted = true
	case err != nil:
		r.halt = "the store could not be judged again after a step was left: " + err.Error()
	case !result.Complete:
		r.halt = "the store could not be read when it was judged again after a step was left"
	default:
		r.because = "kept because of " + r.blame[0]
		if n := len(r.blame) - 1; n > 0 {
			r.because += fmt.Sprintf(" and %d others", n)
		}
		r.because += ", which could not be done"
	}
}

// withheld says why a step must not be carried out any more, "" if it may.
func (r *run) withheld(s *plan.Step) string {
	switch entry, torn := r.tags[tagOf(s)]; {
	case r.halt != "":
		return r.halt
	case torn && s.Kind.IsTag():
		return "kept because " + entry + " of its history stays"
	case !r.follows(s):
		return r.because
	}
	return ""
}

func tagOf(s *plan.Step) string { return s.Repository + ":" + s.Tag }

// leave notes that a step isn't carried out, for a reason of its own or because
// of others.
func (r *run) leave(w *work) {
	s := w.step
	r.out.addNotDone(NotDone{Step: *s, Reason: w.left, Failed: w.failed})
	if s.Kind == plan.TagHistory {
		r.tags[tagOf(s)] = s.Key
	}
	if w.left != r.because && w.left != r.halt {
		r.blame = append(r.blame, s.Key)
		r.retain(map[string]bool{s.FullKey(): true})
	}
}

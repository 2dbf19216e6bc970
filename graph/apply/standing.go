package apply

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"regfsck/graph/plan"
)

// stepState says how a step stands before anything is done.
type stepState uint8

const (
	stepPending stepState = iota // it follows from the store as it is
	stepDone                     // the run that is resumed has done it
	stepStale                    // neither
)

// stateOf tells how a step of the plan stands. A tag goes only with all of its
// history. Of an upload that was interrupted half-way the rest is taken as it is
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
	f := r.justified[change{s.Op, s.FullKey()}]
	if f != nil && s.Kind == plan.Upload && r.unfinished[0].began(s) {
		*s = *f
		return stepPending, nil
	}
	done, err := r.isDone(ctx, s)
	if err != nil || !done {
		return stepStale, err
	}
	return stepDone, nil
}

// began reports whether the run was about to do something for a step.
func (p *past) began(s *plan.Step) bool {
	if p.meant(s.Op, s.FullKey()) {
		return true
	}
	for i := range p.intents {
		if p.intents[i].Step == s.Key {
			return true
		}
	}
	return false
}

// isDone reports whether what the run was about to do for a step has happened.
func (r *run) isDone(ctx context.Context, s *plan.Step) (bool, error) {
	switch {
	case s.Kind == plan.Directory:
		in, err := listDir(ctx, r.Store, s.Key)
		return len(in.dirs) == 0, err
	case !r.unfinished[0].began(s):
		return false, nil
	case s.Op == plan.Abort:
		there, err := r.uploadsAtStart(ctx)
		_, is := there[s.FullKey()]
		return !is, err
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

package apply

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"regfsck/graph/plan"
)

// standing says how a step stands before anything is done.
type standing uint8

const (
	stepTodo  standing = iota // it follows from the store as it is
	stepDone                  // the run that is taken up again has done it
	stepStale                 // neither
)

// standing tells how a step of the plan stands. A tag goes only with all of its
// history. Of an upload that was broken off half-way the rest is taken as it is
// now.
func (r *run) standing(ctx context.Context, s *plan.Step) (standing, error) {
	if _, torn := r.tags[tagOf(s)]; torn && s.Kind.IsTag() {
		return stepStale, nil
	}
	if r.follows(s) {
		return stepTodo, nil
	}
	if !r.out.Resumed {
		return stepStale, nil
	}
	f := r.allowed[change{s.Op, s.FullKey()}]
	if f != nil && s.Kind == plan.Upload && r.open[0].began(s) {
		*s = *f
		return stepTodo, nil
	}
	done, err := r.effected(ctx, s)
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

// effected reports whether what the run was about to do for a step has happened.
func (r *run) effected(ctx context.Context, s *plan.Step) (bool, error) {
	switch {
	case s.Kind == plan.Directory:
		in, err := contents(ctx, r.Store, s.Key)
		return len(in.folders) == 0, err
	case !r.open[0].began(s):
		return false, nil
	case s.Op == plan.Abort:
		there, err := r.there(ctx)
		_, is := there[s.FullKey()]
		return !is, err
	case s.Op == plan.Write:
		content, err := r.content(ctx, s.Key)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return content == string(s.Body), err
	case strings.HasSuffix(s.Key, "/"):
		in, err := contents(ctx, r.Store, s.Key)
		return len(in.files) == 0, err
	}
	_, err := r.Store.Stat(ctx, s.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

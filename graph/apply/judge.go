package apply

import (
	"context"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/gc"
	"regfsck/graph/plan"
)

// justification says which steps of a plan follow from the store as it is. It is asked
// before each change. It only reads, and knows nothing of how steps are carried out.
//
// What would follow besides the plan's steps is a root: nobody carries it out, so no step
// may depend on it. The same holds for the object of each step that is skipped or has
// failed. Roots only ever become more.
type justification struct {
	store   backend.Reader
	options check.Options // how the plan was made, its policy included
	plan    *plan.Plan
	now     func() time.Time
	ended   func([]graph.Phase) // is told the outcome of readings

	scan        *graph.Scan                // the last reading
	steps       map[plan.StepID]*plan.Step // of the plan: what follows from it, as it follows now
	roots       map[string]bool            // full keys of what is kept besides what the policy keeps
	partialTags map[string]string          // tags whose history is not removed as a whole, and an entry of it that is kept
}

// judgeUnchanged judges a reading of before, if the links are as they were then; nil if
// nobody can say so. What may have been removed since is rechecked at each step. made
// says that the plan is what plan.New makes of found.
func (j *justification) judgeUnchanged(ctx context.Context, found *check.Result, made bool) (*check.Result, error) {
	scan := found.Scan
	scan.ShowOn(j.options.Progress) // what is shown now is the apply
	before := len(scan.Phases())
	if same, _ := scan.Unchanged(ctx, j.store); !same {
		return nil, nil // if there was an error, reading all of it will meet it too
	}
	j.scan = scan
	result, err := j.judgeFound(ctx, made)
	j.ended(scan.Phases()[before:])
	return result, err
}

// judgeFound judges the reading again, with rechecks of its own. Where they
// show what was found, and the plan was made of that, all of it follows.
func (j *justification) judgeFound(ctx context.Context, made bool) (*check.Result, error) {
	if !made {
		return j.judge(ctx)
	}
	result, err := check.Run(ctx, j.scan, j.policy())
	if err != nil || !j.scan.Confirmed() {
		return j.judge(ctx)
	}
	j.steps = make(map[plan.StepID]*plan.Step, len(j.plan.Steps))
	for i := range j.plan.Steps {
		s := &j.plan.Steps[i]
		j.steps[s.ID()] = s
	}
	return result, nil
}

// read reads the whole store and judges it.
func (j *justification) read(ctx context.Context) (*check.Result, error) {
	o := j.options
	o.Now = j.now()
	scan, err := graph.Read(ctx, j.store, o.Options)
	if err != nil {
		return nil, err
	}
	j.scan = scan
	result, err := j.judge(ctx)
	j.ended(scan.Phases())
	return result, err
}

// policy returns the plan's policy, which keeps the roots too.
func (j *justification) policy() gc.Policy {
	p := j.options.Policy
	p.Keep = j.roots
	return p
}

// judge judges what was read, and notes which of the plan's steps follow from it.
func (j *justification) judge(ctx context.Context) (*check.Result, error) {
	mine := make(map[plan.StepID]bool, len(j.plan.Steps))
	for i := range j.plan.Steps {
		mine[j.plan.Steps[i].ID()] = true
	}
	for {
		p := j.policy()
		result, err := check.Run(ctx, j.scan, p)
		if err != nil {
			return nil, err
		}
		fresh := plan.New(result, p)
		j.steps = make(map[plan.StepID]*plan.Step, len(fresh.Steps))
		more := false
		for i := range fresh.Steps {
			s := &fresh.Steps[i]
			if id := s.ID(); mine[id] {
				j.steps[id] = s
			} else {
				more = true
				j.keep(s, true)
			}
		}
		if !more {
			return result, nil
		}
	}
}

// keep notes that nobody carries a step out: with an entry of its history a tag is kept.
// What the step is about becomes a root, unless another root is the reason already.
func (j *justification) keep(s *plan.Step, root bool) {
	if root {
		j.roots[s.FullKey()] = true
	}
	if s.Kind == plan.TagHistory {
		j.partialTags[tagOf(s)] = s.Key
	}
}

// keptEntry returns the entry of the tag's history with which a tag must be kept that the
// step would remove; "" for none.
func (j *justification) keptEntry(s *plan.Step) string {
	if !s.Kind.IsTag() {
		return ""
	}
	return j.partialTags[tagOf(s)]
}

func tagOf(s *plan.Step) string { return s.Repository + ":" + s.Tag }

// follows reports whether a step came out of the last judgement.
func (j *justification) follows(s *plan.Step) bool {
	f := j.steps[s.ID()]
	return f != nil && sameStep(f, s)
}

// sameStep reports whether two steps do the same under the same condition, and say the
// same of what they do it to: guards and totals use that. Only the reason's wording is
// free, and which source gives a blob. What is written is the same whichever of those is
// named that need it, with its own time: once one of them can't be repaired, another is.
func sameStep(a, b *plan.Step) bool {
	was := *b
	was.Reason, was.From = a.Reason, a.From // whichever source gives it, it is the same blob
	if a.Op == plan.Write && (a.Finding != b.Finding || a.Tag != b.Tag || a.Digest != b.Digest) {
		was.Finding, was.Tag, was.Digest, was.Time = a.Finding, a.Tag, a.Digest, a.Time
	}
	return *a == was
}

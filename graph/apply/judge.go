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

// justification decides which steps of a plan follow from the present store. It is called
// before each change. It only reads and doesn't know how steps are carried out.
//
// Results besides the plan's steps are roots: they aren't carried out, so no step may depend
// on them. The same applies to the object of each step that is skipped or failed. The set of
// roots only grows.
type justification struct {
	store   backend.Reader
	options check.Options // the options of the plan, with its policy
	plan    *plan.Plan
	now     func() time.Time
	ended   func([]graph.Phase) // called with the phases of readings

	scan        *graph.Scan                // the last scan
	steps       map[plan.StepID]*plan.Step // the plan's steps that follow, in their present form
	roots       map[string]bool            // full keys of roots besides those of the policy
	partialTags map[string]string          // tags whose history isn't removed as a whole, with an entry that is kept
}

// judgeUnchanged judges an earlier scan if the links are unchanged; nil if that is unknown.
// Later removals are rechecked by each step. made means that the plan is plan.New of found.
func (j *justification) judgeUnchanged(ctx context.Context, found *check.Result, made bool) (*check.Result, error) {
	scan := found.Scan
	scan.ShowOn(j.options.Progress) // show the progress of this run
	before := len(scan.Phases())
	if same, _ := scan.Unchanged(ctx, j.store); !same {
		return nil, nil // an error will recur when the store is read
	}
	j.scan = scan
	result, err := j.judgeFound(ctx, made)
	j.ended(scan.Phases()[before:])
	return result, err
}

// judgeFound judges the scan again, with new rechecks. If these show no change and the plan
// was made of it, all of it follows.
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

// read reads and judges the whole store.
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

// policy returns the plan's policy with the roots.
func (j *justification) policy() gc.Policy {
	p := j.options.Policy
	p.Keep = j.roots
	return p
}

// judge judges the scan and records which steps of the plan follow.
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

// keep records that a step isn't carried out: a tag is kept with an entry of its history. The
// step's object becomes a root, unless another root is the reason.
func (j *justification) keep(s *plan.Step, root bool) {
	if root {
		j.roots[s.FullKey()] = true
	}
	if s.Kind == plan.TagHistory {
		j.partialTags[tagOf(s)] = s.Key
	}
}

// keptEntry returns a kept history entry of the tag that the step removes; "" for none.
func (j *justification) keptEntry(s *plan.Step) string {
	if !s.Kind.IsTag() {
		return ""
	}
	return j.partialTags[tagOf(s)]
}

func tagOf(s *plan.Step) string { return s.Repository + ":" + s.Tag }

// follows reports whether a step resulted from the last judgement.
func (j *justification) follows(s *plan.Step) bool {
	f := j.steps[s.ID()]
	return f != nil && sameStep(f, s)
}

// sameStep reports whether two steps make the same change with the same precondition and
// totals. The wording of the reason and the source of a blob may differ. A written blob is
// the same whichever link or manifest is named for it and its time.
func sameStep(a, b *plan.Step) bool {
	was := *b
	was.Reason, was.From = a.Reason, a.From // any source gives the same blob
	if a.Op == plan.Write && (a.Finding != b.Finding || a.Tag != b.Tag || a.Digest != b.Digest) {
		was.Finding, was.Tag, was.Digest, was.Time = a.Finding, a.Tag, a.Digest, a.Time
	}
	return *a == was
}

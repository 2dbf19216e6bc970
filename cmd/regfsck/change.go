package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/heap"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/sources"
	"regfsck/graph"
	"regfsck/graph/apply"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// job is one change of a store: its arguments, plan and policy.
type job struct {
	s        *session
	command  string // "fix", "rm", "prune" or "apply"
	target   location.Location
	policy   policy
	consent  consent
	out      *output
	apply    bool       // carry the plan out
	made     bool       // the plan was made in this run
	plan     *plan.Plan // nil until it is made
	header   plan.Header
	savePlan string      // path of the plan file to write, "" for none
	file     string      // path of the plan file read, "" if the plan was made in this run
	repeat   []string    // STORE and flags for the fix that makes the same plan
	next     []string    // the command that carries it out
	reach    []string    // the flags to open the store again
	state    string      // the state directory
	from     sources.All // sources of blobs that the store lacks
	copyRate int64       // limit of all copies in bytes a second; 0 is none

	choose    func(*graph.Scan) (*gc.Removal, error) // selects what to remove; nil: the policy alone decides
	decisions []gc.Decision                          // of prune, set by choose
	notes     []string                               // for the report
	unread    []string                               // of a plan without steps: what could not be read or judged
}

// change makes the plan unless one was loaded, reports it, and carries it out if j.apply is
// set.
func (j *job) change(ctx context.Context) (err error) {
	if j.apply && j.s.getenv("GOGC") == "" {
		heap.Limit(garbageOfChange)
	}
	if j.apply && !j.consent.yes && (j.out.json || j.out.quiet) {
		return failure.New(exitcode.Refused, errors.New("--apply asks for confirmation, but --json and --quiet hide the plan"), "Add --yes, or leave them out. Nothing was changed.")
	}
	if j.state, err = outside.StateDir(j.consent.state, j.target, j.s.drivers, j.s.getenv); err != nil {
		return err
	}
	if err := j.out.open(j.target, j.policy.follow); err != nil {
		return err
	}
	defer j.out.discard()
	r := &report.Plan{
		Check: report.Check{
			Version: version, Target: j.target.String(), Noun: j.target.Traits().Noun, Repeat: j.repeat, Reach: j.reach,
			Looked: j.policy.looked(), FailOn: finding.Error,
		},
		Command: j.command, File: j.file, Policy: j.policy.Policy, Plan: j.plan, Apply: j.next, Applying: j.apply,
	}
	if j.choose != nil { // a removal succeeds whatever else is broken
		r.FailOn = finding.Fatal
	}
	if j.consent.keep {
		r.State = j.state
	}
	if j.apply && j.consent.yes {
		if err := j.takeOver(ctx); err != nil {
			return err
		}
	}
	if err := j.finish(ctx); err != nil {
		return err
	}
	o := j.s.options(j.policy, j.target, j.out)
	o.From = j.from.Blobs()
	if j.policy.Cures(finding.TagFromSource) {
		if o.Copied, err = j.from.Tags(ctx, j.header.Repo, o.Workers); err != nil {
			return err
		}
	}
	unseen := func(*check.Result) []string { return nil }
	if j.choose == nil {
		o.Past, unseen = sources.OwnPast(j.target, j.state, backend.Access{Follow: j.policy.follow, Say: j.out.say})
		defer o.Past.Close()
	}
	if j.command == "fix" {
		o.Lost = 1000 // the most orphans to read to find complete images without links
		if j.target.Traits().RequestsCost {
			o.Lost = 64
		}
	}
	o.Fingerprint, o.Choose, o.Removed = j.apply, j.choose, j.s.removed(j.target, j.state)
	if o.OwnSince, err = journal.UnfinishedSince(j.state); err != nil {
		return failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	if err := j.s.examine(ctx, &r.Check, j.target, j.policy.follow, o, j.out, nil); err != nil {
		return err
	}
	r.Result.Notes = append(r.Result.Notes, unseen(r.Result)...)
	o.Wait = nil // from here on a concurrent change refuses the plan
	if j.choose != nil {
		o.Removal = r.Result.Policy.Removal
		r.Policy.Removal = o.Removal
	}
	j.made = r.Plan == nil
	if j.made {
		r.Plan = plan.New(r.Result, o.Policy)
	}
	if j.choose != nil {
		if note := emptied(r.Result.Scan, r.Plan); note != "" {
			j.notes = append(j.notes, note)
		}
	}
	if len(r.Plan.Steps) == 0 {
		j.unread = apply.Unread(r.Result)
	}
	r.Result.Notes = slices.Concat(r.Result.Notes, j.notes, j.unread)
	completeDecisions(j.decisions, r.Plan)
	r.Retention = j.decisions
	if j.made {
		j.header.Kept = keptTags(j.decisions, r.Plan)
	}
	j.header.Made = r.Started
	facts, err := j.facts(ctx)
	if err != nil {
		return err
	}
	for _, d := range facts.Damaged {
		r.Result.Notes = append(r.Result.Notes, "run "+d.ID+" is damaged: "+d.Damage+"; regfsck undo STORE "+d.ID+" restores what it kept, regfsck purge --damaged STORE "+d.ID+" deletes it")
	}
	r.Unfinished, r.UnfinishedPlan = facts.Unfinished, facts.UnfinishedPlan
	if r.Plan.TakesAway() {
		r.NoUndo = facts.NoUndo
	}
	r.Facts, r.Refusals = facts, apply.Refusals(r.Result, r.Plan, j.consent.limits, facts)
	r.Refusals = append(r.Refusals, j.outdated(j.s.now(), r.Result.Scan, facts)...)
	r.Versions = j.describe(ctx)
	if err := j.save(r.Plan); err != nil {
		return err
	}
	if !j.apply {
		return j.s.deliver(r, r.Exit, j.out)
	}
	return j.carryOut(ctx, r, o, facts)
}

// outdated refuses a saved plan whose lists of images in use have expired. A run of it that
// was begun may still be completed, from the plan file in the state directory. It also refuses
// a plan if tags are missing that its rules kept: others might be kept in their place.
func (j *job) outdated(now time.Time, scan *graph.Scan, facts apply.Facts) (all []apply.Refusal) {
	if missing := missingTags(scan, j.header.Kept); !j.made && len(missing) > 0 {
		all = append(all, apply.Refusal{
			Why:  "the plan is stale: " + words.Plural(len(missing), "tag that its rules keep is", "tags that its rules keep are") + " missing",
			How:  "Make a new plan.",
			Keys: missing,
		})
	}
	if until := j.header.Until; !j.made && !until.IsZero() && now.After(until) && j.file != facts.UnfinishedPlan {
		all = append(all, apply.Refusal{
			Why: "the plan was made from lists or logs of images in use that are too old since " + until.UTC().Format("2006-01-02 15:04") + ": they lack images that came into use since",
			How: "Make a new plan.",
		})
	}
	return all
}

// finish removes the directories that an interrupted run emptied, if the change is already
// confirmed: an empty tag directory would keep this run from removing its repository. A saved
// plan was made with these directories and would be stale without them.
func (j *job) finish(ctx context.Context) error {
	if !j.apply || !j.consent.yes || j.plan != nil || j.consent.before != "" { // --before must run before any change
		return nil
	}
	facts, err := j.facts(ctx)
	if err != nil {
		return err
	}
	if facts.Unfinished == "" || facts.Undoing != "" || facts.Answering != "" && !j.consent.limits.RunningOK {
		return nil
	}
	w, err := j.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	j.s.tidied, err = apply.Finish(ctx, w, j.state)
	if err != nil {
		return unchanged(ctx, err)
	}
	return nil
}

// save writes the plan file, if one was asked for.
func (j *job) save(p *plan.Plan) error {
	if j.savePlan == "" {
		return nil
	}
	f, err := outside.Create(j.savePlan, j.target, j.policy.follow)
	if err != nil {
		return failure.Misuse("", "--save-plan %w", err)
	}
	defer f.Discard()
	if err := f.Write(func(w io.Writer) error { return p.Save(w, j.header) }); err != nil {
		return failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	return nil
}

// facts returns what the guards need to know besides the scan.
func (j *job) facts(ctx context.Context) (f apply.Facts, err error) {
	given := apply.Given{Harbor: j.target.Harbor}
	if j.consent.before == "" { // with --before, the registry is asked after that has run
		given.Answering = registry.Obstacle(ctx, j.target, j.s.answers)
	}
	reader, err := j.target.Open(ctx, backend.Access{Follow: j.policy.follow, Say: j.out.say})
	if err != nil {
		return f, notOpen(err)
	}
	defer reader.Close()
	if err := j.ofState(ctx, &given); err != nil {
		return f, err
	}
	f, err = apply.FindFacts(ctx, reader, j.state, given)
	if err != nil && ctx.Err() == nil {
		err = failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	return f, err
}

// ofState adds to g what the store and its state directory say against a change.
func (j *job) ofState(ctx context.Context, g *apply.Given) error {
	w, err := j.writer(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		g.NoUndo = "this system has no way to move files safely"
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Claimed(); err != nil {
		g.Claimed = err.Error()
	}
	if g.States, g.StatesErr = w.States(ctx); ctx.Err() != nil {
		return ctx.Err()
	}
	if err := w.Retained(ctx); err != nil {
		*g = g.WithoutUndo(err)
	}
	if !j.consent.keep {
		return nil
	}
	if err := w.MayUndo(ctx); err != nil {
		g.NoUndo = err.Error()
	}
	return nil
}

// writer opens the store for changes.
func (j *job) writer(ctx context.Context) (backend.OpenedStore, error) {
	w, err := j.target.OpenStore(ctx, backend.Access{Workers: j.out.workers, Follow: j.policy.follow, Say: j.out.say}, j.state)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, notOpen(err)
	}
	return w, nil
}

// loadPlan reads a plan file.
func loadPlan(path string) (*plan.Plan, plan.Header, error) {
	f, err := journal.OpenPlan(path)
	if err != nil {
		return nil, plan.Header{}, failure.Misuse("", "%w", failure.Unreadable(path, err))
	}
	defer f.Close()
	p, h, err := plan.Load(f)
	switch {
	case errors.Is(err, plan.ErrEdited):
		return nil, h, failure.New(exitcode.Refused, fmt.Errorf("%s: %w", path, err), "Make a new plan with --save-plan. Nothing was changed.")
	case err != nil:
		return nil, h, failure.Misuse("A plan is the file that regfsck fix, rm or prune wrote for --save-plan; a file from --json or --report only describes a plan.", "%s: %w", path, err)
	}
	return p, h, nil
}

// unchanged returns the failure of a run that changed nothing.
func unchanged(ctx context.Context, err error) error {
	var no *apply.Refused
	switch {
	case errors.As(err, &no):
		return refused(no.Reasons)
	case errors.Is(err, journal.ErrNoRun):
		return failure.Misuse("regfsck undo STORE --list names them.", "%w", err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return failure.New(exitcode.Incomplete, err, "Nothing was changed.")
}

// maxNamed is the most keys that a refusal prints.
const maxNamed = 20

// refused returns the failure for refusals of the guards.
func refused(reasons []apply.Refusal) *failure.Error {
	var whys, hows []string
	for _, r := range reasons {
		whys = append(whys, r.Why)
		hows = append(hows, words.Clean(r.How))
		for _, k := range r.Keys[:min(len(r.Keys), maxNamed)] {
			hows = append(hows, "  "+words.Clean(k))
		}
		if n := len(r.Keys) - maxNamed; n > 0 {
			hows = append(hows, "  … and "+words.Number(n)+" more")
		}
	}
	return failure.New(exitcode.Refused, errors.New("refused: "+strings.Join(whys, "; ")), strings.Join(append(hows, failure.NothingChanged), "\n"))
}

// emptied returns a note on the repositories that a plan leaves without tags and manifests,
// and on how they leave the registry's catalog; "" for none.
func emptied(scan *graph.Scan, p *plan.Plan) string {
	tags, manifests, whole := map[string]int{}, map[string]int{}, map[string]bool{}
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Finding == finding.RepositoryRemoved:
			whole[s.Repository] = true
		case s.Op == plan.Remove && s.Kind.IsTag():
			tags[s.Repository]++
		case s.Finding == finding.ManifestRemoved, s.Finding == finding.ManifestUnneeded:
			manifests[s.Repository]++
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if !whole[name] && tags[name] == len(slices.Collect(scan.Tags(name))) && manifests[name] == len(slices.Collect(scan.Manifests(name))) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	const most = 5
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += " and others"
	}
	return "This leaves no tag and no manifest in " + list + ". regfsck rm with the name of the repository removes it from the catalog at once; fix does so once nothing of it is newer than --grace."
}

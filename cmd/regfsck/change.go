package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"regfsck/backend"
	"regfsck/backend/disk"
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
	"regfsck/report/progress"
)

// job is a plan on its way from the arguments to the store.
type job struct {
	command  string // "fix", "rm", "prune" or "apply"
	target   location.Location
	policy   policy
	consent  consent
	out      *output
	apply    bool       // it is to be carried out
	made     bool       // it was made just now
	plan     *plan.Plan // nil: it is still to be made
	header   plan.Header
	savePlan string      // where to, "" for nowhere
	file     string      // the plan's file, "" for a plan that was made just now
	repeat   []string    // STORE and the flags under which fix makes the same plan again
	next     []string    // the command that carries it out
	reach    []string    // the flags by which the store is reached again
	state    string      // the state directory
	from     sources.All // what has blobs that the store lacks
	copyRate int64       // bytes a second of all copies from there; 0 is no limit

	choose    func(*graph.Scan) (*gc.Removal, error) // what is to go of the store; nil: what the policy says
	decisions []gc.Decision                          // of prune, once choose was called
	notes     []string                               // what a person should know of the plan
}

// change makes a plan, or takes the one there is, shows it, and carries it out
// if it is to be.
func (s *session) change(ctx context.Context, j *job) (err error) {
	if j.apply && s.getenv("GOGC") == "" {
		heap.Limit(garbageOfChange)
	}
	if j.apply && !j.consent.yes && (j.out.json || j.out.quiet) {
		return failure.New(exitcode.Refused, errors.New("--apply asks for confirmation, but --json and --quiet hide the plan"), "Add --yes, or leave them out. Nothing was changed.")
	}
	if j.state, err = outside.StateDir(j.consent.state, j.target, s.drivers, s.getenv); err != nil {
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
	if j.choose != nil { // a removal has done what was asked, whatever else is broken
		r.FailOn = finding.Fatal
	}
	if j.consent.keep {
		r.State = j.state
	}
	if j.apply && j.consent.yes {
		if err := j.takeOver(ctx, s); err != nil {
			return err
		}
	}
	if err := s.finish(ctx, j); err != nil {
		return err
	}
	o := s.options(j.policy, j.target, j.out)
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
		o.Lost = lostAtMost(j.target)
	}
	o.Fingerprint, o.Choose, o.Removed = j.apply, j.choose, s.removed(j.target, j.state)
	if o.OwnSince, err = journal.UnfinishedSince(j.state); err != nil {
		return failure.New(exitcode.Incomplete, err, "Nothing was changed.")
	}
	if err := s.examine(ctx, &r.Check, j.target, j.policy.follow, o, j.out); err != nil {
		return err
	}
	r.Result.Notes = append(r.Result.Notes, unseen(r.Result)...)
	o.Wait = nil // what moves from here on refuses the plan
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
	r.Result.Notes = append(r.Result.Notes, j.notes...)
	settle(j.decisions, r.Plan)
	r.Retention = j.decisions
	j.header.Made = r.Started
	facts, err := s.facts(ctx, j)
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
	r.Refusals = append(r.Refusals, j.outdated(s.now(), facts)...)
	r.Versions = j.describe(ctx)
	if err := j.save(r.Plan); err != nil {
		return err
	}
	if !j.apply {
		return s.deliver(r, r.Exit, j.out)
	}
	return s.carryOut(ctx, j, r, o, facts)
}

// outdated is the reason that a saved plan removes what is in use by now, for all that is
// known. One that was begun is completed all the same, by the file that its run keeps.
func (j *job) outdated(now time.Time, facts apply.Facts) (all []apply.Refusal) {
	if until := j.header.Until; !j.made && !until.IsZero() && now.After(until) && j.file != facts.UnfinishedPlan {
		all = append(all, apply.Refusal{
			Why: "the plan goes by lists or logs of images in use that are too old since " + until.UTC().Format("2006-01-02 15:04") + ": what came into use since isn't in them",
			How: "Make a new plan.",
		})
	}
	return all
}

// finish removes the directories that an interrupted run has emptied, where
// it is settled already that the store is to be changed: an empty directory of a
// tag would keep its repository from being cleaned up in this run. A plan that
// was saved was made with these directories, and would be stale without them.
func (s *session) finish(ctx context.Context, j *job) error {
	if !j.apply || !j.consent.yes || j.plan != nil || j.consent.before != "" { // nothing is changed before that has run
		return nil
	}
	facts, err := s.facts(ctx, j)
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
	s.tidied, err = apply.Finish(ctx, w, j.state)
	if err != nil {
		return unchanged(ctx, err)
	}
	return nil
}

// save writes the plan file that was asked for.
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

// facts finds out what speaks against a change besides what a scan finds.
func (s *session) facts(ctx context.Context, j *job) (f apply.Facts, err error) {
	given := apply.Given{Harbor: j.target.Harbor}
	if j.consent.before == "" { // else the registry may be at work until that has run
		given.Answering = registry.Obstacle(ctx, j.target, s.answers)
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

// ofState adds to g what speaks against the state directory.
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

// writer opens the store to be changed.
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
		return nil, h, failure.Misuse("A plan is the file that regfsck fix, rm or prune wrote for --save-plan; what they wrote for --json or --report only tells of one.", "%s: %w", path, err)
	}
	return p, h, nil
}

// carryOut shows the plan, asks, and carries it out.
func (s *session) carryOut(ctx context.Context, j *job, r *report.Plan, o check.Options, facts apply.Facts) error {
	if !j.out.json && !j.out.quiet {
		if err := s.written(r.View(j.out.text).WriteText(s.stdout, j.out.text)); err != nil {
			return err
		}
	}
	if len(r.Refusals) > 0 {
		return refused(r.Refusals)
	}
	if len(r.Plan.Steps) > 0 && !j.consent.yes {
		question := "This changes " + j.target.String() + ". To go on, type the plan id " + r.Plan.ID() + ": "
		if err := s.ask(ctx, question, "the plan id", r.Plan.ID()); err != nil {
			return err
		}
	}
	if err := j.reachRedis(ctx, r); err != nil {
		return err
	}
	around := &hooks{session: s, job: j, plan: r}
	return around.around(ctx, func() (*report.Run, error) { return s.execute(ctx, j, r, o, facts) })
}

// execute carries the plan out. The run is nil where nothing was changed; else the error
// is what broke it off.
func (s *session) execute(ctx context.Context, j *job, r *report.Plan, o check.Options, facts apply.Facts) (*report.Run, error) {
	if err := s.alone(ctx, j); err != nil { // it may have been started while the store was read, or the question asked
		return nil, err
	}
	if err := j.takeOver(ctx, s); err != nil {
		return nil, err
	}
	w, err := j.writer(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if j.consent.keep && r.Plan.TakesAway() {
		if err := w.CanUndo(ctx); err != nil {
			facts.Given = facts.WithoutUndo(err)
			no := refused(apply.Refusals(r.Result, r.Plan, j.consent.limits, facts))
			if errors.Is(err, backend.ErrStays) {
				no.Hint = strings.Replace(no.Hint, failure.NothingChanged, "Nothing else was changed.", 1)
			}
			return nil, no
		}
	}
	if o.Known, _ = s.known(j.target); o.Known != nil {
		defer o.Known.Close()
	}
	in := apply.Input{
		Store: w, Scan: o, Run: backend.Run{Keep: j.consent.keep}, State: j.state, Plan: r.Plan, Header: j.header, Found: r.Result, Made: j.made,
		Limits: j.consent.limits, Given: facts.Given, Now: s.now, Workers: j.out.workers, CopyRate: j.copyRate,
	}
	before := diskOf(s, j.target)
	phases := []string{"links again", "judge", "copy", "apply"}
	if !slices.ContainsFunc(r.Plan.Steps, func(s plan.Step) bool { return s.Kind == plan.HealedBlob }) {
		phases = slices.Delete(phases, 2, 3)
	}
	bar := s.progress(j.out, phases...)
	in.Scan.Progress = bar
	message := stopping
	if j.consent.after != "" {
		message = stoppingBeforeAfter
	}
	announced := s.announce(ctx, j.out.bar.Load(), message)
	out, err := apply.Run(ctx, in)
	announced()
	bar.Close()
	if out == nil && errors.Is(err, syscall.ENOSPC) {
		return nil, failure.New(exitcode.Incomplete, err, noRoom)
	}
	if out == nil {
		return nil, unchanged(ctx, err)
	}
	d := s.doneOf(j, out)
	d.Started, d.Finished, d.Cost = r.Started, s.now(), r.Cost.Plus(w.Cost())
	d.Plan, d.Retention = r.Plan, r.Retention
	if out.Run != "" {
		d.Disk = diskSince(before, s, j.target, out.Kept)
	}
	d.Exit = exitcode.OfRun(r.Result, r.Plan, out, r.FailOn)
	if d.Forgotten = j.forget(context.WithoutCancel(ctx), out); d.Forgotten != nil && d.Forgotten.Error != "" {
		d.Exit |= exitcode.Incomplete
	}
	return d, err
}

// diskOf returns how full the store's filesystem is; nil where it has none on this machine,
// or one that doesn't tell.
func diskOf(s *session, t location.Location) *disk.Space {
	root := t.Traits().Root
	if root == "" {
		return nil
	}
	is, err := s.disk(root)
	if err != nil {
		return nil
	}
	return &is
}

// diskSince returns how full the store's filesystem was and is. A purge is still to free so
// many bytes of it.
func diskSince(before *disk.Space, s *session, t location.Location, purge int64) *report.Disk {
	now := diskOf(s, t)
	if before == nil || now == nil {
		return nil
	}
	d := &report.Disk{Before: *before, After: *now}
	if purge > 0 {
		then := now.Freed(purge)
		d.Purged = &then
	}
	return d
}

// doneOf returns the report of a run.
func (s *session) doneOf(j *job, out *apply.Outcome) *report.Run {
	store := []string{j.target.Source()}
	if j.consent.state != "" {
		store = append(store, "--state", j.state)
	}
	if j.consent.limits.RunningOK {
		store = append(store, "--registry-running-ok")
	}
	store = append(store, j.reach...)
	return &report.Run{
		Version: version, Command: j.command, Target: j.target.String(), Store: store, Outcome: out,
		State: j.state, Configured: j.target.Config != "", Redis: j.target.Redis,
		Requests: j.target.Traits().RequestsCost, KeptAs: j.target.Traits().KeptAs,
	}
}

// deliverRun reports on a run that changed something, and says then why it
// ended early, if it did.
func (s *session) deliverRun(d *report.Run, out *output, broke error) error {
	if broke != nil {
		d.Exit |= exitcode.Incomplete
	}
	return broken(d, broke, s.deliver(d, d.Exit, out))
}

// broken is the error of a run whose answer was given, with that error or none.
func broken(d *report.Run, broke, err error) error {
	if err == nil && broke != nil {
		err = failure.New(d.Exit, broke, d.Rest())
	}
	return err
}

// unchanged says why a run changed nothing.
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

// noRoom is what to do where a run can't begin since its disk is full: even a
// journal needs room, and what is kept for an undo frees nothing.
const noRoom = "Nothing was changed. The disk is full, and a run writes its journal before it removes anything." +
	"\nAdd --undo none --state DIR to the command, with DIR on another disk, or in memory, such as /dev/shm/regfsck." +
	" What is removed then is free at once and can't be brought back."

// maxNamed is how many keys a refusal names on stderr.
const maxNamed = 20

// refused is the failure of what a guard stopped.
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

// stopping is what is said when a run that changes a store is told to stop,
// which takes until the next safe point.
const stopping = "regfsck: stopping at the next safe point; a second Ctrl-C ends it at once, and loses nothing either"

// stoppingBeforeAfter is the same where --after is still to run.
const stoppingBeforeAfter = "regfsck: stopping at the next safe point; a second Ctrl-C ends it at once, loses nothing either, and runs --after"

// announce says that message as soon as ctx ends, through the bar if there is one, until
// the returned function is called. By then a second signal ends the process, unless signals
// are held.
func (s *session) announce(ctx context.Context, bar *progress.Display, message string) (done func()) {
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		s.stops.Default()
		if bar != nil {
			bar.Say(message)
		} else {
			fmt.Fprintln(s.stderr, message)
		}
	})
	return func() {
		if !stop() {
			<-said
		}
	}
}

// emptied says which repositories a plan leaves without a tag and a manifest, and
// what takes them out of the catalog; "" for none.
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
		if !whole[name] && tags[name] == number(scan.Tags(name)) && manifests[name] == number(scan.Manifests(name)) {
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

// number counts what there is.
func number[T any](all iter.Seq[T]) (n int) {
	for range all {
		n++
	}
	return n
}

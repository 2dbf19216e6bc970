package report

import (
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// RunSchema is the name and version of the document of a run.
const RunSchema = "regfsck.apply/1"

// Run is the result of a run that changed a store, or undid another run.
type Run struct {
	Version  string
	Command  string // "fix", "apply" or "undo"
	Target   string
	Store    []string // STORE and the flags for its undo and purge
	Started  time.Time
	Finished time.Time
	Outcome  *apply.Outcome

	Plan      *plan.Plan // nil for an undo
	Retention []Retained // of prune: all decisions; nil for others

	State      string // the directory of the journal and quarantine
	Disk       *Disk  // of the store; nil if it isn't on this machine, or nothing was changed
	Configured bool   // the registry's configuration is known
	KeptAs     string // what the store itself keeps; "" if State keeps it
	Requests   bool   // requests cost money: the report has their number
	Cost       backend.Cost
	Redis      string       // the address of the cache of blob descriptors, "" for none
	Forgotten  *Forgotten   // nil if no Redis was named
	After      *HookFailure // of --after; nil if it succeeded or did not run

	Unread []string // of a plan without steps: sentences on what could not be read or judged; its view has them too

	Exit exitcode.Code

	saved *savedRun // of a saved report; else nil
}

// savedRun is the rest of a saved document.
type savedRun struct {
	tool         toolFields
	beforePushes []string
}

// Forgotten is the result of emptying the registry's cache after the run.
type Forgotten struct {
	Redis   string `json:"address"` // host, port and database
	Sure    bool   `json:"-"`       // the configuration names it
	Entries int    `json:"entries"` // keys that were deleted
	Error   string `json:"error"`   // why some may remain; "" if none does
}

// HookFailure is the failure of a user's command.
type HookFailure struct {
	Exit   int    `json:"exit"`   // -1 if it has none
	Error  string `json:"error"`  // "exit status 1", "signal: killed"
	Output string `json:"output"` // the end of its output
}

// View returns the outcome: what was done, what was not and why, what was freed, how to undo
// it, and what the registry needs.
func (r *Run) View(o view.Options) view.View {
	return r.text(o, func(t *runText) {
		if r.saved != nil {
			t.Notes(r.Unread)
		}
		t.Gap()
		t.verdict()
		t.counts()
		t.prospect()
		t.notDone()
		t.gone()
		t.elsewhere()
		t.damage()
		t.space()
		t.Disk.table(t.Printer)
		t.cache()
		t.next()
		t.after()
		t.asked()
		exitLine(t.Printer, r.Exit, meaningOf(r.Command, r.Exit))
	})
}

// Short returns the outcome in one line.
func (r *Run) Short(o view.Options) view.View { return r.text(o, (*runText).verdict) }

// runText writes a Run.
type runText struct {
	*Run
	*view.Printer
}

func (r *Run) text(o view.Options, say func(*runText)) view.View {
	return view.Of(o, func(p *view.Printer) { say(&runText{r, p}) })
}

// undone reports whether the run was an undo.
func (r *Run) undone() bool { return r.Command == "undo" }

// verdict writes the verdict line.
func (t *runText) verdict() {
	n := t.Outcome.Steps
	if t.undone() {
		n = t.Outcome.Objects()
	}
	word, st := "DONE", view.Green
	switch {
	case t.Outcome.Interrupted:
		word, st = "STOPPED before the end", view.Yellow
	case n.Skipped+n.Failed > 0, len(t.Outcome.RemovedLater)+len(t.Outcome.RemovedElsewhere) > 0, t.Outcome.Damage != "":
		word, st = "DONE IN PART", view.Yellow
	case t.Outcome.Run == "" || t.undone() && n.Done+len(t.Outcome.Strays) == 0:
		word, st = "NOTHING TO DO", view.Green
	case t.undone():
		word = "UNDONE"
	}
	if word == "NOTHING TO DO" && !t.undone() {
		t.Line(0, t.Paint(st, word))
		return
	}
	line := words.Plural(n.Done+len(t.Outcome.Strays), "object", "objects") + " restored" + leftOf(n)
	if !t.undone() {
		line = words.Plural(n.Done, "step", "steps") + " done" + leftOf(n) + ", " + words.Size(n.Bytes) + " removed, " + words.Size(t.Outcome.Freed) + " freed"
	}
	if t.Outcome.Kept > 0 {
		line += ", " + words.Size(t.Outcome.Kept) + " kept for undo"
	}
	if t.Outcome.Run != "" {
		line += "; run " + t.Outcome.Run
	}
	t.Printer.Verdict(t.Paint(st, word), ": ", words.Clean(line))
}

// leftOf returns how many steps were not done, to follow how many were.
func leftOf(n apply.Tally) (text string) {
	if n.Skipped > 0 {
		text += ", " + words.Number(n.Skipped) + " skipped"
	}
	if n.Failed > 0 {
		text += ", " + words.Number(n.Failed) + " failed"
	}
	return text
}

// counts writes the results by kind of finding.
func (t *runText) counts() {
	if len(t.Outcome.Counts) == 0 {
		return
	}
	done := "done"
	if t.undone() {
		done = "restored"
	}
	t.Gap()
	t.Table(1, view.Column{Width: 24}, view.Column{Name: done, Width: 10, Right: true}, view.Column{Name: "size", Width: 12, Right: true, Drop: 1},
		view.Column{Name: "skipped", Width: 10, Right: true}, view.Column{Name: "failed", Width: 10, Right: true})
	for _, id := range append(slices.Collect(finding.All), finding.None) {
		if c, ok := t.Outcome.Counts[id]; ok {
			t.Row(KindName(id), words.Number(c.Done), some(c.Bytes), words.Number(c.Skipped), words.Number(c.Failed))
		}
	}
	if n := t.Outcome.Directories; n > 0 && !t.undone() {
		t.Line(1, t.Paint(view.Dim, words.Plural(n, "empty directory was", "empty directories were")+" removed too"))
	}
}

// KindName returns the name of a step's kind; a journal of another version may have an
// unknown one.
func KindName(k finding.Kind) string {
	if k == finding.None {
		return "unknown"
	}
	return k.String()
}

// notDone writes the steps that were not carried out, by reason.
func (t *runText) notDone() {
	if len(t.Outcome.NotDone) == 0 {
		return
	}
	t.Lead(0, t.Paint(view.Yellow, "NOT DONE"))
	type reason struct {
		text   string
		failed bool
	}
	for _, why := range grouped(t.Outcome.NotDone, func(l *apply.NotDone) reason { return reason{l.Reason, l.Failed} }) {
		word := "skipped: "
		if why[0].Failed {
			word = "failed: "
		}
		t.Prose(1, word+words.Clean(why[0].Reason))
		for i, l := range why {
			if t.Limit > 0 && i >= t.Limit {
				t.Line(3, t.Paint(view.Dim, "… and "+words.Number(len(why)-i)+" more (--report FILE.json names all)"))
				break
			}
			t.Line(3, words.Clean(l.Step.Key), t.Paint(view.Dim, "  "+KindName(l.Step.Finding)))
		}
	}
	if t.Outcome.Interrupted || t.undone() {
		return
	}
	t.Gap()
	said := "Skipped steps changed nothing, and everything they need was kept."
	if slices.ContainsFunc(t.Outcome.NotDone, func(l apply.NotDone) bool { return l.Failed }) {
		said = "A failed step may have changed something."
	}
	t.Prose(0, said+" Run fix again: it makes a new plan.")
}

// gone lists later runs that removed for good what the undo may need.
func (t *runText) gone() {
	if len(t.Outcome.RemovedLater) == 0 {
		return
	}
	t.Para(0, "Later runs removed files for good that the restored ones may need. Run regfsck check. These runs:")
	for _, id := range t.Outcome.RemovedLater {
		t.Line(1, words.Clean(id))
	}
}

// elsewhere lists later runs with other state directories that removed what the undo may
// need.
func (t *runText) elsewhere() {
	var commands, final []string
	for _, r := range t.Outcome.RemovedElsewhere {
		if r.ForGood {
			final = append(final, words.Clean(r.ID+" with the state directory "+r.State))
			continue
		}
		store := slices.Clone(t.Store)
		if at := slices.Index(store, "--state"); at > 0 {
			store = slices.Delete(store, at, at+2)
		}
		commands = append(commands, ofStore(store, "undo", r.ID, "--state", r.State))
	}
	said := "Later runs with other state directories removed files that the restored ones may need. Run regfsck check. "
	list := func(what string, lines []string) {
		if len(lines) == 0 {
			return
		}
		t.Para(0, said+what)
		for _, line := range lines {
			t.Line(1, line)
		}
		said = ""
	}
	list("These commands undo them:", commands)
	list("These removed files for good:", final)
}

// damage writes what is unknown because of a damaged journal.
func (t *runText) damage() {
	if n := len(t.Outcome.Strays); n > 0 {
		t.Lead(0, "Restored by their names, because the journal does not list them:")
		for i, key := range t.Outcome.Strays {
			if t.Limit > 0 && i >= t.Limit {
				t.Line(1, t.Paint(view.Dim, "… and "+words.Number(n-i)+" more"))
				break
			}
			t.Line(1, words.Clean(key))
		}
	}
	if t.Outcome.Damage == "" {
		return
	}
	t.Para(0, "The journal of this run is damaged: "+words.Clean(t.Outcome.Damage)+". This report may lack some of its changes, and links that it wrote may be left. Run regfsck check.")
}

// space writes how much was freed, and how much is quarantined.
func (t *runText) space() {
	blocks := "Contents of " + words.Size(t.Outcome.Steps.Bytes) + " were removed; the disk counts whole blocks."
	switch {
	case t.undone():
		return
	case !t.Outcome.Keep && t.Outcome.Freed > 0 && t.KeptAs == "":
		t.Lead(0, blocks)
	}
	if !t.Outcome.Keep || t.Outcome.Kept == 0 {
		return
	}
	t.Gap()
	where := "They are in:"
	if t.KeptAs != "" {
		where = "They are " + t.KeptAs + " now; the journal is in:"
	}
	t.Prose(0, words.Size(t.Outcome.Kept)+" are kept for undo and still use space. "+where)
	t.Line(1, words.Clean(t.State))
	if t.KeptAs == "" {
		t.Line(0, blocks)
	}
	t.Prose(0, "This frees the space, and ends the undo:")
	t.Line(1, t.command("purge"))
}

// removes reports whether the run was a removal. Its request can't be repeated, so no other
// plan can complete it.
func (r *Run) removes() bool { return r.Command == "rm" || r.Command == "prune" }

// plan returns the path of the run's plan file.
func (r *Run) plan() string { return filepath.Join(r.State, "runs", r.Outcome.Run, "plan.jsonl") }

// Rest describes how to complete an interrupted run.
func (r *Run) Rest() string {
	if r.removes() {
		return "The run stopped there. regfsck apply " + words.Quote(r.plan()) + " completes it; regfsck undo reverts it."
	}
	return "The run stopped there. The next regfsck fix completes it; regfsck undo reverts it."
}

// asked writes the requests of the run.
func (t *runText) asked() {
	if t.Requests {
		t.Lead(0, t.Paint(view.Dim, requests(&t.Cost)))
	}
}

// command returns a command about this run.
func (t *runText) command(verb string) string { return ofStore(t.Store, verb, t.Outcome.Run) }

// cache writes that the registry's cache must be emptied before pushes.
func (t *runText) cache() {
	if f := t.Forgotten; f != nil {
		t.Gap()
		switch {
		case f.Error == "" && f.Entries == 0:
			t.Prose(0, "Redis ("+words.Clean(f.Redis)+") holds no cache of a registry: 0 entries were found.")
		case f.Error == "":
			t.Prose(0, "The registry's cache in Redis ("+words.Clean(f.Redis)+") was emptied: "+words.Plural(f.Entries, "entry", "entries")+".")
		default:
			t.Prose(0, t.Paint(view.Yellow, "The registry's cache in Redis ("+words.Clean(f.Redis)+") may still contain what was removed: "+words.Clean(f.Error)))
		}
	}
	for i, s := range t.cacheNote() {
		if i == 0 {
			t.Gap()
		}
		t.Prose(0, s)
	}
}

// cacheNote describes, in sentences, what must be done before pushes; none if nothing was
// removed.
func (r *Run) cacheNote() []string {
	if r.saved != nil {
		return r.saved.beforePushes
	}
	if r.undone() && !r.removedAgain() || !r.undone() && r.Outcome.Steps.Done == 0 || r.Forgotten != nil && r.Forgotten.Error == "" && r.Forgotten.Sure {
		return nil
	}
	const why = `The registry caches which blobs exist. Until it is restarted, it answers pushes of removed blobs with "already exists".`
	keys := "delete the keys blobs::* and repository::*"
	switch {
	case r.Redis != "":
		return []string{`The registry caches in Redis which blobs exist. Until that is cleared, it answers pushes of removed blobs with "already exists".`, "Before you allow pushes: " + keys + " in Redis (" + words.Clean(r.Redis) + ") and restart the registry. A restart alone is not enough."}
	case r.Configured:
		return []string{why, "Before you allow pushes: restart the registry."}
	}
	return []string{why, "Before you allow pushes: restart the registry. If its configuration names Redis as cache, that is not enough: " + keys + " there, too."}
}

// after writes that --after failed.
func (t *runText) after() {
	if t.After != nil {
		t.Para(0, t.Paint(view.Yellow, "--after failed: "+words.Clean(t.After.Error)+".")+" What it does, such as starting the registry, may not be done.")
	}
}

// removedAgain reports whether an undo may have removed what its run had written.
func (r *Run) removedAgain() bool {
	for k, n := range r.Outcome.Counts {
		if n.Done > 0 && k.IsRepaired() {
			return true
		}
	}
	return false
}

// next writes how to undo or complete the run.
func (t *runText) next() {
	if t.Outcome.Run == "" {
		return
	}
	if t.Outcome.Interrupted && !t.undone() {
		t.Gap()
		if t.removes() {
			t.Prose(0, "It stopped at a safe point: no step is half done. This does the rest:")
			t.Line(1, commandOf("apply", t.plan()))
		} else {
			t.Prose(0, "It stopped at a safe point: no step is half done. The same command again does the rest.")
		}
	}
	switch {
	case t.undone() && t.Outcome.Interrupted, t.undone() && t.Outcome.Steps.Failed > 0:
		t.Lead(0, t.Paint(view.Bold, "Continue: "), t.command("undo"))
	case t.undone():
	case t.Outcome.Keep:
		t.Lead(0, t.Paint(view.Bold, "To undo:  "), t.command("undo"))
		if n := t.Outcome.Counts[finding.MultipartStale].Done; n > 0 {
			t.Prose(0, "Undo can't restore what was aborted: "+words.Plural(n, "multipart upload", "multipart uploads")+".")
		}
	default:
		t.Lead(0, "It can't be undone (--undo none).")
	}
}

// runFields is the document of a run.
type runFields struct {
	timedFields
	Seconds      float64                        `json:"seconds,omitempty"`
	Command      string                         `json:"command"`
	Run          string                         `json:"run"`
	Plan         string                         `json:"plan"`
	Resumed      bool                           `json:"resumed"`
	Interrupted  bool                           `json:"interrupted"`
	Phases       []phaseFields                  `json:"phases"`
	Totals       apply.Tally                    `json:"totals"`
	Healing      *healingFields                 `json:"healing,omitempty"` // if sources were asked
	Counts       iter.Seq2[string, apply.Tally] `json:"counts"`
	Directories  int                            `json:"folders"`
	Freed        int64                          `json:"freed_bytes"`
	Kept         int64                          `json:"kept_bytes"`
	CanUndo      bool                           `json:"can_undo"`
	State        string                         `json:"state"`
	Disk         *Disk                          `json:"disk,omitempty"`
	KeptAs       string                         `json:"kept_as,omitempty"` // what the store itself keeps
	Store        []string                       `json:"again,omitempty"`   // STORE and the flags for its undo and purge
	Cost         *askedFields                   `json:"cost,omitempty"`
	Forgotten    *Forgotten                     `json:"redis,omitempty"`
	After        *HookFailure                   `json:"after,omitempty"` // if --after failed
	Tags         iter.Seq[retainedFields]       `json:"tags,omitzero"`
	Steps        iter.Seq[*plan.Step]           `json:"steps,omitzero"` // of the plan; those not done are in NotDone
	NotDone      iter.Seq[notDoneFields]        `json:"left"`
	RemovedLater []string                       `json:"gone_runs"`
	Elsewhere    iter.Seq[apply.OtherRun]       `json:"other_runs"`
	Damage       string                         `json:"damage"`
	Strays       []string                       `json:"strays"`
	BeforePushes []string                       `json:"before_pushes"`
	Notes        []string                       `json:"notes,omitempty"` // on what could not be read or judged
	Exit         exitFields                     `json:"exit"`
}

// notDoneFields is a step that was not carried out.
type notDoneFields struct {
	Key     string `json:"key"`
	Op      string `json:"op"`
	Finding string `json:"finding"`
	Reason  string `json:"reason"`
	Failed  bool   `json:"failed"`

	Kind       string `json:"kind"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	Bytes      int64  `json:"bytes"`
}

func notDoneOf(l *apply.NotDone) notDoneFields {
	s := &l.Step
	return notDoneFields{s.Key, string(s.Op), KindName(s.Finding), l.Reason, l.Failed, string(s.Kind), s.Repository, s.Tag, s.Digest, s.Bytes}
}

// Fields returns the document.
func (r *Run) Fields() any {
	o := r.Outcome
	d := runFields{
		timedFields: timed(RunSchema, r.Version, r.Target, r.Started, r.Finished), Seconds: r.Finished.Sub(r.Started).Seconds(), Command: r.Command, Run: o.Run, Plan: o.Plan,
		Resumed: o.Resumed, Interrupted: o.Interrupted, Phases: phasesOf(o.Phases), Totals: o.Steps, Counts: r.byName, Directories: o.Directories,
		Freed: o.Freed, Kept: o.Kept, CanUndo: o.Keep, State: r.State, Disk: r.Disk, KeptAs: r.KeptAs, Store: document.List(r.Store), Cost: askedOf(r.Requests, r.Cost), Forgotten: r.Forgotten, After: r.After,
		Healing: (*healingFields)(o.Healed), NotDone: document.Each(o.NotDone, notDoneOf),
		RemovedLater: document.List(o.RemovedLater), Elsewhere: slices.Values(o.RemovedElsewhere), Damage: o.Damage, Strays: document.List(o.Strays),
		BeforePushes: document.List(r.cacheNote()), Notes: r.Unread, Exit: exitOf(r.Exit),
	}
	if r.saved != nil {
		d.Tool = r.saved.tool
	}
	if r.Retention != nil {
		d.Tags = document.Each(r.Retention, retainedOf)
	}
	if r.Plan != nil {
		d.Steps = document.Each(r.Plan.Steps, func(s *plan.Step) *plan.Step { return s })
	}
	return d
}

// byName yields the results by the names of kinds.
func (r *Run) byName(yield func(string, apply.Tally) bool) {
	byName := func(a, b finding.Kind) int { return strings.Compare(a.String(), b.String()) }
	for _, id := range slices.SortedFunc(maps.Keys(r.Outcome.Counts), byName) {
		if !yield(KindName(id), r.Outcome.Counts[id]) {
			return
		}
	}
}

package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Refusal is a reason not to carry out a plan.
type Refusal struct {
	Why  string   `json:"why"`  // a clause: "a registry answers at localhost:5000"
	How  string   `json:"how"`  // a sentence: what to do about it
	Keys []string `json:"keys"` // keys or names that it is about, if any
}

// Refused is the error of a run that guards stopped. Nothing was changed.
type Refused struct {
	Reasons []Refusal // not empty
}

// Error returns all reasons.
func (r *Refused) Error() string {
	whys := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		whys[i] = reason.Why
	}
	return "refused: " + strings.Join(whys, "; ")
}

// maxLinkless is the most blobs without a link, newer than the last pushes, that a crashed
// push may have left.
const maxLinkless = 10

// Refusals returns the reasons not to carry out a plan, in a fixed order; none if it may run.
// r is the check that the plan was made from. A dry run shows them too. A plan without steps
// is refused only for rejections.
func Refusals(r *check.Result, p *plan.Plan, l Limits, f Facts) []Refusal {
	if len(p.Steps) == 0 {
		return rejectionRefusals(r)
	}
	return slices.Concat(factRefusals(p, l, f), storeRefusals(r, l), amountRefusals(r, p, l, f), doubtRefusals(r, p, l, f))
}

// rejectionRefusals refuses removals that can't be met.
func rejectionRefusals(r *check.Result) (all []Refusal) {
	for _, d := range r.Rejected {
		all = append(all, Refusal{
			Why: d.Ref + " can't be removed: " + d.Why,
			How: "Name what keeps it too, or leave it out. Nothing is planned until everything that was named can be removed.",
		})
	}
	return all
}

// factRefusals returns the reasons that need no scan.
func factRefusals(p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if f.Undoing != "" {
		why, run, others := "the undo of run "+f.Undoing, "STORE "+f.Undoing, ""
		if f.UndoingState != "" {
			why, run = why+" with the state directory "+f.UndoingState, run+" --state "+words.Quote(f.UndoingState)
			others = " If that directory is another store's, remove its line from " + statesOf + "."
		}
		all = append(all, Refusal{
			Why: why + " isn't finished",
			How: "Finish it with: regfsck undo " + run + ". If a damaged journal keeps it from ending, look at what was restored; then regfsck purge --damaged " + run +
				" deletes the rest for good." + others,
		})
	}
	for _, why := range f.unread {
		all = append(all, Refusal{
			Why: why + ", so it is unknown whether an undo there is unfinished",
			How: "Run this as a user who may read it. If nothing there is needed any more, remove its line from " + statesOf + ", or that directory if it is the store's own.",
		})
	}
	all = append(all, RegistryRefusals(l, f.Answering)...)
	if f.Claimed != "" {
		all = append(all, claimRefusal(f.Claimed))
	}
	if f.Retained != "" {
		all = append(all, retentionRefusal(f.Retained))
	}
	if f.NoUndo != "" && !l.NoUndoOK && p.TakesAway() {
		how := "--undo none does without an undo."
		if f.CannotDelete || f.Retained != "" {
			how = "Fix that first: --undo none would be refused too."
		}
		all = append(all, Refusal{Why: "removed files could not be restored: " + f.NoUndo, How: how})
	}
	return all
}

func retentionRefusal(why string) Refusal {
	return Refusal{Why: why, How: "Do that while regfsck runs, and set it again afterwards; what is locked already remains locked. --undo none would not help."}
}

// RegistryRefusals refuses a change while a registry is running that may change the store;
// answering describes it, or is "". Undo and purge use it too.
func RegistryRefusals(l Limits, answering string) (all []Refusal) {
	if answering != "" && !l.RunningOK {
		all = append(all, Refusal{
			Why: answering,
			How: "Stop it, or set storage.maintenance.readonly.enabled and restart it; if it serves another store, or is known to be read-only, add --registry-running-ok.",
		})
	}
	return all
}

func claimRefusal(why string) Refusal {
	return Refusal{Why: why, How: "Give each store its own state directory with --state, in which only regfsck writes."}
}

// storeRefusals returns the reasons in the check's result.
func storeRefusals(r *check.Result, l Limits) (all []Refusal) {
	unasked := 0
	if r.Scan != nil {
		unasked = len(r.Scan.Graph.Unasked)
	}
	unread := r.Counts[finding.StoreUnreadable].Count - unasked
	if unasked > 0 {
		all = append(all, Refusal{
			Why: words.Plural(unasked, "blob that is missing or corrupt", "blobs that are missing or corrupt") + " may be in a place that could not be read",
			How: "Bring the source up, or leave it out of --from. Make the state directories readable. " +
				"What a lost manifest needs is unknown, so nothing is removed.",
			Keys: findingPaths(r, finding.StoreUnreadable),
		})
	}
	if !r.Complete && unread > 0 {
		all = append(all, Refusal{
			Why:  "the scan is incomplete: " + words.Plural(unread, "entry", "entries") + " could not be read",
			How:  "Make them readable, or name a link or mount with --follow. What can't be read may need any blob.",
			Keys: findingPaths(r, finding.StoreUnreadable),
		})
	}
	if n := r.Counts[finding.StoreChanged].Count; n > 0 {
		all = append(all, Refusal{
			Why:  "the store was changed while it was read, in " + words.Plural(n, "place", "places"),
			How:  "Stop the registry or make it read-only, and run this again.",
			Keys: findingPaths(r, finding.StoreChanged),
		})
	}
	if where := r.Doubts.Database; where != "" {
		all = append(all, Refusal{
			Why: "this registry keeps its links in a database, according to " + where,
			How: "Use the registry's own tools. Remove that mark only if the registry no longer uses the database.",
		})
	}
	if r.Totals.Repositories == 0 && r.Totals.Blobs > 0 {
		all = append(all, Refusal{
			Why: "the store has " + words.Plural(r.Totals.Blobs, "blob", "blobs") + " and no repository",
			How: "Check that this is the whole store and that all its disks are mounted. If it isn't needed any more, delete its directory.",
		})
	}
	if missing := missingBlobs(r); float64(missing) > l.MaxDelete*float64(missing+r.Totals.ReferencedBlobs) {
		verb := " are missing"
		if missing == 1 {
			verb = " is missing"
		}
		all = append(all, Refusal{
			Why: words.Number(missing) + " of " + words.Plural(missing+r.Totals.ReferencedBlobs, "needed blob", "needed blobs") + verb,
			How: "Check that all disks of the store are mounted. If that many are really lost, add " + maxDeleteFlag(missing, missing+r.Totals.ReferencedBlobs) + ".",
		})
	}
	return all
}

// missingBlobs returns how many needed blobs are missing.
func missingBlobs(r *check.Result) int {
	if r.Counts[finding.BlobMissing].Count+r.Counts[finding.ManifestMissing].Count+r.Counts[finding.TagDangling].Count == 0 {
		return 0
	}
	missing := map[layout.AnyDigest]bool{}
	for f := range r.Findings {
		switch f.Kind {
		case finding.BlobMissing, finding.ManifestMissing, finding.TagDangling:
			if (f.Cure == finding.CureHeal || f.Spare) && r.Totals.Blobs > 0 { // whoever names a source knows that they are lost
				continue
			}
			if d, ok := layout.ParseAnyDigest(f.Digest); ok {
				missing[d] = true
			}
		}
	}
	return len(missing)
}

// Unread returns sentences on what could not be read or judged, and what to do: for a plan
// without steps, since no guard refuses it. There are none if everything is known.
func Unread(r *check.Result) (all []string) {
	if n := r.Counts[finding.StoreUnreadable].Count; n > 0 {
		all = append(all, words.Plural(n, "entry", "entries")+" could not be read: "+someOf(findingPaths(r, finding.StoreUnreadable), n)+
			". Make what is there readable, or name a link or mount with --follow, and run this again.")
	}
	if n := r.Counts[finding.StoreChanged].Count; n > 0 {
		all = append(all, "The store was changed while it was read, in "+words.Plural(n, "place", "places")+": "+someOf(findingPaths(r, finding.StoreChanged), n)+
			". Stop the registry or make it read-only, and run this again.")
	}
	if n := r.Totals.TagsUnknown; n > 0 && all == nil {
		var refs []string
		for t := range r.Unknown {
			if refs = append(refs, t.Ref()); len(refs) == maxNamed {
				break
			}
		}
		all = append(all, words.Plural(n, "tag", "tags")+" could not be judged: "+someOf(refs, n)+". regfsck check shows why.")
	}
	return all
}

// maxNamed is the most keys in a sentence.
const maxNamed = 3

// someOf returns the first of n keys, and how many more there are.
func someOf[T int | int64](keys []string, n T) string {
	keys = keys[:min(len(keys), maxNamed)]
	text := strings.Join(keys, ", ")
	if rest := n - T(len(keys)); rest > 0 {
		text += " and " + words.Number(rest) + " more"
	}
	return text
}

// maxKeys is the most keys of a refusal.
const maxKeys = 20

// findingPaths returns the keys of the first findings of a kind.
func findingPaths(r *check.Result, id finding.Kind) (keys []string) {
	for f := range r.Findings {
		if f.Kind == id && len(keys) < maxKeys {
			keys = append(keys, f.Path)
		}
	}
	return keys
}

// Share is how much of one kind of objects is removed.
type Share struct {
	Name      string `json:"name"`
	Removed   int64  `json:"removed"`
	Remaining int64  `json:"remaining"` // after the removal
	Total     int64  `json:"total"`     // before it
	Bytes     bool   `json:"in_bytes"`  // in bytes; otherwise in objects
}

// Shares returns how much of a store a plan removes. The store includes what interrupted runs
// removed, but the plan doesn't. Both reports and the guard use it.
func Shares(r *check.Result, p *plan.Plan, f Facts) []Share {
	t, planned, before := &r.Totals, RemovalTotals(p, f), f.removed
	share := func(name string, planned, is, before int) Share {
		return Share{name, int64(planned), int64(is - planned), int64(is + before), false}
	}
	return []Share{
		share("blobs", planned.Blobs, t.Blobs, before.Blobs),
		share("manifests", planned.Manifests, t.Revisions, before.Manifests),
		share("tags", planned.Tags, t.Tags, before.Tags),
		share("layer links", planned.LayerLinks, t.LayerLinks, before.LayerLinks),
		share("repositories", planned.Repositories, t.Repositories, before.Repositories),
		{"size of blobs", planned.BlobBytes, t.Bytes - planned.BlobBytes, t.Bytes + before.BlobBytes, true},
	}
}

// singular returns the singular of a Share's name.
func singular(name string) string {
	if one, ok := strings.CutSuffix(name, "ies"); ok {
		return one + "y"
	}
	return strings.TrimSuffix(name, "s")
}

// RemovalTotals returns what a plan removes, without what was removed already.
func RemovalTotals(p *plan.Plan, f Facts) plan.Totals {
	left := plan.Plan{Steps: slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool {
		return s.Op == plan.Remove && f.removedKeys[s.Key]
	})}
	return left.Totals()
}

// amountRefusals refuses plans that remove too much.
func amountRefusals(r *check.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if l.AnyAmount {
		return nil
	}
	for _, k := range Shares(r, p, f) {
		if !k.Bytes && k.Total > 0 && k.Total >= int64(l.MinObjects) && float64(k.Removed) > l.MaxDelete*float64(k.Total) {
			all = append(all, Refusal{
				Why: fmt.Sprintf("%s of the %s would be removed, %.1f %%", words.Number(k.Removed), words.Plural(k.Total, singular(k.Name), k.Name), 100*float64(k.Removed)/float64(k.Total)),
				How: "Look at the plan. If it is right, add " + maxDeleteFlag(int(k.Removed), int(k.Total)) + ".",
			})
		}
	}
	return all
}

// maxDeleteFlag returns the flag that allows that share.
func maxDeleteFlag(n, of int) string {
	percent := (100*n + of - 1) / of
	return fmt.Sprintf("--max-delete %d%%", percent)
}

// removedBy returns the keys that runs removed, with their totals. An intent without a
// receipt counts as removed, as it did when that run began.
func removedBy(runs []*journal.Run) (keys map[string]bool, n plan.Totals) {
	keys, taken := map[string]bool{}, plan.Plan{}
	for _, p := range runs {
		for _, i := range p.Intents {
			if i.Op == plan.Remove && !keys[i.Key] && p.Receipts[i.Key].Err == "" {
				keys[i.Key] = true
				taken.Steps = append(taken.Steps, plan.Step{
					Op: i.Op, Kind: i.Kind, Key: i.Key, Finding: i.Reason(), Bytes: i.Bytes, Repository: layout.ParseDirectory(strings.TrimSuffix(i.Key, "/")).Repository,
				})
			}
		}
	}
	return keys, taken.Totals()
}

// doubtRefusals returns the signs that the store's links or tags are in a database.
func doubtRefusals(r *check.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if n := r.Doubts.Linkless - f.Unlinked; n > maxLinkless && !f.FilesystemInUse && removesFor(p, finding.BlobOrphan) {
		all = append(all, Refusal{
			Why: words.Plural(n, "blob", "blobs") + " that no link names are newer than the last push that wrote links: this registry seems to keep its links in a database",
			How: "If it does not, create an empty file " + layout.Locks + "/filesystem-in-use in the store.",
		})
	}
	if !l.AllowTagless {
		all = append(all, untaggedRefusals(r, p, l, f)...)
	}
	return all
}

// untaggedRefusals returns the signs that the tags of untagged manifests to remove are in a
// database.
func untaggedRefusals(r *check.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	untagged := removesFor(p, finding.ManifestUntagged)
	byRule := l.ByRule && removesFor(p, finding.ManifestRemoved)
	if f.Harbor != "" && (untagged || byRule || l.ByRule && removesFor(p, finding.ManifestUnneeded)) {
		all = append(all, Refusal{
			Why: "this is Harbor's registry, according to " + f.Harbor + ": its tags are in Harbor's database, so it is unknown which manifests have one",
			How: "Delete images through Harbor, and leave --untagged and the like out. If Harbor no longer uses this store, add --allow-tagless.",
		})
	}
	if len(r.Doubts.Tagless) > 0 && (untagged || l.ByRule && removesIn(p, finding.ManifestRemoved, r.Doubts.Tagless)) {
		all = append(all, Refusal{
			Why:  words.Plural(len(r.Doubts.Tagless), "repository has", "repositories have") + " manifests and no tag at all: this registry seems to keep its tags in a database",
			How:  "Leave --untagged and the like out. If these repositories really have no tags, add --allow-tagless.",
			Keys: r.Doubts.Tagless,
		})
	}
	if len(r.Doubts.Overtaken) > 0 && (untagged || byRule) {
		all = append(all, Refusal{
			Why:  "in " + words.Plural(len(r.Doubts.Overtaken), "repository", "repositories") + " the newest manifests have no tag, and every tag is older: this registry seems to have moved its tags to a database, as Harbor does",
			How:  "Leave --untagged and the like out. If there are no other tags, add --allow-tagless.",
			Keys: r.Doubts.Overtaken,
		})
	}
	return all
}

// removesFor reports whether the plan removes anything for a kind of finding.
func removesFor(p *plan.Plan, id finding.Kind) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Finding == id })
}

// removesIn is removesFor for the given repositories, which are sorted.
func removesIn(p *plan.Plan, id finding.Kind, repositories []string) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		_, of := slices.BinarySearch(repositories, s.Repository)
		return of && s.Finding == id
	})
}

// Given are facts that only the caller knows.
type Given struct {
	Harbor       string // the setting that shows that the store is Harbor's, with tags in a database; "" for none
	Answering    string // a running registry that may change the store, a clause; or ""
	NoUndo       string // why what is removed could not be restored, a clause; "" if it can
	Retained     string // why what a run writes for itself could not be removed again, a clause; "" if it can
	CannotDelete bool   // NoUndo is because nothing can be removed for good, so that --undo none wouldn't help
	Claimed      string // why the state directory can't be this store's, a clause; "" if it can

	States    []backend.StateDir // the store's other state directories, of backend.Claimer
	StatesErr error              // why they are unknown, or not all known
}

// statesOf names for people the store's record of its state directories.
const statesOf = "the store's " + backend.Own + "/states"

// WithoutUndo returns g with the reason why a store can't quarantine.
func (g Given) WithoutUndo(err error) Given {
	if errors.Is(err, backend.ErrRetained) {
		g.Retained = err.Error()
		return g
	}
	g.NoUndo, g.CannotDelete = err.Error(), errors.Is(err, backend.ErrTestObject)
	return g
}

// Facts are what guards know besides the scan. FindFacts returns them.
type Facts struct {
	Given

	FilesystemInUse bool              // GitLab's mark of a store whose metadata are files
	Undoing         string            // a run whose undo is unfinished, or ""
	UndoingState    string            // its state directory, if that is one of Given.States
	Unfinished      string            // the last run, if it was interrupted or left directories: the next run finishes it; or ""
	UnfinishedPlan  string            // its plan file, if it was a removal, which no other plan may continue; else ""
	Damaged         []journal.Summary // runs with a damaged journal that can be undone or purged
	Unlinked        int               // blobs that lost a link to that run

	unread      []string        // why the runs with another state directory are unknown
	removedKeys map[string]bool // the keys that it and interrupted runs before it removed
	removed     plan.Totals     // their totals
}

// FindFacts returns the facts of the store and the state directory.
func FindFacts(ctx context.Context, r backend.Reader, state string, g Given) (Facts, error) {
	f := Facts{Given: g}
	_, err := r.Stat(ctx, layout.Locks+"/filesystem-in-use")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("%s/filesystem-in-use: %w", layout.Locks, err)
	}
	f.FilesystemInUse = err == nil
	all, err := journal.ReadAll(state)
	if err != nil {
		return f, err
	}
	for _, p := range all {
		if r := p.Summary(); r.Damage != "" && r.CanUndo() {
			f.Damaged = append(f.Damaged, r)
		}
	}
	f.findUndoing(state, all)
	open, err := journal.ReadUnfinished(state, all)
	for _, p := range open {
		if f.Unfinished == "" && (p.Begin.Command == "rm" || p.Begin.Command == "prune") {
			f.UnfinishedPlan = filepath.Join(p.Dir, journal.PlanName)
		}
		f.Unfinished = cmp.Or(f.Unfinished, p.ID)
		f.Unlinked += p.UnlinkedBlobs()
	}
	f.removedKeys, f.removed = removedBy(open)
	return f, err
}

// findUndoing finds a run whose undo is unfinished. What that undo has restored may have no
// references yet, so that no run may judge it, whatever its state directory is. A damaged
// journal changes nothing of that.
func (f *Facts) findUndoing(state string, own []*journal.Run) {
	find := func(runs []*journal.Run, of string) {
		for _, p := range runs {
			if p.Status() == journal.Undoing {
				f.Undoing, f.UndoingState = p.ID, of
			}
		}
	}
	if f.StatesErr != nil {
		f.unread = append(f.unread, "the state directories of the store can't be read: "+f.StatesErr.Error())
	}
	for _, d := range f.States {
		why := d.Unread
		if d.Reachable() && d.Path != state {
			runs, err := journal.ReadAll(d.Path)
			if err != nil {
				why = err.Error()
			}
			find(runs, d.Path)
		}
		if why != "" && d.Path != state {
			f.unread = append(f.unread, "the state directory "+d.Path+" can't be read: "+why)
		}
	}
	find(own, "")
}

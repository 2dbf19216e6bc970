package apply

import (
	"errors"
	"slices"
	"strings"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Refusal is one reason not to carry a plan out.
type Refusal struct {
	Why  string   // a clause: "a registry answers at localhost:5000"
	How  string   // a sentence on how to go on
	Keys []string // keys or names that it is about, where there are any
}

// Refused is the error of a run that a guard stopped. Nothing was changed.
type Refused struct {
	Reasons []Refusal // at least one
}

// Error names all reasons.
func (r *Refused) Error() string {
	whys := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		whys[i] = reason.Why
	}
	return "refused: " + strings.Join(whys, "; ")
}

// maxLinkless is how many blobs without a link may be newer than the last pushes: so
// many, a push that crashed may have left.
const maxLinkless = 10

// Refusals are the reasons not to carry a plan out, in a fixed order; none if
// it may run. r is the judgement that the plan was made from. A dry run shows
// what Run would refuse; a plan without steps is refused only where that is since
// something can't go that was named.
func Refusals(r *graph.Result, p *plan.Plan, l Limits, f Facts) []Refusal {
	if len(p.Steps) == 0 {
		return rejectionRefusals(r)
	}
	return slices.Concat(factRefusals(p, l, f), storeRefusals(r, l), amountRefusals(r, p, l, f), doubtRefusals(r, p, l, f))
}

// rejectionRefusals are the reasons for which what is named can't go.
func rejectionRefusals(r *graph.Result) (all []Refusal) {
	for _, d := range r.Denied {
		all = append(all, Refusal{
			Why: d.Ref + " can't go: " + d.Why,
			How: "Name what keeps it too, or leave it out. Nothing is planned as long as one thing that was named can't go.",
		})
	}
	return all
}

// factRefusals are the reasons for which nothing need be read.
func factRefusals(p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if f.Undoing != "" {
		all = append(all, Refusal{
			Why: "the undo of run " + f.Undoing + " isn't finished",
			How: "Finish it with undo; a purge would give up for good what hasn't come back yet.",
		})
	}
	all = append(all, RegistryRefusals(l, f)...)
	if f.Claimed != "" {
		all = append(all, claimRefusal(f.Claimed))
	}
	if f.Retained != "" {
		all = append(all, retentionRefusal(f.Retained))
	}
	if f.NoUndo != "" && !l.NoUndoOK && p.TakesAway() {
		how := "--undo none gives up the undo."
		if f.Stays || f.Retained != "" {
			how = "Mend that first: a run without an undo removes for good, which would be refused too."
		}
		all = append(all, Refusal{Why: "what goes could not be brought back: " + f.NoUndo, How: how})
	}
	return all
}

// CanNotKeep fills in why a store can't keep what a run takes away.
func (f *Facts) CanNotKeep(err error) {
	if errors.Is(err, backend.ErrRetained) {
		f.Retained = err.Error()
		return
	}
	f.NoUndo, f.Stays = err.Error(), errors.Is(err, backend.ErrStays)
}

func retentionRefusal(why string) Refusal {
	return Refusal{Why: why, How: "Do that while regfsck works, and put it back afterwards; what is locked already stays locked. --undo none would not help."}
}

// RegistryRefusals is the reason that a registry is at work which may change the store.
// It holds for undo and purge too.
func RegistryRefusals(l Limits, f Facts) (all []Refusal) {
	if f.Answering != "" && !l.RunningOK {
		all = append(all, Refusal{
			Why: f.Answering,
			How: "Stop it, or set storage.maintenance.readonly.enabled and restart it; if it serves another store, or is known to be read-only, --registry-running-ok says so.",
		})
	}
	return all
}

func claimRefusal(why string) Refusal {
	return Refusal{Why: why, How: "Give each store a state directory of its own, in which nobody else writes, with --state."}
}

// storeRefusals are the reasons that lie in the store as it was read.
func storeRefusals(r *graph.Result, l Limits) (all []Refusal) {
	if !r.Complete {
		all = append(all, Refusal{
			Why:  "the scan is incomplete: " + words.Plural(r.Counts[graph.StoreUnreadable].Count, "thing", "things") + " could not be read",
			How:  "Make them readable, or name a link or mount with --follow; what is unknown may need anything.",
			Keys: findingPaths(r, graph.StoreUnreadable),
		})
	}
	if n := r.Counts[graph.StoreChanged].Count; n > 0 {
		all = append(all, Refusal{
			Why:  "the store was changed while it was read, in " + words.Plural(n, "place", "places"),
			How:  "Stop the registry or make it read-only, and run this again.",
			Keys: findingPaths(r, graph.StoreChanged),
		})
	}
	if where := r.Doubts.Database; where != "" {
		all = append(all, Refusal{
			Why: "this registry keeps its links in a database, says " + where,
			How: "Use the registry's own tools; take that away only if the registry no longer uses the database.",
		})
	}
	if r.Totals.Repositories == 0 && r.Totals.Blobs > 0 {
		all = append(all, Refusal{
			Why: "no repository is there, and " + words.Plural(r.Totals.Blobs, "blob is", "blobs are"),
			How: "Look whether this is the whole store and all its disks are mounted; a store that nobody wants any more is removed as a folder.",
		})
	}
	if gone := missingBlobs(r); float64(gone) > l.MaxDelete*float64(gone+r.Totals.ReferencedBlobs) {
		all = append(all, Refusal{
			Why: "of " + words.Plural(gone+r.Totals.ReferencedBlobs, "blob that is", "blobs that are") + " needed " + words.Plural(gone, "is missing", "are missing"),
			How: "Look whether all disks of the store are mounted; if that many are really lost, " + maxDeleteFlag(gone, gone+r.Totals.ReferencedBlobs) + " says so.",
		})
	}
	return all
}

// missingBlobs is how many blobs are needed and absent.
func missingBlobs(r *graph.Result) int {
	if r.Counts[graph.BlobMissing].Count+r.Counts[graph.ManifestMissing].Count+r.Counts[graph.TagDangling].Count == 0 {
		return 0
	}
	gone := map[layout.AnyDigest]bool{}
	for f := range r.Findings {
		switch f.ID {
		case graph.BlobMissing, graph.ManifestMissing, graph.TagDangling:
			if d, ok := layout.ParseAnyDigest(f.Digest); ok {
				gone[d] = true
			}
		}
	}
	return len(gone)
}

// maxKeys bounds how many keys a refusal names.
const maxKeys = 20

// findingPaths are the paths of the first findings of an id.
func findingPaths(r *graph.Result, id graph.ID) (keys []string) {
	for f := range r.Findings {
		if f.ID == id && len(keys) < maxKeys {
			keys = append(keys, f.Path)
		}
	}
	return keys
}

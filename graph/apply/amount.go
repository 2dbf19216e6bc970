package apply

import (
	"fmt"
	"slices"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// Share is how much goes of the things of one kind.
type Share struct {
	Name      string
	Removed   int64
	Remaining int64 // of what is there
	Total     int64 // so many the store had
	Bytes     bool  // it is about their sizes; else about their number
}

// Shares are how much a plan takes of a store as it was before the runs that were
// interrupted and that this one goes on with: what they have taken is part of it, and
// isn't still to go. Whoever shows how much goes, or refuses so much, goes by them.
func Shares(r *graph.Result, p *plan.Plan, f Facts) []Share {
	t, going, gone := &r.Totals, RemovalTotals(p, f), f.gone
	share := func(name string, going, is, gone int) Share {
		return Share{name, int64(going), int64(is - going), int64(is + gone), false}
	}
	return []Share{
		share("blobs", going.Blobs, t.Blobs, gone.Blobs),
		share("manifests", going.Manifests, t.Revisions, gone.Manifests),
		share("tags", going.Tags, t.Tags, gone.Tags),
		share("layer links", going.LayerLinks, t.LayerLinks, gone.LayerLinks),
		share("repositories", going.Repositories, t.Repositories, gone.Repositories),
		{"size of blobs", going.BlobBytes, t.Bytes - going.BlobBytes, t.Bytes + gone.BlobBytes, true},
	}
}

// singular returns the name of one of the things that a Share is about.
func singular(name string) string {
	if one, ok := strings.CutSuffix(name, "ies"); ok {
		return one + "y"
	}
	return strings.TrimSuffix(name, "s")
}

// RemovalTotals is what a plan still takes away.
func RemovalTotals(p *plan.Plan, f Facts) plan.Totals { return withoutKeys(p, f.taken).Totals() }

// amountRefusals are the reasons that lie in how much would go.
func amountRefusals(r *graph.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if l.AnyAmount {
		return nil
	}
	for _, k := range Shares(r, p, f) {
		if !k.Bytes && k.Total > 0 && k.Total >= int64(l.MinObjects) && float64(k.Removed) > l.MaxDelete*float64(k.Total) {
			all = append(all, Refusal{
				Why: fmt.Sprintf("%s of the %s would go, %.1f %%", words.Number(k.Removed), words.Plural(k.Total, singular(k.Name), k.Name), 100*float64(k.Removed)/float64(k.Total)),
				How: "Look at the plan; if it is right, " + maxDeleteFlag(int(k.Removed), int(k.Total)) + " says so.",
			})
		}
	}
	return all
}

// maxDeleteFlag is the flag with which so large a share may go.
func maxDeleteFlag(n, of int) string {
	percent := (100*n + of - 1) / of
	return fmt.Sprintf("--max-delete %d%%", percent)
}

// withoutKeys is a plan without the keys that were taken already.
func withoutKeys(p *plan.Plan, taken map[string]bool) *plan.Plan {
	if len(taken) == 0 {
		return p
	}
	return &plan.Plan{Steps: slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool {
		return s.Op == plan.Remove && taken[s.Key]
	})}
}

// removedBy returns the keys that runs have taken, and how much that is. Of what a
// run was about to take and didn't come to note, nobody knows: it counts as taken,
// as it did when the run was let begin.
func removedBy(runs []*past) (keys map[string]bool, n plan.Totals) {
	keys, taken := map[string]bool{}, plan.Plan{}
	for _, p := range runs {
		for _, i := range p.intents {
			if i.Op == plan.Remove && !keys[i.Key] && p.receipts[i.Key].Err == "" {
				keys[i.Key] = true
				taken.Steps = append(taken.Steps, plan.Step{
					Op: i.Op, Kind: i.Kind, Key: i.Key, Finding: i.Finding, Bytes: i.Bytes, Repository: layout.ParseFolder(strings.TrimSuffix(i.Key, "/")).Repository,
				})
			}
		}
	}
	return keys, taken.Totals()
}

// doubtRefusals are the signs that the store's links or tags are kept elsewhere.
func doubtRefusals(r *graph.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	if n := r.Doubts.Linkless - f.Unlinked; n > maxLinkless && !f.FilesystemInUse && removesFor(p, graph.BlobOrphan) {
		all = append(all, Refusal{
			Why: words.Plural(n, "blob", "blobs") + " that no link names came after the last push that wrote links: this looks like a registry that keeps its links in a database",
			How: "If it keeps none, an empty file " + layout.Locks + "/filesystem-in-use in the store says so.",
		})
	}
	if !l.AllowTagless {
		all = append(all, untaggedRefusals(r, p, l, f)...)
	}
	return all
}

// untaggedRefusals are the signs that a database holds the tags of manifests that go for
// having none.
func untaggedRefusals(r *graph.Result, p *plan.Plan, l Limits, f Facts) (all []Refusal) {
	untagged := removesFor(p, graph.ManifestUntagged)
	byRule := l.ByRule && removesFor(p, graph.ManifestRemoved)
	if f.Harbor != "" && (untagged || byRule || l.ByRule && removesFor(p, graph.ManifestUnneeded)) {
		all = append(all, Refusal{
			Why: "this is Harbor's registry, says " + f.Harbor + ": its tags are in Harbor's database, and nobody can tell here which manifests have one",
			How: "Delete images through Harbor, and leave --untagged and its like out; if Harbor no longer uses this store, --allow-tagless says so.",
		})
	}
	if len(r.Doubts.Tagless) > 0 && (untagged || l.ByRule && removesIn(p, graph.ManifestRemoved, r.Doubts.Tagless)) {
		all = append(all, Refusal{
			Why:  words.Plural(len(r.Doubts.Tagless), "repository has", "repositories have") + " manifests and no tag at all: this is what a registry looks like that keeps its tags in a database",
			How:  "Leave --untagged and its like out; if these repositories really have no tags, --allow-tagless says so.",
			Keys: r.Doubts.Tagless,
		})
	}
	if len(r.Doubts.Overtaken) > 0 && (untagged || byRule) {
		all = append(all, Refusal{
			Why:  "in " + words.Plural(len(r.Doubts.Overtaken), "repository", "repositories") + " what was pushed last has no tag, and every tag is older: this is what a registry looks like that keeps its tags in a database since some day, as Harbor does",
			How:  "Leave --untagged and its like out; if the tags there are really all there are, --allow-tagless says so.",
			Keys: r.Doubts.Overtaken,
		})
	}
	return all
}

// removesFor reports whether the plan removes anything for the finding.
func removesFor(p *plan.Plan, id graph.ID) bool {
	for i := range p.Steps {
		if p.Steps[i].Finding == id.String() {
			return true
		}
	}
	return false
}

// removesIn is takes for one of those repositories, which are sorted.
func removesIn(p *plan.Plan, id graph.ID, repositories []string) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		_, of := slices.BinarySearch(repositories, s.Repository)
		return of && s.Finding == id.String()
	})
}

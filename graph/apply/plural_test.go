package apply

import (
	"regexp"
	"testing"

	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// TestOneIsNoPlural: a refusal about a single thing says so in the singular.
func TestOneIsNoPlural(t *testing.T) {
	r := &graph.Result{Findings: func(func(graph.Finding) bool) {}, Totals: graph.Totals{Blobs: 1, Revisions: 1, Tags: 1, LayerLinks: 1, Bytes: 1}}
	r.Counts[graph.StoreUnreadable].Count, r.Counts[graph.StoreChanged].Count = 1, 1
	r.Doubts.Tagless, r.Doubts.Overtaken = []string{"app"}, []string{"app"}
	p := &plan.Plan{Steps: []plan.Step{
		{Op: plan.Remove, Kind: plan.Blob, Key: "b", Finding: graph.BlobOrphan.String()},
		{Op: plan.Remove, Kind: plan.RevisionLink, Key: "r", Finding: graph.ManifestUntagged.String()},
		{Op: plan.Remove, Kind: plan.LayerLink, Key: "l", Finding: graph.LayerLinkUnreferenced.String()},
		{Op: plan.Remove, Kind: plan.Directory, Key: layout.RepositoryKey("app") + "/_layers/", Repository: "app", Finding: graph.RepoEmpty.String()},
	}}
	plural := regexp.MustCompile(`\b1 (of the 1 )?(things|places|blobs|manifests|tags|layer links|repositories)\b`)
	all := append(Refusals(r, p, Limits{}, Facts{}), Refusals(r, p, Limits{ByRule: true}, Facts{})...)
	if len(all) < 8 {
		t.Errorf("only %d refusals", len(all))
	}
	for _, refusal := range all {
		if plural.MatchString(refusal.Why) {
			t.Errorf("%q", refusal.Why)
		}
	}
}

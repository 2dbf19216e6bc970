package main

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/plan"
)

// emptied says which repositories a plan leaves without a tag and a manifest, and
// what takes them out of the catalog; "" for none.
func emptied(scan *graph.Scan, p *plan.Plan) string {
	tags, manifests, whole := map[string]int{}, map[string]int{}, map[string]bool{}
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Finding == finding.RepositoryRemoved.String():
			whole[s.Repository] = true
		case s.Op == plan.Remove && s.Kind.IsTag():
			tags[s.Repository]++
		case s.Finding == finding.ManifestRemoved.String(), s.Finding == finding.ManifestUnneeded.String():
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
	return "No tag and no manifest is left then of " + list + ": regfsck rm with the name of a repository takes it out of the catalog at once, and fix does once nothing of it is younger than --grace."
}

// number counts what there is.
func number[T any](all iter.Seq[T]) (n int) {
	for range all {
		n++
	}
	return n
}

package graph

import (
	"strings"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// marker takes in the marker of a folder in a bucket. What stands in _layers and
// _manifests makes a repository appear in the catalog, and a tag in its list. It
// says nothing else of either: no registry ever writes one.
func (g *graph) marker(e walker.Entry) {
	if e.Repository == "" || partOf(e.Repository, e.Key)&(partLayers|partManifests) == 0 {
		return
	}
	e.Key, e.Repository, e.Tag = strings.Clone(e.Key), strings.Clone(e.Repository), strings.Clone(e.Tag)
	g.markers = append(g.markers, e)
}

// catalogMarkers reports the markers of repositories and tags of which there is
// nothing else.
func (j *judgement) catalogMarkers() {
	for i := range j.markers {
		e := &j.markers[i]
		if !j.ghost(e) {
			continue
		}
		p := problem{
			id: finding.CatalogMarker, repo: none, obj: none, name: e.Key, modified: e.Modified, cure: finding.CureRemove,
			young: e.Modified > j.youngAfter,
		}
		if !layout.ValidRepository(e.Repository) || e.Tag != "" && !layout.ValidTag(e.Tag) {
			p.cure = finding.CureNone // nothing is touched where a name is odd
		}
		j.report(p)
	}
}

// ghost reports whether there is nothing of a marker's repository, or of its tag,
// but markers.
func (j *judgement) ghost(e *walker.Entry) bool {
	i, ok := j.repoID[e.Repository]
	if !ok || !j.repos[i].exists {
		return true
	}
	_, tagged := j.repos[i].tagIndex(e.Tag)
	return e.Tag != "" && !tagged
}

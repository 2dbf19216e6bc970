package plan

import (
	"testing"

	"regfsck/graph"
)

// A tag counts once, whatever history goes with it; a repository counts that leaves
// the catalog, not one that only loses its uploads.
func TestThingsCountOnce(t *testing.T) {
	const repo = "docker/registry/v2/repositories/"
	tagged := graph.TagRemoved.String()
	p := &Plan{Steps: []Step{
		{Op: Write, Kind: Rebuilt, Key: repo + "a/_layers/sha256/x/link", Repository: "a"},
		{Op: Remove, Kind: TagHistory, Key: repo + "a/_manifests/tags/v1/index/sha256/x/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: TagHistory, Key: repo + "a/_manifests/tags/v1/index/sha256/y/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: Tag, Key: repo + "a/_manifests/tags/v1/current/link", Finding: tagged, Bytes: 71},
		{Op: Remove, Kind: Directory, Key: repo + "a/_manifests/tags/v2/", Finding: tagged},
		{Op: Remove, Kind: RevisionLink, Bytes: 71}, {Op: Remove, Kind: LayerLink, Bytes: 71},
		{Op: Remove, Kind: Blob, Bytes: 1000}, {Op: Remove, Kind: Upload, Bytes: 100}, {Op: Abort, Kind: Upload},
		{Op: Remove, Kind: Directory, Key: repo + "b/_manifests/", Repository: "b", Finding: graph.RepoEmpty.String()},
		{Op: Remove, Kind: Directory, Key: repo + "b/_layers/", Repository: "b", Finding: graph.RepoEmpty.String()},
		{Op: Remove, Kind: Directory, Key: repo + "c/_uploads/", Repository: "c", Finding: graph.RepoEmpty.String()},
	}}
	want := Totals{
		Blobs: 1, Bytes: 5*71 + 1100, Manifests: 1, Tags: 2, LayerLinks: 1, Repositories: 1, Aborts: 1, BlobBytes: 1000,
	}
	if got := p.Totals(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

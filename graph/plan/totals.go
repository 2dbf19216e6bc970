package plan

import (
	"strings"

	"regfsck/walker/layout"
)

// Totals are how many things of each kind a plan takes away. Whoever says how much
// goes, or refuses so much, counts by them.
type Totals struct {
	Blobs        int   `json:"blobs"`
	Bytes        int64 `json:"bytes"` // of all that goes
	Manifests    int   `json:"manifests"`
	Tags         int   `json:"tags"` // each once, whatever history it has
	LayerLinks   int   `json:"layer_links"`
	Repositories int   `json:"repositories"` // that leave the catalog
	Aborts       int   `json:"aborts"`       // of multipart uploads; Bytes has nothing of theirs
	BlobBytes    int64 `json:"-"`            // of the blobs among Bytes
}

// Totals counts what the plan takes away. A repository leaves the catalog with its
// _manifests or its _layers directory.
func (p *Plan) Totals() (n Totals) {
	repositories := map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op == Abort {
			n.Aborts++
		}
		if s.Op != Remove {
			continue
		}
		n.Bytes += s.Bytes
		switch s.Kind {
		case Blob:
			n.Blobs++
			n.BlobBytes += s.Bytes
		case RevisionLink:
			n.Manifests++
		case LayerLink:
			n.LayerLinks++
		case Tag, ReferrerTag:
			n.Tags++
		case Folder:
			switch layout.ParseFolder(strings.TrimSuffix(s.Key, "/")).Kind {
			case layout.FolderTag:
				n.Tags++
			case layout.FolderManifests, layout.FolderLayers:
				repositories[s.Repository] = true
			}
		}
	}
	n.Repositories = len(repositories)
	return n
}

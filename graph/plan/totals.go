package plan

import (
	"cmp"
	"strings"

	"regfsck/graph"
	"regfsck/walker/layout"
)

// Object names what a step is a part of, for whoever counts things: a tag with its
// history is one, a repository that goes is, whatever is in it, and so is an image
// that is brought back with its tag and links. Of any other step it is what the step
// is about.
func (s *Step) Object() string {
	ofRepository := s.Finding == graph.RepoEmpty.String() || s.Finding == graph.RepositoryRemoved.String()
	ofTag := s.Op == Remove && s.takesTag()
	found := s.Finding == graph.ManifestLost.String() && s.Digest != ""
	if !ofRepository && !ofTag && !found {
		return s.FullKey()
	}
	switch repository, tag := s.repositoryAndTag(); {
	case ofRepository && repository != "":
		return layout.RepositoryKey(repository)
	case found:
		return repository + "@" + s.Digest
	case ofTag && tag != "":
		return layout.TagKey(repository, tag)
	}
	return s.FullKey()
}

// takesTag reports whether the step takes a tag away, or a part of its history with
// it.
func (s *Step) takesTag() bool {
	switch s.Kind {
	case Tag, ReferrerTag:
		return true
	case TagHistory:
		return s.Finding != graph.TagHistoryStale.String()
	case Directory:
		return layout.ParseFolder(strings.TrimSuffix(s.Key, "/")).Kind == layout.FolderTag
	}
	return false
}

// repositoryAndTag returns the repository and the tag that the step's key is of, "" for none.
func (s *Step) repositoryAndTag() (repository, tag string) {
	if s.Tag != "" {
		return s.Repository, s.Tag
	}
	if key, err := layout.Parse(s.Key); err == nil {
		return key.Repository, key.Tag
	}
	dir := layout.ParseFolder(strings.TrimSuffix(s.Key, "/"))
	return cmp.Or(dir.Repository, s.Repository), dir.Tag
}

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
	repositories, tags := map[string]bool{}, map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Op == Abort {
			n.Aborts++
		}
		if s.Op != Remove {
			continue
		}
		n.Bytes += s.Bytes
		if s.takesTag() {
			repository, tag := s.repositoryAndTag()
			tags[repository+":"+tag] = true
		}
		switch s.Kind {
		case Blob:
			n.Blobs++
			n.BlobBytes += s.Bytes
		case RevisionLink:
			n.Manifests++
		case LayerLink:
			n.LayerLinks++
		case Directory:
			switch layout.ParseFolder(strings.TrimSuffix(s.Key, "/")).Kind {
			case layout.FolderManifests, layout.FolderLayers:
				repositories[s.Repository] = true
			}
		}
	}
	n.Repositories, n.Tags = len(repositories), len(tags)
	return n
}

package graph

import (
	"maps"
	"slices"
	"strings"

	"regfsck/walker/layout"
)

// CopiedTag is a tag of a source store.
type CopiedTag struct {
	Repository, Tag string
	Digest          layout.AnyDigest // its target there
	Modified        int64            // of its current link there, nanoseconds since 1970
}

// Copied are the links of sources with which lost tags can be restored.
type Copied struct {
	Whole     bool                                  // whole repositories are restored, with untagged manifests
	Tags      []CopiedTag                           // each once
	Revisions map[string]map[layout.AnyDigest]int64 // by repository and digest: the link's time there, nanoseconds since 1970
	Layers    map[string]map[layout.AnyDigest]bool  // of Whole: the layer links, by repository and digest
}

// HasLayer reports whether a repository of a source has a layer link.
func (c *Copied) HasLayer(repository string, d layout.AnyDigest) bool {
	return c != nil && c.Layers[repository][d]
}

// Copy is a tag or untagged manifest of a source, for a repository of the graph.
type Copy struct {
	Repo     uint32
	ID       uint32 // its target there
	Tag      string // "" for none
	Modified uint32 // of its current link there, seconds since 1970
}

// SealWithCopied is SealLinks, and adds the repositories and digests of the tags that sources
// have and the store lacks.
func (g Builder) SealWithCopied(c *Copied) {
	if c == nil {
		g.SealLinks()
		return
	}
	for name := range c.Revisions {
		g.repository(name)
	}
	g.SealLinks()
	for i := range c.Tags {
		t := &c.Tags[i]
		repo := g.RepoID[t.Repository]
		if _, stands := g.Repos[repo].FindTag(t.Tag); !stands {
			g.Copies = append(g.Copies, Copy{repo, g.idOfAny(t.Digest), t.Tag, Seconds(t.Modified)})
		}
	}
	if !c.Whole {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Revisions)) {
		repo := g.repository(name)
		of := slices.SortedFunc(maps.Keys(c.Revisions[name]), func(a, b layout.AnyDigest) int { return strings.Compare(a.String(), b.String()) })
		for _, d := range of {
			if id := g.idOfAny(d); !g.Repos[repo].HasRevision(id) {
				g.Copies = append(g.Copies, Copy{Repo: repo, ID: id, Modified: Seconds(c.Revisions[name][d])})
			}
		}
	}
}

// Links reports whether a repository of a source has a revision link, and its time there, in
// seconds since 1970.
func (c *Copied) Links(repository string, d layout.AnyDigest) (modified uint32, ok bool) {
	if c == nil {
		return 0, false
	}
	at, ok := c.Revisions[repository][d]
	return Seconds(at), ok
}

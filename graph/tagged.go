package graph

import (
	"iter"
	"time"

	"regfsck/walker"
	"regfsck/walker/layout"
)

// Tagged is a tag as its links say.
type Tagged struct {
	Name    string
	Digest  layout.Digest // of what it means; zero where nobody can say
	Pushed  time.Time     // when it came to mean that: whole seconds, rounded up; zero where it has no current link
	Subject layout.Digest // of a tag sha256-<hex>…: what it is about; else zero
}

// Repositories returns the names of all that has a repository's folders, sorted.
func (c *Scan) Repositories() []string {
	var names []string
	for i := range c.g.repos {
		if c.g.repos[i].exists {
			names = append(names, c.g.repos[i].name)
		}
	}
	return names
}

// Tags are the tags of a repository, by name; none of one that isn't there.
func (c *Scan) Tags(repository string) iter.Seq[Tagged] {
	return func(yield func(Tagged) bool) {
		at, ok := c.g.repoID[repository]
		if !ok {
			return
		}
		for _, t := range c.g.repos[at].tags {
			is := Tagged{Name: t.name, Pushed: timeOf(t.modified)}
			if t.target != none {
				is.Digest = c.g.digestOf(t.target)
			}
			is.Subject, _ = layout.SubjectOf(t.name)
			if !yield(is) {
				return
			}
		}
	}
}

// Manifests are the manifests that a repository has a link to, in no promised
// order, those included that are missing or broken.
func (c *Scan) Manifests(repository string) iter.Seq[layout.Digest] {
	return func(yield func(layout.Digest) bool) {
		at, ok := c.g.repoID[repository]
		if !ok {
			return
		}
		for _, v := range c.g.repos[at].revisions {
			if !yield(c.g.digestOf(v.id)) {
				return
			}
		}
	}
}

// Readable tells whether all could be listed and read so far: if not, what can't
// be found here may be there.
func (c *Scan) Readable() bool {
	if len(c.g.faults) > 0 {
		return false
	}
	for i := range c.g.nodes {
		if c.g.nodes[i].state == walker.ManifestUnreadable {
			return false
		}
	}
	return true
}

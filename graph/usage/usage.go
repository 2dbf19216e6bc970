// Package usage computes how much storage repositories and tags use, and what keeps a digest.
//
// It is based on the marks of package gc: whatever of a repository keeps a blob is a
// reference by that repository. So a tag's own bytes are what its removal frees, and there is
// a path to a blob exactly if the blob is kept.
package usage

import (
	"iter"
	"slices"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker"
	"regfsck/walker/manifest"
)

// Usage is the usage of one store.
type Usage struct {
	m      *gc.Marks
	broken iter.Seq[finding.BrokenTag]
}

// Of returns the usage of a store from its marks and broken tags; nil unless the policy asked
// for it.
func Of(m *gc.Marks, broken iter.Seq[finding.BrokenTag]) *Usage {
	if m.Users == nil {
		return nil
	}
	return &Usage{m, broken}
}

// RepositoryUsage is the usage of one repository.
type RepositoryUsage struct {
	Name      string
	Tags      int
	Broken    int       // tags that can't be pulled
	Manifests int       // revisions
	Own       int64     // bytes of the blobs that only this repository refers to: freed by its removal
	Shared    int64     // bytes of the blobs that others refer to, too
	Uploads   int64     // bytes of unfinished uploads, in none of the other numbers
	Pushed    time.Time // of the newest tag; zero for none
}

// Total returns the bytes of all blobs that the repository refers to, each once.
func (r RepositoryUsage) Total() int64 { return r.Own + r.Shared }

// Repositories returns the usage of each repository, by name. shared is the bytes of blobs
// that several refer to, each counted once.
func (u *Usage) Repositories() (all []RepositoryUsage, shared int64) {
	m := u.m
	own := make([]int64, len(m.Repos))
	for id := range m.EveryBlob() {
		switch last := m.Users.Last[id]; {
		case m.Users.Several.Has(id):
			shared += m.SizeOf(id)
		case last != 0:
			own[last-1] += m.SizeOf(id)
		}
	}
	broken := map[string]int{}
	for b := range u.broken {
		broken[b.Repository]++
	}
	for i := range m.Repos {
		r := &m.Repos[i]
		if !r.Exists {
			continue
		}
		all = append(all, RepositoryUsage{
			Name: r.Name, Tags: len(r.Tags), Broken: broken[r.Name], Manifests: len(r.Revisions),
			Own: own[i], Shared: m.Users.Total[i] - own[i], Uploads: r.UploadBytes(), Pushed: r.Pushed(),
		})
	}
	return all, shared
}

// TagUsage is the usage of one tag.
type TagUsage struct {
	Name      string
	Digest    string // of its manifest; "" if the tag's link has no target
	Good      bool   // the manifest was read and parsed
	Size      int64  // bytes of a pull of all platforms that are stored, each blob once
	Own       int64  // bytes that a removal of the tag frees, with what only it leads to
	Pushed    time.Time
	Config    string     // digest of the image's config, or of an index's first image; "" for none
	Referrers []Referrer // referrers of its manifest, by digest
	Because   []string   // why it can't be pulled, as in BrokenTag; nil if it can
}

// Tags returns the usage of a repository's tags, by name; none if there is no such
// repository. pinned is why a removal of a tag would free nothing but its links; "" if the
// repository isn't pinned.
func (u *Usage) Tags(repository string) (all []TagUsage, pinned string) {
	if !u.Has(repository) {
		return nil, ""
	}
	m, i := u.m, u.m.RepoID[repository]
	f := flowOf(m, i)
	own := make([]int64, len(f.vertices))
	if pinned = m.PinnedBy(i); pinned == "" {
		own = f.exclusive()
	}
	pulls, configs := pullsOf(m, f.r), graph.ConfigsOf(m.Graph, f.r)
	broken := u.brokenIn(repository)
	for t := range f.r.Tags {
		tag := &f.r.Tags[t]
		use := TagUsage{
			Name: tag.Name, Pushed: graph.TimeOf(tag.Modified), Because: broken[tag.Name],
			Own: own[f.number[vertex{tagVertex, uint32(t)}]],
		}
		if tag.Target != graph.None {
			use.Digest, use.Good = m.NameOf(tag.Target), m.StateAt(tag.Target) == walker.ManifestGood
			use.Size = pulls.size(tag.Target)
			if config := configs.Of(tag.Target); config != graph.None {
				use.Config = m.NameOf(config)
			}
			use.Referrers = f.referrers(tag.Target)
		}
		all = append(all, use)
	}
	return all, pinned
}

// brokenIn returns why tags of a repository can't be pulled, by tag.
func (u *Usage) brokenIn(repository string) map[string][]string {
	because := map[string][]string{}
	for b := range u.broken {
		if b.Repository == repository {
			because[b.Tag] = b.Because
		}
	}
	return because
}

// Pinned returns the pinned repositories, and why each is.
func (u *Usage) Pinned() map[string]string {
	because := map[string]string{}
	for i := range u.m.Repos {
		if why := u.m.PinnedBy(uint32(i)); why != "" {
			because[u.m.Repos[i].Name] = why
		}
	}
	return because
}

// Referrer is a manifest that refers to a subject: by its field, by a referrers tag, or by
// the index of such a tag.
type Referrer struct {
	Digest string `json:"digest"`
	Tag    string `json:"tag"` // sha256-<hex>.sig and the like; "" for none
}

// referrers returns the referrers of a manifest.
func (f *flow) referrers(id uint32) (all []Referrer) {
	for _, r := range f.referrerIDs(id) {
		all = append(all, Referrer{f.m.NameOf(r.id), r.tag})
	}
	return all
}

// referrerIDs returns the referrers of a manifest, by digest.
func (f *flow) referrerIDs(id uint32) (all []referrer) {
	tagged := map[uint32]string{}
	for m := range f.m.In(f.r, id).Referrers {
		tagged[m] = ""
	}
	for _, t := range f.about[id] {
		tag := &f.r.Tags[t]
		n := f.m.NodeAt(tag.Target)
		switch {
		case n == nil:
		case n.Kind != manifest.Index:
			tagged[tag.Target] = tag.Name
		default:
			for s := range f.m.In(f.r, n.ID).Serves {
				if _, known := tagged[s.To]; !known && s.Child && s.Role() == manifest.Child {
					tagged[s.To] = ""
				}
			}
		}
	}
	for m, tag := range tagged {
		all = append(all, referrer{m, tag})
	}
	slices.SortFunc(all, func(a, b referrer) int { return f.m.CompareIDs(a.id, b.id) })
	return all
}

// referrer is a Referrer without strings.
type referrer struct {
	id  uint32
	tag string
}

// Has reports whether the store has a repository of that name.
func (u *Usage) Has(repository string) bool {
	i, ok := u.m.RepoID[repository]
	return ok && u.m.Repos[i].Exists
}

// Names returns the names of all repositories, sorted.
func (u *Usage) Names() (names []string) {
	for i := range u.m.Repos {
		if u.m.Repos[i].Exists {
			names = append(names, u.m.Repos[i].Name)
		}
	}
	return names
}

// TagNames returns the names of a repository's tags, sorted.
func (u *Usage) TagNames(repository string) (names []string) {
	if i, ok := u.m.RepoID[repository]; ok {
		for t := range u.m.Repos[i].Tags {
			names = append(names, u.m.Repos[i].Tags[t].Name)
		}
	}
	return names
}

// Repository returns the usage of one repository; the zero value if there is none.
func (u *Usage) Repository(name string) RepositoryUsage {
	all, _ := u.Repositories()
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	return RepositoryUsage{}
}

// Package usage tells who uses how much of a registry's storage, and why.
//
// It goes by what package gc has marked: whatever of a repository keeps a blob is a
// reference by that repository. So what it calls a tag's own is what a removal of the tag
// frees, and there is a path to a blob exactly if the blob is kept.
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

// Usage tells who uses how much of a store. It goes by what the judgement keeps:
// whatever of a repository keeps a blob is a reference by that repository.
type Usage struct {
	m      *gc.Marks
	broken iter.Seq[finding.BrokenTag]
}

// Of tells who uses how much of a store by what is kept of it, and by its broken
// tags; nil unless the policy asked for that.
func Of(m *gc.Marks, broken iter.Seq[finding.BrokenTag]) *Usage {
	if m.Users == nil {
		return nil
	}
	return &Usage{m, broken}
}

// RepositoryUsage is what one repository holds and takes.
type RepositoryUsage struct {
	Name      string
	Tags      int
	Broken    int       // of the tags, those that can't be pulled
	Manifests int       // revisions
	Own       int64     // bytes of the blobs that only this repository refers to: freed if it went
	Shared    int64     // bytes of those that others refer to as well
	Uploads   int64     // bytes of unfinished uploads; in none of the other numbers
	Pushed    time.Time // the newest tag's; zero where there is none
}

// Total is all that the repository refers to, each blob once, in bytes.
func (r RepositoryUsage) Total() int64 { return r.Own + r.Shared }

// Repositories returns what each repository uses, by name, and how many bytes the
// blobs have that several of them refer to, each once.
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

// TagUsage is what one tag means and takes.
type TagUsage struct {
	Name      string
	Digest    string // of its manifest; "" where the tag's link names none
	Good      bool   // the manifest was read and understood
	Size      int64  // bytes of all that a pull brings, of all platforms that are there, each blob once
	Own       int64  // bytes that are freed if the tag is removed, and with it what only it leads to
	Pushed    time.Time
	Config    string     // digest of its image's config, of an index that of its first image; "" for none
	Referrers []Referrer // what is about its manifest, by digest
	Because   []string   // why it can't be pulled, as BrokenTag has it; nil where it can
}

// Tags returns what each tag of a repository uses, by name; nothing for a
// repository that isn't there. pinned says why nothing would go with a tag but its
// links, so that none has bytes of its own; "" where nothing is in the way.
func (u *Usage) Tags(repository string) (all []TagUsage, pinned string) {
	if !u.Has(repository) {
		return nil, ""
	}
	m, i := u.m, u.m.RepoID[repository]
	f := flowOf(m, i)
	own := make([]int64, len(f.vertices))
	if pinned = m.PinnedBy(i); pinned == "" {
		own = f.behind()
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

// brokenIn returns why the tags of one repository can't be pulled, by tag.
func (u *Usage) brokenIn(repository string) map[string][]string {
	because := map[string][]string{}
	for b := range u.broken {
		if b.Repository == repository {
			because[b.Tag] = b.Because
		}
	}
	return because
}

// Pinned says why nothing is removed of a repository but its tags' links, by the names of
// those of which that is so.
func (u *Usage) Pinned() map[string]string {
	because := map[string]string{}
	for i := range u.m.Repos {
		if why := u.m.PinnedBy(uint32(i)); why != "" {
			because[u.m.Repos[i].Name] = why
		}
	}
	return because
}

// Referrer is a manifest that is about another one: by its subject, by a tag
// sha256-<hex>…, or by the index under such a tag.
type Referrer struct {
	Digest string `json:"digest"`
	Tag    string `json:"tag"` // sha256-<hex>.sig and the like; "" where none names it
}

// referrers returns what is about the manifest under id.
func (f *flow) referrers(id uint32) (all []Referrer) {
	for _, r := range f.referrerIDs(id) {
		all = append(all, Referrer{f.m.NameOf(r.id), r.tag})
	}
	return all
}

// referrerIDs returns what is about the manifest under id, by digest.
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

// referrer is a Referrer before it has strings.
type referrer struct {
	id  uint32
	tag string
}

// Has reports whether there is a repository of that name.
func (u *Usage) Has(repository string) bool {
	i, ok := u.m.RepoID[repository]
	return ok && u.m.Repos[i].Exists
}

// HasTag reports whether the repository has that tag.
func (u *Usage) HasTag(repository, tag string) bool {
	i, ok := u.m.RepoID[repository]
	if ok {
		_, ok = u.m.Repos[i].FindTag(tag)
	}
	return ok
}

// Names are the names of all repositories, sorted.
func (u *Usage) Names() (names []string) {
	for i := range u.m.Repos {
		if u.m.Repos[i].Exists {
			names = append(names, u.m.Repos[i].Name)
		}
	}
	return names
}

// TagNames are the names of a repository's tags, sorted.
func (u *Usage) TagNames(repository string) (names []string) {
	if i, ok := u.m.RepoID[repository]; ok {
		for t := range u.m.Repos[i].Tags {
			names = append(names, u.m.Repos[i].Tags[t].Name)
		}
	}
	return names
}

// Repository returns what one repository uses; the zero value if there is none of
// that name.
func (u *Usage) Repository(name string) RepositoryUsage {
	all, _ := u.Repositories()
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	return RepositoryUsage{}
}

package graph

import (
	"time"

	"regfsck/walker"
)

// TagUsage is what one tag means and takes.
type TagUsage struct {
	Name      string
	Digest    string // of its manifest; "" where the tag's link names none
	Good      bool   // the manifest was read and understood
	Size      int64  // bytes of all that a pull brings, of all platforms that are there, each blob once
	Own       int64  // bytes that are freed if the tag goes, and with it what only it leads to
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
	j, i := u.j, u.j.repoID[repository]
	f := j.flowOf(i)
	own := make([]int64, len(f.vertices))
	if pinned = j.pinnedBy(i); pinned == "" {
		own = f.behind()
	}
	pulls, configs := j.pullsOf(f.r), j.configsOf(f.r)
	broken := j.brokenIn(i)
	for t := range f.r.tags {
		tag := &f.r.tags[t]
		use := TagUsage{
			Name: tag.name, Pushed: timeOf(tag.modified), Because: broken[tag.name],
			Own: own[f.number[vertex{tagVertex, uint32(t)}]],
		}
		if tag.target != none {
			use.Digest, use.Good = j.nameOf(tag.target), j.stateAt(tag.target) == walker.ManifestGood
			use.Size = pulls.size(tag.target)
			if config := configs.of(tag.target); config != none {
				use.Config = j.nameOf(config)
			}
			use.Referrers = f.referrers(tag.target)
		}
		all = append(all, use)
	}
	return all, pinned
}

// brokenIn returns why the tags of one repository can't be pulled, by tag.
func (j *judgement) brokenIn(repository uint32) map[string][]string {
	because := map[string][]string{}
	for _, b := range j.broken {
		if b.repo == repository {
			because[j.repos[b.repo].tags[b.tag].name] = j.because(b)
		}
	}
	return because
}

// Pinned says why nothing goes of a repository but its tags' links, by the names of
// those of which that is so.
func (u *Usage) Pinned() map[string]string {
	because := map[string]string{}
	for i := range u.j.repos {
		if why := u.j.pinnedBy(uint32(i)); why != "" {
			because[u.j.repos[i].name] = why
		}
	}
	return because
}

// pinnedBy says why nothing of the repository goes but its tags' links, "" where
// something may.
func (j *judgement) pinnedBy(repository uint32) string {
	if !j.usage.allStays(repository) {
		return ""
	}
	return j.pin(&j.repos[repository], func(uint32) bool { return false })
}

package graph

import (
	"iter"
	"time"
)

// Usage tells who uses how much of a store. It goes by what the judgement keeps:
// whatever of a repository keeps a blob is a reference by that repository.
type Usage struct{ j *judgement }

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

// usage is what a judgement notes of who refers to what.
type usage struct {
	last      []uint32 // by id: the last repository that referred to it, plus one
	several   bitset   // by id: more than one does
	total     []int64  // by repository: bytes of all that it refers to
	pinned    bitset   // by repository: nothing of it goes but its tags
	uncertain bitset   // by repository: nobody knows what one of its tags means, so no manifest of it goes
}

func newUsage(ids, repositories int) *usage {
	return &usage{
		last: make([]uint32, ids), several: newBitset(ids),
		total: make([]int64, repositories), pinned: newBitset(repositories), uncertain: newBitset(repositories),
	}
}

// refer marks id as referred to by the repository being judged.
func (j *judgement) refer(id uint32) {
	j.referenced.add(id)
	if j.usage != nil {
		j.use(id)
	}
}

// use notes which repository refers to id. Repositories are judged one after the
// other, so the last one that did says whether this one already has.
func (j *judgement) use(id uint32) {
	u := j.usage
	if u.last[id] == j.mark {
		return
	}
	if u.last[id] != 0 {
		u.several.add(id)
	}
	u.last[id] = j.mark
	if j.present(id) {
		u.total[j.ri] += j.sizeOf(id)
	}
}

// ownedBy reports whether only that repository refers to id.
func (u *usage) ownedBy(repository, id uint32) bool {
	return u.last[id] == repository+1 && !u.several.has(id)
}

// allStays reports whether no manifest of a repository goes, whatever tag does.
func (u *usage) allStays(repository uint32) bool {
	return u.pinned.has(repository) || u.uncertain.has(repository)
}

// everyBlob are the ids of all blobs that are there.
func (g *graph) everyBlob() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id := range uint32(g.len()) {
			if !yield(id) {
				return
			}
		}
		for id := range g.late {
			if !yield(id) {
				return
			}
		}
	}
}

// Repositories returns what each repository uses, by name, and how many bytes the
// blobs have that several of them refer to, each once.
func (u *Usage) Repositories() (all []RepositoryUsage, shared int64) {
	j := u.j
	own := make([]int64, len(j.repos))
	for id := range j.everyBlob() {
		switch last := j.usage.last[id]; {
		case j.usage.several.has(id):
			shared += j.sizeOf(id)
		case last != 0:
			own[last-1] += j.sizeOf(id)
		}
	}
	broken := make([]int, len(j.repos))
	for _, b := range j.broken {
		broken[b.repo]++
	}
	for i := range j.repos {
		r := &j.repos[i]
		if !r.exists {
			continue
		}
		all = append(all, RepositoryUsage{
			Name: r.name, Tags: len(r.tags), Broken: broken[i], Manifests: len(r.revisions),
			Own: own[i], Shared: j.usage.total[i] - own[i], Uploads: r.uploadBytes(), Pushed: r.pushed(),
		})
	}
	return all, shared
}

// uploadBytes adds up what the repository's uploads take.
func (r *repo) uploadBytes() (sum int64) {
	for _, u := range r.uploads {
		sum += u.bytes
	}
	return sum
}

// pushed returns the time of the newest tag.
func (r *repo) pushed() time.Time {
	newest := uint32(0)
	for i := range r.tags {
		newest = max(newest, r.tags[i].modified)
	}
	return timeOf(newest)
}

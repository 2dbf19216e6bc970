package graph

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
	"regfsck/walker/manifest"
)

// Tagged is a tag as its links say.
type Tagged struct {
	Name    string
	Digest  layout.Digest // of what it means; zero where nobody can say
	Doubt   string        // why that can't be read, isn't certain or can't go; "" where it can
	Config  layout.Digest // of its image's config, of an index that of its first image; zero for none
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
		configs := c.g.configsOf(&c.g.repos[at])
		for _, t := range c.g.repos[at].tags {
			is := Tagged{Name: t.name, Pushed: timeOf(t.modified)}
			if t.target != none {
				is.Digest, is.Doubt = c.g.digestOf(t.target), c.g.doubtOf(t.target)
				if c.g.isForeign(t.target) {
					is.Doubt = cmp.Or(is.Doubt, "its digest is by another algorithm than sha256")
				}
				if config := configs.of(t.target); config != none {
					is.Config = c.g.digestOf(config)
				}
			} else {
				is.Doubt = "nobody can say what it means"
			}
			if c.g.repos[at].badName || t.badName {
				is.Doubt = "nothing is touched where a name is none that a registry accepts"
			}
			is.Subject, _ = layout.SubjectOf(t.name)
			if !yield(is) {
				return
			}
		}
	}
}

// Manifests are the digests of the manifests that a repository has a link to, in
// no promised order, those included that are missing or broken.
func (c *Scan) Manifests(repository string) iter.Seq[string] {
	return func(yield func(string) bool) {
		at, ok := c.g.repoID[repository]
		if !ok {
			return
		}
		for _, v := range c.g.repos[at].revisions {
			if !yield(c.g.anyOf(v.id).String()) {
				return
			}
		}
	}
}

// Readable reports whether all could be listed and read so far: if not, what can't
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

// doubtOf says why the manifest under id isn't known, "" where it is.
func (g *graph) doubtOf(id uint32) string {
	switch state := g.stateAt(id); state {
	case walker.ManifestGood:
		return ""
	case walker.ManifestUnread:
		return "its manifest was not read"
	default:
		return "its manifest is " + state.String()
	}
}

// Untagged are the manifests of a repository to which no tag leads, neither by an
// index nor as what is about it, by digest: each a Tagged without a name, pushed
// when its link or the newest entry for it in a tag's history was written. Those
// that a fix with Policy.Untagged would keep all the same are in doubt. It goes by
// the store as it was when it was first asked.
func (c *Scan) Untagged(repository string) (all []Tagged) {
	at, ok := c.g.repoID[repository]
	if !ok {
		return nil
	}
	r := &c.g.repos[at]
	var targets []uint32
	for _, t := range r.tags {
		if t.target != none {
			targets = append(targets, t.target)
		}
	}
	tagged := c.g.ledTo(r, targets)
	pushed := map[uint32]uint32{}
	for _, h := range r.history {
		pushed[h.id] = max(pushed[h.id], h.modified)
	}
	for _, v := range r.revisions {
		if !tagged[v.id] {
			all = append(all, Tagged{
				Digest: c.g.digestOf(v.id), Doubt: c.doubtOfUntagged(at, v), Pushed: timeOf(max(v.modified, pushed[v.id])),
			})
		}
	}
	slices.SortFunc(all, func(a, b Tagged) int { return a.Digest.Compare(b.Digest) })
	return all
}

// doubtOfUntagged says why a fix would keep a revision that no tag leads to, ""
// where it wouldn't.
func (c *Scan) doubtOfUntagged(repository uint32, v revision) string {
	if doubt := c.g.doubtOf(v.id); doubt != "" {
		return doubt
	}
	if c.g.isForeign(v.id) {
		return "its digest is by another algorithm than sha256"
	}
	j, goes := c.judgeUntagged()
	if goes[spot{repository, place{kind: layout.Revision, id: v.id}}] {
		return ""
	}
	for i := range c.g.repos[repository].tags {
		if t := &c.g.repos[repository].tags[i]; t.target == none {
			return "the tag " + t.name + " may mean it"
		}
	}
	switch {
	case j.isYoung(v):
		return "it was pushed within the grace period, and a push may be under way"
	case j.unclearSubject(v.id):
		return "its subject is named by another algorithm's digest"
	}
	return "something of its repository is broken, or leads to it"
}

// judgeUntagged judges the store, once, as a fix with Policy.Untagged does, and
// returns the revisions that would go, too.
func (c *Scan) judgeUntagged() (j *judgement, goes map[spot]bool) {
	if c.untagged == nil {
		c.untagged, c.untaggedGo = c.g.judge(c.policyOf(Policy{Untagged: true, Keep: c.Keep})), map[spot]bool{}
		for i := range c.untagged.problems {
			if p := &c.untagged.problems[i]; p.id == finding.ManifestUntagged {
				c.untaggedGo[spot{p.repo, place{kind: layout.Revision, id: p.obj}}] = true
			}
		}
	}
	return c.untagged, c.untaggedGo
}

// Denied is what can't go of a removal, by reference. Where there is any, nothing
// is planned: leave it out of the removal, and judge again.
func (c *Scan) Denied(ctx context.Context, r *Removal) ([]Denial, error) {
	p := c.Policy
	p.Removal = r
	j, err := c.judge(ctx, p)
	if err != nil {
		return nil, err
	}
	return j.denied, nil
}

// Led are the manifests of a repository to which those lead, themselves included.
func (c *Scan) Led(repository string, from []layout.Digest) map[layout.Digest]bool {
	led := map[layout.Digest]bool{}
	at, ok := c.g.repoID[repository]
	if !ok {
		return led
	}
	var ids []uint32
	for _, d := range from {
		if id := c.g.knownID(d); id != none {
			ids = append(ids, id)
		}
	}
	for id := range c.g.ledTo(&c.g.repos[at], ids) {
		led[c.g.digestOf(id)] = true
	}
	return led
}

// ledTo are the manifests that stay in a repository as long as those do, themselves
// included: what an index names, what has one as its subject, and what a referrers tag
// says is about one.
func (g *graph) ledTo(r *repo, todo []uint32) map[uint32]bool {
	tags := g.referrersTags(r)
	led := map[uint32]bool{}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if led[id] {
			continue
		}
		led[id] = true
		for e, needed := range g.in(r, id).needs {
			if e.isEntry() {
				todo = append(todo, needed)
			}
		}
		for referrer := range g.in(r, id).referrers {
			todo = append(todo, referrer)
		}
		for _, t := range tags[id] {
			if target := r.tags[t].target; target != none {
				todo = append(todo, target)
			}
		}
	}
	return led
}

// Has reports whether there is a repository of that name.
func (u *Usage) Has(repository string) bool {
	i, ok := u.j.repoID[repository]
	return ok && u.j.repos[i].exists
}

// HasTag reports whether the repository has that tag.
func (u *Usage) HasTag(repository, tag string) bool {
	i, ok := u.j.repoID[repository]
	return ok && u.j.repos[i].tagAt(tag) != none
}

// Names are the names of all repositories, sorted.
func (u *Usage) Names() (names []string) {
	for i := range u.j.repos {
		if u.j.repos[i].exists {
			names = append(names, u.j.repos[i].name)
		}
	}
	return names
}

// TagNames are the names of a repository's tags, sorted.
func (u *Usage) TagNames(repository string) (names []string) {
	if i, ok := u.j.repoID[repository]; ok {
		for t := range u.j.repos[i].tags {
			names = append(names, u.j.repos[i].tags[t].name)
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

// tagAt returns the index of a tag, none if there is none of that name.
func (r *repo) tagAt(name string) uint32 {
	at, ok := slices.BinarySearchFunc(r.tags, name, func(t tag, name string) int { return strings.Compare(t.name, name) })
	if !ok {
		return none
	}
	return uint32(at)
}

// Place is a file that is about a digest: the blob itself, or a link to it.
type Place struct {
	Key        string
	Repository string // "" for the blob
	Modified   time.Time
}

// Places returns the files of the store that are about a digest, the newest first.
// It looks at each, since a graph has no times of layer links.
func (c *Scan) Places(ctx context.Context, digest string) ([]Place, error) {
	d, ok := layout.ParseAnyDigest(digest)
	if !ok {
		return nil, nil
	}
	places := []Place{{Key: d.BlobKey()}}
	if id := c.g.knownIDOf(digest); id != none {
		for i := range c.g.repos {
			for _, s := range c.g.spotsOf(uint32(i), id) {
				places = append(places, Place{Key: c.g.keyOf(s), Repository: c.g.repos[i].name})
			}
		}
	}
	there := places[:0:0]
	err := c.w.Look(ctx, len(places), func(i int) string { return places[i].Key }, func(i int, l walker.Look) error {
		if !l.Absent && l.Err == nil {
			places[i].Modified = timeOf(seconds(l.Modified))
			there = append(there, places[i])
		}
		return nil
	})
	slices.SortFunc(there, func(a, b Place) int {
		return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(a.Key, b.Key))
	})
	return there, err
}

// spotsOf returns the links of a repository that name id by their paths, or, of
// tags, that mean it.
func (g *graph) spotsOf(repository, id uint32) (spots []spot) {
	r := &g.repos[repository]
	add := func(kind layout.Kind, tag uint32) {
		spots = append(spots, spot{repository, place{kind: kind, tag: tag, id: id}})
	}
	if r.hasLayer(id) {
		add(layout.LayerLink, 0)
	}
	if r.hasRevision(id) {
		add(layout.Revision, 0)
	}
	for t := range r.tags {
		if r.tags[t].target == id {
			add(layout.TagCurrent, uint32(t))
		}
	}
	for _, h := range r.history {
		if h.id == id {
			add(layout.TagHistory, h.tag)
		}
	}
	return spots
}

// NeededSince returns the digests that what was pushed to a repository since a
// moment needs there: that of each revision and each tag's target whose link is
// not older, and all that those manifests name, through indexes too. own reports
// whether a link with that time, in whole seconds rounded up, is none that a push
// wrote. The error says why nobody can tell what a push needs.
func (c *Scan) NeededSince(repository string, since time.Time, own func(key string, written time.Time) bool) (map[layout.AnyDigest]bool, error) {
	if err := c.g.blindTo(repository); err != nil {
		return nil, err
	}
	at, ok := c.g.repoID[repository]
	if !ok {
		return nil, nil
	}
	r := &c.g.repos[at]
	var todo []uint32
	pushed := func(key string, modified uint32) bool {
		written := timeOf(modified)
		return !written.Before(since) && !own(key, written)
	}
	for _, v := range r.revisions {
		if pushed(layout.RevisionKey(repository, c.g.digestOf(v.id)), v.modified) {
			todo = append(todo, v.id)
		}
	}
	for _, t := range r.tags {
		if t.target != none && pushed(layout.CurrentKey(repository, t.name), t.modified) {
			todo = append(todo, t.target)
		}
	}
	return c.g.needed(r, todo)
}

// blindTo returns what could not be read and may hide something of a repository,
// or blobs.
func (g *graph) blindTo(repository string) error {
	key := layout.RepositoryKey(repository)
	for i := range g.faults {
		f := &g.faults[i]
		elsewhere := strings.HasPrefix(f.Key, layout.Repositories+"/")
		if !elsewhere || strings.HasPrefix(f.Key+"/", key+"/") || strings.HasPrefix(key+"/", f.Key+"/") {
			return fmt.Errorf("%s could not be read", f.Key)
		}
	}
	return nil
}

// needed returns the digests of manifests and of all that they name, with what
// digests of other algorithms stand for in the repository.
func (g *graph) needed(r *repo, todo []uint32) (map[layout.AnyDigest]bool, error) {
	stands := map[uint32]uint32{}
	for _, a := range r.aliases {
		stands[a.id] = a.target
	}
	all := map[layout.AnyDigest]bool{}
	seen := map[uint32]bool{}
	manifests := map[uint32]bool{} // those among them that must have been read
	for _, id := range todo {
		manifests[id] = true
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id == none || seen[id] {
			continue
		}
		seen[id] = true
		all[g.anyOf(id)] = true
		target, alias := stands[id]
		if alias {
			manifests[target] = manifests[id]
			todo = append(todo, target)
		}
		if g.isForeign(id) && (alias || !g.present(id)) {
			continue
		}
		n := g.nodeAt(id)
		if n == nil {
			if manifests[id] {
				return nil, fmt.Errorf("the manifest %s could not be read", g.nameOf(id))
			}
			continue
		}
		if n.state == walker.ManifestUnread || n.state == walker.ManifestUnreadable || n.state == walker.ManifestArchived {
			return nil, fmt.Errorf("the manifest %s could not be read", g.nameOf(id))
		}
		for e := range g.in(r, id).references {
			if e.role() == manifest.Child {
				manifests[e.id()] = true
			}
			todo = append(todo, e.id())
		}
		for of := range g.in(r, id).subjects {
			todo = append(todo, of)
		}
	}
	return all, nil
}

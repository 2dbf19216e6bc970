package graph

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"regfsck/graph/finding"
	"regfsck/walker"
	"regfsck/walker/layout"
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

package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/walker/layout"
)

// TestTheOracleAgreesOnRemovals: a removal removes exactly what the oracle says: what is
// requested, and what only that needed and wasn't garbage before.
func TestTheOracleAgreesOnRemovals(t *testing.T) {
	took := map[finding.Kind]int{}
	denied := 0
	for seed := range oracle.Seeds() {
		b, story := oracle.Chance(seed, fixtures.Random)
		store, m := oracle.Read(b.Into, oracle.InGraceAfter), b.Memory()
		for round := range uint64(2) {
			p := randomRemoval(store, rand.New(rand.NewPCG(seed, round)))
			o := Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: time.Hour, Now: oracle.Now}, Policy: p}
			r, _, err := Store(context.Background(), m, o)
			if err != nil {
				t.Fatal(err)
			}
			for f := range r.Findings {
				took[f.Kind]++
			}
			denied += len(r.Rejected)
			wrong := removalComplaints(store, r, p)
			if len(r.Rejected) == 0 {
				wrong = append(wrong, againComplaints(t, m, o, keysThatGo(r))...)
			}
			if len(wrong) > 0 {
				t.Errorf("seed %d, round %d, %s:\n%s\nafter\n%s", seed, round, toldOf(p.Removal, p.Untagged), strings.Join(wrong, "\n"), strings.Join(story, "\n"))
			}
		}
	}
	for _, id := range []finding.Kind{finding.TagRemoved, finding.TagUnneeded, finding.ManifestRemoved, finding.ManifestUnneeded, finding.RepositoryRemoved, finding.BlobOrphan, finding.LayerLinkUnreferenced, finding.TagHistoryStale, finding.ManifestUntagged} {
		if *oracle.Stores >= 500 && took[id] == 0 {
			t.Errorf("nothing went as %s", id)
		}
	}
	if *oracle.Stores >= 500 && denied == 0 {
		t.Error("nothing was denied")
	}
}

// againComplaints returns the differences between a judgement under the plan of a removal and
// the plan.
func againComplaints(t *testing.T, m backend.Reader, o Options, goes map[string]finding.Kind) (wrong []string) {
	o.Removal = &gc.Removal{Repositories: o.Removal.Repositories, Planned: goes}
	r, _, err := Store(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	again := keysThatGo(r)
	for key, id := range goes {
		if again[key] != id {
			wrong = append(wrong, fmt.Sprintf("planned as %v, and again as %v: %s", id, again[key], key))
		}
	}
	for key, id := range again {
		if goes[key] == 0 {
			wrong = append(wrong, fmt.Sprintf("goes as %v, and isn't planned: %s", id, key))
		}
	}
	return wrong
}

func toldOf(r *gc.Removal, untagged bool) string {
	return fmt.Sprintf("repositories %v, tags %v, manifests %v, tags only %v, untagged %v", r.Repositories, r.Tags, r.Manifests, r.TagsOnly, untagged)
}

// randomRemoval requests some objects of a store.
func randomRemoval(store *oracle.Store, r *rand.Rand) gc.Policy {
	removal := &gc.Removal{
		Repositories: map[string]string{}, Tags: map[string]map[string]string{}, Manifests: map[string]map[string]string{},
		TagsOnly: r.IntN(8) == 0,
	}
	for _, name := range keysOf(store.Repositories) {
		repo := store.Repositories[name]
		if !removal.TagsOnly && r.IntN(6) == 0 {
			removal.Repositories[name] = "asked"
			continue
		}
		for _, tag := range keysOf(repo.Tags) {
			if r.IntN(3) == 0 {
				set(removal.Tags, name, tag)
			}
		}
		for _, digest := range keysOf(repo.Revisions) {
			if !removal.TagsOnly && r.IntN(8) == 0 {
				set(removal.Manifests, name, digest)
			}
		}
	}
	return gc.Policy{Removal: removal, Untagged: !removal.TagsOnly && r.IntN(4) == 0}
}

func set[K comparable](all map[string]map[K]string, repo string, what K) {
	if all[repo] == nil {
		all[repo] = map[K]string{}
	}
	all[repo][what] = "asked"
}

func keysOf[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// keysThatGo returns the keys that a removal removes, with the reasons.
func keysThatGo(r *Result) map[string]finding.Kind {
	goes := map[string]finding.Kind{}
	for f := range r.Findings {
		if f.Kind.Severity() < finding.Garbage || f.InGrace {
			continue
		}
		switch {
		case len(f.Directories) > 0:
			for _, name := range f.Directories {
				goes[f.Path+"/"+name+"/"] = f.Kind
			}
			continue
		case f.Link != nil && !f.Link.Present && f.Kind == finding.RepositoryRemoved:
		case f.Link != nil && !f.Link.Present:
			goes[layout.TagKey(f.Repository, f.Tag)+"/"] = f.Kind
		default:
			goes[f.Path] = f.Kind
		}
		if f.Link != nil {
			for _, h := range f.Link.History {
				goes[h.Path] = f.Kind
			}
		}
	}
	return goes
}

// asOracle converts a removal for the oracle.
func asOracle(r *gc.Removal) *oracle.Removal {
	asked := &oracle.Removal{
		Repositories: map[string]bool{}, Tags: map[string]map[string]bool{}, Manifests: map[string]map[string]bool{}, TagsOnly: r.TagsOnly,
	}
	for name := range r.Repositories {
		asked.Repositories[name] = true
	}
	for from, to := range map[*map[string]map[string]string]map[string]map[string]bool{&r.Tags: asked.Tags, &r.Manifests: asked.Manifests} {
		for name, all := range *from {
			to[name] = map[string]bool{}
			for what := range all {
				to[name][what] = true
			}
		}
	}
	return asked
}

// removalComplaints returns the differences between a result and the oracle.
func removalComplaints(store *oracle.Store, r *Result, p gc.Policy) (wrong []string) {
	goes := keysThatGo(r)
	judge := func(removal *oracle.Removal, untagged, generous bool) *oracle.Kept {
		return store.Keep(oracle.Policy{Removal: removal, Untagged: untagged, Generous: generous})
	}
	asked := asOracle(p.Removal)
	before, beforeAtMost := judge(nil, false, false), judge(nil, false, true)
	after, afterAtMost := judge(asked, p.Untagged, false), judge(asked, p.Untagged, true)
	check := func(key string, must, may, was, mayBe bool) {
		switch {
		case goes[key] != 0 && must:
			wrong = append(wrong, "NEEDED, and goes: "+key)
		case goes[key] != 0 && !mayBe:
			wrong = append(wrong, "was garbage before: "+key)
		case goes[key] == 0 && !may && was:
			wrong = append(wrong, "doesn't go: "+key)
		}
	}
	gone := func(digest string) bool { return goes[store.Blobs[digest].Key] != 0 }
	for digest, f := range store.Blobs {
		tagsOnly := p.Removal.TagsOnly
		check(f.Key, after.Blobs[digest] || tagsOnly, afterAtMost.Blobs[digest] || tagsOnly, before.Blobs[digest], beforeAtMost.Blobs[digest])
	}
	for name, repo := range store.Repositories {
		_, whole := p.Removal.Repositories[name]
		whole = whole && !repo.BadlyNamed()
		link := func(l oracle.Link, digests ...string) {
			free := slices.ContainsFunc(digests, gone) || whole
			stays := p.Removal.TagsOnly
			check(l.Key, after.Links[l.Key] || stays, afterAtMost.Links[l.Key] || stays, before.Links[l.Key] || free, beforeAtMost.Links[l.Key] || free)
		}
		for digest, l := range repo.Layers {
			if repo.Alias(digest) { // its blob may be stored under either
				link(l, digest, l.Target)
				continue
			}
			link(l, digest)
		}
		for digest, l := range repo.Revisions {
			link(l, digest)
		}
		for tag, t := range repo.Tags {
			named := after.Removed[name].Tags[tag]
			along := after.Removed[name].Referrers[tag] != "" && goes[layout.CurrentKey(name, tag)] == finding.TagUnneeded
			for digest, l := range t.History {
				if named || whole || along {
					check(l.Key, false, false, true, true)
				} else {
					link(l, digest)
				}
			}
			if key := layout.CurrentKey(name, tag); t.Current.Target != "" && (named || whole || along) != (goes[key] != 0) {
				wrong = append(wrong, fmt.Sprintf("tag goes as %v, asked for %v: %s", goes[key], named || whole, key))
			}
		}
	}
	said := map[string]bool{}
	for _, d := range r.Rejected {
		said[d.Ref] = true
		if !afterAtMost.Rejected[d.Ref] && strings.Contains(d.Ref, "@") || d.Why == "" {
			wrong = append(wrong, "denied: "+d.Ref+": "+d.Why)
		}
	}
	for ref := range after.Rejected {
		if !said[ref] {
			wrong = append(wrong, "not denied: "+ref)
		}
	}
	slices.Sort(wrong)
	return wrong
}

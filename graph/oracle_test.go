package graph

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// A longer run: go test ./graph -run Oracle -stores 100000
// One store again: go test ./graph -run Oracle -stores 1 -seed 4711
var (
	oracleStores = flag.Uint64("stores", 500, "how many stores the oracle judges")
	oracleSeed   = flag.Uint64("seed", 0, "the seed of the first of them")
)

var (
	oracleNow   = fixtures.Epoch.AddDate(1, 0, 0) // as examine has it
	oracleYoung = oracleNow.Add(-time.Hour)
)

// dissent is a store about which the oracle and a check don't agree.
type dissent struct {
	seed         uint64
	untagged     bool
	wrong, story []string
}

func TestTheOracleAgrees(t *testing.T) {
	var all []dissent
	for seed := *oracleSeed; seed < *oracleSeed+*oracleStores; seed++ {
		b, story := fixtures.Random(seed)
		store, m := oracleRead(b, oracleYoung), memory(b)
		for _, untagged := range []bool{false, true} {
			r := examine(t, m, func(o *Options) { o.Untagged = untagged })
			if wrong := complaints(store, r, untagged); len(wrong) > 0 {
				all = append(all, dissent{seed, untagged, wrong, story})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b dissent) int { return cmp.Compare(len(a.story), len(b.story)) })
	for i, d := range all {
		t.Errorf("seed %d, untagged %v:\n%s", d.seed, d.untagged, strings.Join(d.wrong, "\n"))
		if i < 3 { // the shortest ones
			t.Logf("after\n%s", strings.Join(d.story, "\n"))
		}
	}
}

// complaints say where a result and the oracle don't agree.
func complaints(store *oracleStore, r *Result, untagged bool) (wrong []string) {
	strict := oracle{oracleStore: store, untagged: untagged, blobs: map[string]bool{}, links: map[string]bool{}}
	generous := oracle{oracleStore: store, untagged: untagged, generous: true, blobs: map[string]bool{}, links: map[string]bool{}}
	strict.run()
	generous.run()
	garbage := map[string]finding.Kind{}
	for f := range r.Findings {
		if f.Kind.Severity() == finding.Garbage && !f.Young {
			garbage[f.Path] = f.Kind
		}
	}
	check := func(key string, must, may bool, id finding.Kind) {
		called, found := garbage[key]
		switch {
		case found && must:
			wrong = append(wrong, fmt.Sprintf("NEEDED, and called %v: %s", called, key))
		case found && called != id:
			wrong = append(wrong, fmt.Sprintf("called %v, and is %v: %s", called, id, key))
		case !found && !may:
			wrong = append(wrong, fmt.Sprintf("not called %v: %s", id, key))
		}
	}
	for digest := range store.blobs {
		d, _ := layout.ParseAnyDigest(digest)
		check(d.BlobKey(), strict.blobs[digest], generous.blobs[digest], finding.BlobOrphan)
	}
	for _, repo := range store.repos {
		link := func(l oracleLink, id finding.Kind) { check(l.key, strict.links[l.key], generous.links[l.key], id) }
		for digest, l := range repo.layers {
			if _, ok := store.blobs[digest]; ok || repo.alias(digest) {
				link(l, finding.LayerLinkUnreferenced)
			} else {
				link(l, finding.LayerLinkDangling)
			}
		}
		for _, l := range repo.revisions {
			link(l, finding.ManifestUntagged)
		}
		for _, t := range repo.tags {
			for _, l := range t.history {
				link(l, finding.TagHistoryStale)
			}
		}
	}
	wrong = append(wrong, store.signatures(r, &strict, &generous)...)
	slices.Sort(wrong)
	return wrong
}

// signatures compares which tags are called orphaned signatures: those that name a
// digest that no repository links as a manifest, no tag means and nothing keeps.
func (s *oracleStore) signatures(r *Result, strict, generous *oracle) (wrong []string) {
	linked := map[string]bool{}
	for _, repo := range s.repos {
		for digest := range repo.revisions {
			linked[digest] = true
		}
		for _, t := range repo.tags {
			linked[t.target] = true
		}
	}
	called := map[string]finding.Cure{}
	for f := range r.Findings {
		if f.Kind == finding.SignatureOrphaned {
			called[f.Repository+":"+f.Tag] = f.Cure
		}
	}
	for _, repo := range s.repos {
		orphans, may := map[string]bool{}, map[string]bool{}
		for name := range repo.tags {
			if m := oracleSignature.FindStringSubmatch(name); m != nil {
				subject := "sha256:" + m[1]
				there := linked[subject] || s.young[subject]
				orphans[name], may[name] = !there && !generous.blobs[subject], !there && !strict.blobs[subject]
			}
		}
		nothingElse := len(orphans) == len(repo.tags) && !slices.Contains(slices.Collect(maps.Values(may)), false)
		for name := range orphans {
			cure, is := called[repo.name+":"+name]
			odd := !oracleName.MatchString(repo.name) || !oracleTagName.MatchString(name)
			switch ask := cure == finding.CureRemoveAsk; {
			case orphans[name] && !is, is && !may[name]:
				wrong = append(wrong, fmt.Sprintf("%s:%s is an orphaned signature: %v, called one: %v", repo.name, name, orphans[name], is))
			case is && !odd && orphans[name] && ask == nothingElse:
				wrong = append(wrong, fmt.Sprintf("%s:%s: cure %v, and nothing else is in its repository: %v", repo.name, name, cure, nothingElse))
			}
		}
	}
	return wrong
}

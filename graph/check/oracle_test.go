package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/finding"
)

// dissent is a store on which the oracle and a check differ.
type dissent struct {
	seed         uint64
	untagged     bool
	wrong, story []string
}

func TestTheOracleAgrees(t *testing.T) {
	var all []dissent
	for seed := range oracle.Seeds() {
		b, story := oracle.Chance(seed, fixtures.Random)
		store, m := oracle.Read(b.Into, oracle.InGraceAfter), b.Memory()
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

// complaints returns the differences between a result and the oracle.
func complaints(store *oracle.Store, r *Result, untagged bool) (wrong []string) {
	strict := store.Keep(oracle.Policy{Untagged: untagged})
	generous := store.Keep(oracle.Policy{Untagged: untagged, Generous: true})
	garbage := map[string]finding.Kind{}
	for f := range r.Findings {
		if f.Kind.Severity() == finding.Garbage && !f.InGrace {
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
	for digest, f := range store.Blobs {
		check(f.Key, strict.Blobs[digest], generous.Blobs[digest], finding.BlobOrphan)
	}
	for _, repo := range store.Repositories {
		link := func(l oracle.Link, id finding.Kind) { check(l.Key, strict.Links[l.Key], generous.Links[l.Key], id) }
		for digest, l := range repo.Layers {
			if _, ok := store.Blobs[digest]; ok || repo.Alias(digest) {
				link(l, finding.LayerLinkUnreferenced)
			} else {
				link(l, finding.LayerLinkDangling)
			}
		}
		for _, l := range repo.Revisions {
			link(l, finding.ManifestUntagged)
		}
		for _, t := range repo.Tags {
			for _, l := range t.History {
				link(l, finding.TagHistoryStale)
			}
		}
	}
	wrong = append(wrong, signatureComplaints(store, r, strict, generous)...)
	slices.Sort(wrong)
	return wrong
}

// signatureComplaints compares the orphaned signatures: tags with a digest that no revision
// link, tag or kept object has.
func signatureComplaints(s *oracle.Store, r *Result, strict, generous *oracle.Kept) (wrong []string) {
	linked := map[string]bool{}
	for _, repo := range s.Repositories {
		for digest := range repo.Revisions {
			linked[digest] = true
		}
		for _, t := range repo.Tags {
			linked[t.Current.Target] = true
		}
	}
	called := map[string]finding.Cure{}
	for f := range r.Findings {
		if f.Kind == finding.SignatureOrphaned {
			called[f.Repository+":"+f.Tag] = f.Cure
		}
	}
	for _, repo := range s.Repositories {
		orphans, may := map[string]bool{}, map[string]bool{}
		for name := range repo.Tags {
			if subject := oracle.Subject(name); subject != "" {
				there := linked[subject] || s.InGrace[subject]
				orphans[name], may[name] = !there && !generous.Blobs[subject], !there && !strict.Blobs[subject]
			}
		}
		nothingElse := len(orphans) == len(repo.Tags) && !slices.Contains(slices.Collect(maps.Values(may)), false)
		for name := range orphans {
			cure, is := called[repo.Name+":"+name]
			odd := !repo.ValidTag(name)
			switch ask := cure == finding.CureRemoveAsk; {
			case orphans[name] && !is, is && !may[name]:
				wrong = append(wrong, fmt.Sprintf("%s:%s is an orphaned signature: %v, called one: %v", repo.Name, name, orphans[name], is))
			case is && !odd && orphans[name] && ask == nothingElse:
				wrong = append(wrong, fmt.Sprintf("%s:%s: cure %v, and nothing else is in its repository: %v", repo.Name, name, cure, nothingElse))
			}
		}
	}
	return wrong
}

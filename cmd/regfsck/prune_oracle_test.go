package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/walker/layout"
)

// TestPruneOracle prunes random stores with random policies, and compares the remaining files
// with an independent computation from the verdicts: each kept tag has all that a pull needs,
// unchanged, and nothing remains that only removed tags used.
func TestPruneOracle(t *testing.T) {
	going, signatures, untagged := 0, 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		b, flags := randomTags(seed, r), randomPolicy(r)
		f := newFix(t, b)
		before := f.content(t)
		p := f.prune(t, flags...)
		var a applied
		f.document(t, &a, slices.Concat([]string{"prune", "STORE", "--apply", "--yes", "--undo", "none"}, flags)...)
		if len(p.Refusals) > 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
			t.Fatalf("seed %d, %q: %+v, of %d steps came %+v\n%s", seed, flags, p.Refusals, len(p.Steps), a, f.errs.String())
		}
		is, was := f.files(t, before), map[string]bool{}
		for _, key := range b.Keys() {
			was[key] = true
		}
		should := leftOf(b, p.Tags)
		for key := range was {
			if should[key] != is[key] {
				t.Errorf("seed %d, %q: %s is there: %v, and should be: %v", seed, flags, key, is[key], should[key])
			}
		}
		for key := range is {
			if !was[key] {
				t.Errorf("seed %d, %q: %s has come", seed, flags, key)
			}
		}
		for _, v := range p.Tags {
			switch {
			case v.Keep:
			case v.Tag == "":
				untagged++
			case v.Subject != "":
				signatures++
			default:
				going++
			}
			if key := layout.CurrentKey(v.Repository, v.Tag); v.Tag != "" && v.Keep != is[key] {
				t.Errorf("seed %d, %q: %s:%s is there: %v, and is to stay: %v", seed, flags, v.Repository, v.Tag, is[key], v.Keep)
			}
		}
	}
	if going < 60 || signatures < 5 || untagged < 10 {
		t.Errorf("only %d tags, %d signatures and %d manifests without a tag went", going, signatures, untagged)
	}
}

// leftOf returns the keys that remain after the verdicts, by the oracle.
func leftOf(b *fixtures.Builder, verdicts []verdict) map[string]bool {
	asked := &oracle.Removal{Tags: map[string]map[string]bool{}, Manifests: map[string]map[string]bool{}}
	for _, v := range verdicts {
		in, what := asked.Tags, v.Tag
		if v.Tag == "" {
			in, what = asked.Manifests, v.Digest
		}
		if v.Keep || v.Subject != "" {
			continue
		}
		if in[v.Repository] == nil {
			in[v.Repository] = map[string]bool{}
		}
		in[v.Repository][what] = true
	}
	store := oracle.Read(b.Into, b.Now())
	kept := store.Keep(oracle.Policy{Removal: asked})
	keys := map[string]bool{}
	for key, stays := range kept.Links {
		keys[key] = stays
	}
	for digest := range kept.Blobs {
		keys[store.Blobs[digest].Key] = true
	}
	for name, r := range store.Repositories {
		for tag, t := range r.Tags {
			keys[t.Current.Key] = !kept.Removes(name, tag)
		}
	}
	return keys
}

// files returns the keys of all files of the store. Each must be unchanged.
func (f *fake) files(t *testing.T, before fixtures.Picture) map[string]bool {
	keys := map[string]bool{}
	for key, e := range f.content(t) {
		if e.Mode.IsRegular() {
			keys[key] = true
		}
		if was, ok := before[key]; ok && e != was {
			t.Errorf("%s was changed", key)
		}
	}
	return keys
}

// randomTags returns a healthy store: images, indexes, all kinds of referrers, moved tags,
// and untagged manifests.
func randomTags(seed uint64, r *rand.Rand) *fixtures.Builder {
	b := fixtures.New(seed)
	all := map[string][]fixtures.Manifest{}
	var blobs []fixtures.Descriptor
	for range 8 + r.IntN(25) {
		b.SetClock(b.Now().Add(time.Duration(1+r.IntN(400)) * time.Hour))
		repo := []string{"app", "app/sub", "web"}[r.IntN(3)]
		tag := []string{"", "v1", "v2", "v3", "v4", "latest", "pr-1", "pr-2"}[r.IntN(8)]
		here := all[repo]
		var m fixtures.Manifest
		switch kind := r.IntN(10); {
		case kind < 4 || len(here) < 2:
			want := fixtures.Image{Layers: []int{20}, Docker: kind%2 == 0}
			if r.IntN(3) == 0 {
				want.Labels = map[string]string{"quay.expires-after": []string{"5d", "90w", "never"}[r.IntN(3)]}
			}
			if len(blobs) > 0 && kind%3 == 0 {
				want.Shared = []fixtures.Descriptor{blobs[r.IntN(len(blobs))]}
			}
			m = b.Image(repo, tag, want)
			blobs = append(blobs, m.Blobs[1:]...)
		case kind < 6:
			m = b.Index(repo, tag, here[r.IntN(len(here))], here[r.IntN(len(here))])
		case kind == 6:
			m = b.Referrer(here[r.IntN(len(here))], "x/sbom")
		case kind == 7:
			m = b.Cosign(here[r.IntN(len(here))], "sig")
		case tag != "":
			b.Tag(repo, tag, here[r.IntN(len(here))].Digest)
			continue
		default:
			m = b.Helm(repo, "chart")
		}
		all[repo] = append(here, m)
	}
	return b
}

// randomPolicy returns random rules, sometimes with repositories.
func randomPolicy(r *rand.Rand) (flags []string) {
	for _, rule := range []string{"--keep-last 1", "--keep-last 2", "--keep-monthly 2", "--keep-within 90d", "--keep-newer-than 100d", "--keep-tags ^v[12]", "--keep-weekly 3", "--keep-semver major:2"} {
		if r.IntN(4) == 0 && !slices.Contains(flags, strings.Fields(rule)[0]) {
			flags = append(flags, strings.Fields(rule)...)
		}
	}
	for _, more := range []string{"--time created", "--may-remove latest", "--may-remove **", "--repo app/**", "--exclude-repo web", "--honour-expiry", "--untagged", "--keep-untagged-within 400d"} {
		if r.IntN(4) == 0 {
			flags = append(flags, strings.Fields(more)...)
		}
	}
	return append(flags, "--allow-tagless")
}

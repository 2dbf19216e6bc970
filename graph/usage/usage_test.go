package usage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/check"

	"regfsck/fixtures"
	"regfsck/fixtures/oracle"
	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// examine checks a store long after it was built.
func examine(t *testing.T, r backend.Reader, change func(*check.Options)) *check.Result {
	t.Helper()
	o := check.Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: 168 * time.Hour, Now: oracle.Now}}
	if change != nil {
		change(&o)
	}
	result, _, err := check.Store(context.Background(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// usageOf returns the usage of a check's result.
func usageOf(r *check.Result) *Usage { return Of(r.Marks, r.Broken) }

func summed(o *check.Options) { o.Usage = true }

// idle returns the bytes of blobs that nothing needs, also those in grace.
func idle(t *testing.T, b *fixtures.Builder, change func(*check.Options)) (bytes int64) {
	t.Helper()
	for f := range examine(t, b.Memory(), change).Findings {
		if f.Kind == finding.BlobOrphan {
			bytes += f.Bytes
		}
	}
	return bytes
}

// without returns the store without some directories.
func without(b *fixtures.Builder, directories ...string) *fixtures.Builder {
	c := b.Clone(0)
	for _, directory := range directories {
		if c.Has(directory) {
			c.Erase(directory)
		}
	}
	return c
}

// elsewhere reports whether the references of one repository depend on another's: a layer
// link to a manifest, which is followed only if another repository refers to it as one, or a
// link in grace, which keeps untagged revisions of the digest in all repositories.
func elsewhere(story []string, untagged bool) bool {
	return slices.ContainsFunc(story, func(s string) bool {
		return strings.Contains(s, "/_layers/") && strings.Contains(s, " holds ") || untagged && strings.HasPrefix(s, "young ")
	})
}

// TestOracleOfWhatRepositoriesOwn: the own bytes of a repository are what nothing needs in
// the same store without it, and all numbers add up to the store.
func TestOracleOfWhatRepositoriesOwn(t *testing.T) {
	for seed := *oracle.Seed; seed < *oracle.Seed+*oracle.Stores/8; seed++ {
		b, story := oracle.Chance(seed, fixtures.Random)
		if elsewhere(story, seed%3 == 0) {
			continue
		}
		untagged := func(o *check.Options) { o.Untagged = seed%3 == 0 }
		r := examine(t, b.Memory(), func(o *check.Options) { summed(o); untagged(o) })
		before := idle(t, b, untagged)
		all, shared := Of(r.Marks, r.Broken).Repositories()
		sum := before + shared
		for _, u := range all {
			directory := layout.RepositoryKey(u.Name)
			gone := without(b, directory+"/_layers", directory+"/_manifests", directory+"/_uploads")
			if freed := idle(t, gone, untagged) - before; freed != u.Own {
				t.Errorf("seed %d: %s owns %d, and without it %d more are idle, after\n%s", seed, u.Name, u.Own, freed, strings.Join(story, "\n"))
			}
			sum += u.Own
			alone := b
			for _, other := range all {
				if directory := layout.RepositoryKey(other.Name); other.Name != u.Name {
					alone = without(alone, directory+"/_layers", directory+"/_manifests", directory+"/_uploads")
				}
			}
			if total := r.Totals.Bytes - idle(t, alone, untagged); total != u.Total() {
				t.Errorf("seed %d: %s uses %d, and alone it uses %d, after\n%s", seed, u.Name, u.Total(), total, strings.Join(story, "\n"))
			}
		}
		if sum != r.Totals.Bytes {
			t.Errorf("seed %d: own, shared and idle bytes are %d of %d", seed, sum, r.Totals.Bytes)
		}
	}
}

// TestUsageOnRequest: a check without the option has no usage.
func TestUsageOnRequest(t *testing.T) {
	b := fixtures.Standard()
	if r := examine(t, b.Memory(), nil); Of(r.Marks, r.Broken) != nil {
		t.Error("summed up")
	}
	plain, with := examine(t, b.Memory(), nil), examine(t, b.Memory(), summed)
	if a, b := fmt.Sprint(plain.Totals, plain.Counts), fmt.Sprint(with.Totals, with.Counts); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

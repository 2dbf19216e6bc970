package check

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/finding"
)

func TestMain(m *testing.M) { os.Exit(fixtures.Run(m)) }

// examine checks a store long after it was built.
func examine(t *testing.T, r backend.Reader, change func(*Options)) *Result {
	t.Helper()
	o := Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: 168 * time.Hour, Now: fixtures.Epoch.AddDate(1, 0, 0)}}
	if change != nil {
		change(&o)
	}
	result, _, err := Store(context.Background(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func lines(r *Result) []string {
	var all []string
	for f := range r.Findings {
		all = append(all, line(f.Kind.String(), f.Path, f.Repository, f.Tag, f.Digest, f.Affects))
	}
	slices.Sort(all)
	return all
}

func line(id, path, repository, tag, digest string, affects []string) string {
	affects = slices.Sorted(slices.Values(affects))
	return fmt.Sprintf("%s %s repo=%s tag=%s %s affects=%s", id, path, repository, tag, digest, strings.Join(affects, ","))
}

func TestHealthyStoreHasNoFindings(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"default":  nil,
		"thorough": func(o *Options) { o.Thorough = true },
		"verify":   func(o *Options) { o.Verify.All = true },
		"workers":  func(o *Options) { o.Workers = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, fixtures.Standard().Memory(), change)
			if found := lines(r); len(found) > 0 || !r.Complete {
				t.Errorf("complete=%v, found:\n%s", r.Complete, strings.Join(found, "\n"))
			}
		})
	}
}

func TestEachDamageIsFoundAndNothingElse(t *testing.T) {
	for _, d := range fixtures.Damages() {
		if d.Disk != nil {
			continue // these are tested with the program
		}
		t.Run(d.ID+"/"+d.Name, func(t *testing.T) {
			b := fixtures.Standard()
			var want []string
			for _, f := range d.Apply(b) {
				want = append(want, line(f.ID, f.Path, f.Repository, f.Tag, f.Digest, f.Affects))
			}
			slices.Sort(want)
			r := examine(t, b.Memory(), func(o *Options) {
				o.Thorough = d.Thorough
				o.Verify.All = d.Verify
				o.Untagged = d.ID == "manifest-untagged"
			})
			if got := lines(r); !slices.Equal(got, want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for f := range r.Findings {
				if f.Cure != finding.CureNone && !slices.Contains(f.Kind.Cures(), f.Cure) || f.AffectsCount > 0 && !f.Kind.Harms() {
					t.Errorf("%s has the cure %s and breaks %v: its row says otherwise", f.Kind, f.Cure, f.Affects)
				}
			}
		})
	}
}

package check

import (
	"context"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph/finding"
)

// claims returns the findings about the store, without unreadable keys.
func claims(r *Result) []string {
	return slices.DeleteFunc(lines(r), func(l string) bool {
		return strings.HasPrefix(l, "store-")
	})
}

func brokenRefs(r *Result) []string {
	var refs []string
	for b := range r.Broken {
		refs = append(refs, b.Ref())
	}
	return refs
}

// withoutAffects removes what a fault may shorten.
func withoutAffects(lines []string) []string {
	var cut []string
	for _, l := range lines {
		l, _, _ = strings.Cut(l, " affects=")
		cut = append(cut, l)
	}
	return cut
}

// told returns all findings of a check without faults, without the obvious empty directories
// of empty repositories.
func told(r *Result, b *fixtures.Builder) []string {
	all := withoutAffects(claims(r))
	for f := range r.Findings {
		if f.Kind != finding.RepoEmpty {
			continue
		}
		m := b.Memory()
		m.List(context.Background(), f.Path, noLeaf, func(batch backend.Batch) error {
			for _, it := range batch.Items {
				key := batch.Dir + "/" + strings.TrimSuffix(it.Name, "/")
				all = append(all, withoutAffects([]string{line("folder-empty", key, f.Repository, "", "", nil)})...)
			}
			return nil
		})
	}
	return all
}

func noLeaf(string) backend.Hint { return backend.Hint{} }

// notIn returns the elements of some that all lacks.
func notIn(some, all []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(s string) bool { return slices.Contains(all, s) })
}

func TestReadErrorsHideButNeverInvent(t *testing.T) {
	damages := append([]fixtures.Damage{{ID: "healthy", Apply: func(*fixtures.Builder) []fixtures.Found { return nil }}}, fixtures.Damages()...)
	for _, d := range damages {
		if d.Disk != nil {
			continue
		}
		b := fixtures.Standard()
		d.Apply(b)
		m := b.Memory()
		for _, untagged := range []bool{false, true} {
			change := func(o *Options) { o.Thorough, o.Verify.All, o.Untagged = d.Thorough, d.Verify, untagged }
			clean := examine(t, m, change)
			// If the link of a corrupt manifest can't be read, it is a corrupt blob.
			known := told(clean, b)
			for _, l := range known {
				known = append(known, strings.Replace(l, finding.ManifestCorrupt.String(), finding.BlobCorrupt.String(), 1))
			}
			for seed := range uint64(6) {
				for _, share := range []float64{0.02, 0.5} {
					f := fixtures.NewFaulty(m, fixtures.Share(seed, share, fixtures.Fail))
					r := examine(t, f, change)
					if _, wrong := f.Count(); (wrong > 0) == r.Complete {
						t.Errorf("%s/%s seed %d: %d operations failed and complete is %v", d.ID, d.Name, seed, wrong, r.Complete)
					}
					if extra := notIn(withoutAffects(claims(r)), known); len(extra) > 0 {
						t.Errorf("%s/%s seed %d share %v untagged %v: invented\n%s", d.ID, d.Name, seed, share, untagged, strings.Join(extra, "\n"))
					}
					if extra := notIn(brokenRefs(r), brokenRefs(clean)); len(extra) > 0 {
						t.Errorf("%s/%s seed %d share %v: called broken: %v", d.ID, d.Name, seed, share, extra)
					}
				}
			}
		}
	}
}

func TestASingleLieIsNeverBelieved(t *testing.T) {
	m := fixtures.Standard().Memory()
	count := fixtures.NewFaulty(m, nil)
	one := func(o *Options) { o.Workers, o.Verify.All = 1, true }
	examine(t, count, one)
	all, _ := count.Count()
	for n := 1; n <= all; n++ {
		for _, w := range []fixtures.Wrong{fixtures.Lie, fixtures.Cut} {
			op := fixtures.OpItem
			rule := fixtures.Nth(n, w)
			f := fixtures.NewFaulty(m, func(i int, o fixtures.Op, key string) fixtures.Wrong {
				if i == n {
					op = o
				}
				if o == fixtures.OpItem {
					return fixtures.Right // a listing that omits references can't be detected
				}
				return rule(i, o, key)
			})
			r := examine(t, f, one)
			if found := claims(r); len(found) > 0 {
				t.Errorf("operation %d (%v, %v): believed\n%s", n, op, w, strings.Join(found, "\n"))
			}
			if broken := brokenRefs(r); len(broken) > 0 {
				t.Errorf("operation %d (%v, %v): called broken: %v", n, op, w, broken)
			}
		}
	}
}

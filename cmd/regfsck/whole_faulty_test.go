package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
)

// TestHalfTheReadsFail checks a store on a dying disk: everything that could
// not be read is named, or a directory above it is, and what is said besides is
// what a check of the whole disk says, too.
func TestHalfTheReadsFail(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	for name, b := range map[string]*fixtures.Builder{"healthy": fixtures.Standard(), "rotten": rotten()} {
		f.rewrite(t, b)
		f.check = graph.Check
		flags := []string{"--thorough", "--verify", "all"}
		truth := f.judge(t, flags...)
		var broken []string
		for _, tag := range truth.Broken {
			broken = append(broken, tag.Ref)
		}
		for seed := range uint64(8) {
			var failed []string
			rule := fixtures.Share(seed, 0.5, fixtures.Fail)
			f.check = func(ctx context.Context, r backend.Reader, o graph.Options) (*graph.Result, []graph.Phase, error) {
				failed = nil
				return graph.Check(ctx, fixtures.NewFaulty(r, func(n int, op fixtures.Op, key string) fixtures.Wrong {
					w := rule(n, op, key)
					if w != fixtures.Right {
						failed = append(failed, strings.TrimSuffix(key, "/"))
					}
					return w
				}), o)
			}
			a := f.judge(t, flags...)
			if a.Complete || a.Exit.Code&8 == 0 || len(failed) == 0 {
				t.Errorf("%s, seed %d: %d reads failed, complete is %v, exit %d", name, seed, len(failed), a.Complete, a.Exit.Code)
			}
			named := map[string]bool{}
			for _, x := range a.Findings {
				if x.ID == "store-unreadable" {
					named[x.Path] = true
				} else if !slices.ContainsFunc(truth.Findings, func(y found) bool { return x.ID == y.ID && x.Path == y.Path }) && x.ID != "folder-empty" {
					t.Errorf("%s, seed %d: invented %s %s", name, seed, x.ID, x.Path)
				}
			}
			for _, key := range failed {
				if !covered(named, key) {
					t.Errorf("%s, seed %d: %s could not be read, and isn't named", name, seed, key)
				}
			}
			for _, tag := range a.Broken {
				if !slices.Contains(broken, tag.Ref) {
					t.Errorf("%s, seed %d: called broken: %s", name, seed, tag.Ref)
				}
			}
			exit := f.run(slices.Concat([]string{"check", "STORE", "--no-progress"}, flags)...)
			if out := f.out.String(); exit&8 == 0 || !strings.Contains(out, "INCOMPLETE: ") || strings.Contains(out, "\nCLEAN") || !strings.Contains(out, failed[0]) {
				t.Errorf("%s, seed %d: exit %d\n%s", name, seed, exit, out)
			}
		}
	}
}

// covered reports whether key or a directory above it is among the named.
func covered(named map[string]bool, key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if named[key] {
			return true
		}
	}
	return false
}

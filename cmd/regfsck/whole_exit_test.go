package main

import (
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
)

// TestExitCodesOfRealStores runs every --fail-on over a store of each kind.
func TestExitCodesOfRealStores(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	failOns := []string{"error", "warning", "garbage", "never"}
	for _, c := range []struct {
		name    string
		damages []string
		unread  bool
		codes   [4]int // by failOns
		bits    [4]string
		verdict string // how the last lines begin
	}{
		{"clean", nil, false, [4]int{0, 0, 0, 0}, [4]string{}, "CLEAN: "},
		{"garbage", []string{"blob-orphan"}, false, [4]int{0, 0, 4, 0}, [4]string{2: "damage-left"}, "CLEAN: "},
		{"warnings", []string{"foreign-file", "name-invalid"}, false, [4]int{0, 4, 4, 0}, [4]string{1: "damage-left", 2: "damage-left"}, "CLEAN: "},
		{"damaged", []string{"blob-missing"}, false, [4]int{4, 4, 4, 0}, [4]string{"damage-left", "damage-left", "damage-left"}, "DAMAGED: "},
		{"incomplete", nil, true, [4]int{8, 8, 8, 8}, [4]string{"incomplete", "incomplete", "incomplete", "incomplete"}, "INCOMPLETE: "},
		{
			"incomplete, garbage", []string{"folder-empty"}, true, [4]int{8, 8, 12, 8},
			[4]string{"incomplete", "incomplete", "damage-left incomplete", "incomplete"}, "INCOMPLETE: ",
		},
		{
			"incomplete, damaged", []string{"blob-missing"}, true, [4]int{12, 12, 12, 8},
			[4]string{"damage-left incomplete", "damage-left incomplete", "damage-left incomplete", "incomplete"}, "DAMAGED and INCOMPLETE: ",
		},
	} {
		f.rewrite(t, damaged(c.damages...))
		if c.unread {
			if err := fixtures.Damages()[0].Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}
		for i, failOn := range failOns {
			a := f.judge(t, "--fail-on", failOn)
			if a.Exit.Code != c.codes[i] || strings.Join(a.Exit.Bits, " ") != c.bits[i] {
				t.Errorf("%s, --fail-on %s: exit %+v, want %d %s", c.name, failOn, a.Exit, c.codes[i], c.bits[i])
			}
			if damage := slices.Contains(c.damages, "blob-missing"); a.Complete == c.unread || (a.Verdict == "damaged") != damage {
				t.Errorf("%s, --fail-on %s: complete is %v, the verdict %s", c.name, failOn, a.Complete, a.Verdict)
			}
			if exit := f.run("check", "STORE", "--fail-on", failOn, "--quiet"); exit != c.codes[i] || !strings.HasPrefix(f.out.String(), c.verdict) {
				t.Errorf("%s, --fail-on %s, --quiet: exit %d, %s", c.name, failOn, exit, f.out.String())
			}
		}
	}
}

//go:build unix

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"regfsck/walker/layout"
)

// TestFilesDatedAhead: files with a time far in the future are newer than now: nothing of
// them is removed, whatever the year, and prune says why such a tag is kept.
func TestFilesDatedAhead(t *testing.T) {
	b, _ := aged()
	orphan := []byte("nobody's")
	key := layout.BlobKey(layout.Sum(orphan))
	b.Put(key, orphan)
	f := newFix(t, b)
	path := func(key string) string { return filepath.Join(f.store, filepath.FromSlash(key)) }
	orphans := func() (all []string) {
		for _, s := range f.plan(t).Steps {
			if s.Finding == "blob-orphan" {
				all = append(all, s.Key)
			}
		}
		return all
	}
	if !slices.Contains(orphans(), key) {
		t.Fatalf("the plan lacks %s", key)
	}
	const tag = "other:v0"
	if p := f.prune(t, "--keep-last", "1"); !slices.Contains(p.going(), tag) {
		t.Fatalf("%q goes, and %s stays", p.going(), tag)
	}
	for _, year := range []int{2100, 2107, 2200, 2300, 2440} {
		then := syscall.Timespec{Sec: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC).Unix()} // os.Chtimes doesn't support it
		for _, key := range []string{key, layout.CurrentKey("other", "v0")} {
			if err := syscall.UtimesNano(path(key), []syscall.Timespec{then, then}); err != nil {
				t.Fatal(err)
			}
		}
		if got := orphans(); slices.Contains(got, key) {
			t.Errorf("%d: %q is to be removed", year, got)
		}
		p := f.prune(t, "--keep-last", "1")
		if v := p.of(t, tag); !v.Keep || !strings.Contains(strings.Join(v.Rules, " "), "in the future") {
			t.Errorf("%d: %+v", year, v)
		}
	}
}

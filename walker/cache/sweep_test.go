package cache_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"regfsck/walker/layout"
)

// weight returns the total size of a directory's packs.
func weight(t *testing.T, dir string) (total int64) {
	t.Helper()
	for _, path := range files(t, dir, ".pack") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func day(n int) time.Time { return noon.AddDate(0, 0, n) }

func TestTheLeastRecentlyUsedIsRemoved(t *testing.T) {
	dir := t.TempDir()
	const limit, size = 10_000, 500
	keep(t, dir, limit, day(0), size, 0, 10)
	c := open(t, dir, limit, day(1))
	for n := 0; n < 10; n += 2 { // used once more
		if !has(t, c, n, size) {
			t.Fatalf("manifest %d isn't there", n)
		}
	}
	shut(t, c)
	keep(t, dir, limit, day(2), size, 10, 22)
	if got := weight(t, dir); got > limit {
		t.Errorf("%d bytes, at most %d", got, limit)
	}
	c = open(t, dir, limit, day(2))
	defer shut(t, c)
	for n := range 22 {
		if old := n < 10 && n%2 == 1; has(t, c, n, size) == old {
			t.Errorf("manifest %d is there: %t", n, !old)
		}
	}
}

// TestFutureTimes: manifests kept by a wrong clock are removed in the end.
func TestFutureTimes(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, 10_000, day(1000), 500, 0, 15)
	keep(t, dir, 10_000, day(0), 500, 15, 30)
	c := open(t, dir, 10_000, day(0))
	defer shut(t, c)
	for n := 15; n < 30; n++ {
		if !has(t, c, n, 500) {
			t.Errorf("manifest %d had to go", n)
		}
	}
}

// TestMoreThanFits: a store that exceeds the limit still finds what was kept.
func TestMoreThanFits(t *testing.T) {
	dir := t.TempDir()
	const limit, size, many = 10_000, 500, 60
	for n := range 3 {
		keep(t, dir, limit, day(n), size, 0, many)
		if got := weight(t, dir); got > limit {
			t.Errorf("%d bytes, at most %d", got, limit)
		}
	}
	c := open(t, dir, limit, day(3))
	defer shut(t, c)
	found := 0
	for n := range many {
		if has(t, c, n, size) {
			found++
		}
	}
	if found < limit/size*3/4 {
		t.Errorf("%d of %d are there", found, many)
	}
}

func TestSmallPacksAreJoined(t *testing.T) {
	dir := t.TempDir()
	for n := range 40 {
		keep(t, dir, 1<<20, day(n), 100, n, n+1)
	}
	if packs, indexes := files(t, dir, ".pack"), files(t, dir, ".index"); len(packs) > 9 || len(indexes) != len(packs) {
		t.Errorf("%d packs, %d indexes", len(packs), len(indexes))
	}
	c := open(t, dir, 1<<20, day(40))
	defer shut(t, c)
	for n := range 40 {
		if !has(t, c, n, 100) {
			t.Errorf("manifest %d isn't there", n)
		}
	}
}

// TestTheSameTwice: manifests that two runs kept at once are stored once after the next run.
func TestTheSameTwice(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir, 1<<20, noon), open(t, dir, 1<<20, noon)
	for n := range 10 {
		a.Keep(layout.Sum(body(n, 100)), body(n, 100))
		b.Keep(layout.Sum(body(n, 100)), body(n, 100))
	}
	shut(t, a)
	shut(t, b)
	c := open(t, dir, 1<<20, noon)
	shut(t, c)
	if got := weight(t, dir); got != 1000 {
		t.Errorf("%d bytes are there of 1000", got)
	}
	c = open(t, dir, 1<<20, noon)
	defer shut(t, c)
	for n := range 10 {
		if !has(t, c, n, 100) {
			t.Errorf("manifest %d isn't there", n)
		}
	}
}

// TestDamagedPacksAreRewritten: a pack that is mostly damaged is rewritten without the damage.
func TestDamagedPacksAreRewritten(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, 1<<20, noon, 100, 0, 10)
	path := one(t, dir, ".pack")
	pack, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(pack[:600])
	if err := os.WriteFile(path, pack, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c := open(t, dir, 1<<20, noon)
		for n := range 10 {
			if has(t, c, n, 100) != (n >= 6) {
				t.Errorf("manifest %d is there: %t", n, n < 6)
			}
		}
		shut(t, c)
		if got := weight(t, dir); got != 400 {
			t.Errorf("%d bytes are left, of which 400 are sound", got)
		}
	}
}

func TestLeftoversOfAnInterruptedRun(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, 1<<20, noon, 100, 0, 1)
	old := noon.Add(-48 * time.Hour)
	for name, modified := range map[string]time.Time{
		"old.tmp": old, "old.pack": old, "old.index": old, "old.txt": old, "new.tmp": noon, "new.pack": noon,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "directory.index"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, 1<<20, noon)
	if !has(t, c, 0, 100) {
		t.Error("the manifest isn't there")
	}
	shut(t, c)
	for name, want := range map[string]bool{
		"old.tmp": false, "old.pack": false, "old.index": false, "old.txt": true, "new.tmp": true, "new.pack": true, "directory.index": true,
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

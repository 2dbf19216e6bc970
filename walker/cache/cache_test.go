package cache_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/walker/cache"
	"regfsck/walker/layout"
)

var noon = time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC)

const plenty = 1 << 20 // bytes

// body returns the n-th manifest.
func body(n, size int) []byte {
	b := fmt.Appendf(nil, "manifest %d ", n)
	return append(b, bytes.Repeat([]byte{'.'}, size-len(b))...)
}

func open(t *testing.T, dir string, limit int64, now time.Time) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, limit, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shut(t *testing.T, c *cache.Cache) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// keep keeps the manifests from … to-1 in one run.
func keep(t *testing.T, dir string, limit int64, now time.Time, size, from, to int) {
	t.Helper()
	c := open(t, dir, limit, now)
	for n := from; n < to; n++ {
		c.Keep(layout.Sum(body(n, size)), body(n, size))
	}
	shut(t, c)
}

// has reports whether the n-th manifest is in the cache, and fails if other bytes are
// returned.
func has(t *testing.T, c *cache.Cache, n, size int) bool {
	t.Helper()
	want := body(n, size)
	d := layout.Sum(want)
	got, ok := c.Take(d, md5.Sum(want), nil)
	if ok && !bytes.Equal(got, want) {
		t.Errorf("manifest %d is %q", n, got)
	}
	if ok && !c.Holds(d, int64(size)) {
		t.Errorf("manifest %d was taken, and isn't held", n)
	}
	return ok
}

// files returns the files of a directory with that extension.
func files(t *testing.T, dir, ending string) (all []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// one returns the only file with that extension.
func one(t *testing.T, dir, ending string) string {
	t.Helper()
	all := files(t, dir, ending)
	if len(all) != 1 {
		t.Fatalf("%d files %s", len(all), ending)
	}
	return all[0]
}

func TestKeptManifestsAreFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "manifests")
	c := open(t, dir, plenty, noon)
	first := body(1, 500)
	d := layout.Sum(first)
	c.Keep(d, first)
	c.Keep(d, first)
	clear(first)
	c.Keep(layout.Sum(body(2, cache.MaxSize+1)), body(2, cache.MaxSize+1))
	shut(t, c)
	shut(t, c)
	if c.Holds(d, 500) || has(t, c, 1, 500) {
		t.Error("a closed cache holds something")
	}
	c.Keep(layout.Sum(body(3, 50)), body(3, 50))

	c = open(t, dir, plenty, noon)
	defer shut(t, c)
	buf := make([]byte, 500)
	got, ok := c.Take(d, md5.Sum(body(1, 500)), buf)
	if !ok || &got[0] != &buf[0] {
		t.Error("the space that was given isn't used, or nothing was taken")
	}
	if !has(t, c, 1, 500) || has(t, c, 2, cache.MaxSize+1) || has(t, c, 3, 50) || c.Taken() != 2 {
		t.Errorf("%d taken", c.Taken())
	}
	if c.Holds(d, 499) || !c.Holds(d, 500) {
		t.Error("the size is not heeded")
	}
	if info, err := os.Stat(one(t, dir, ".pack")); err != nil || info.Size() != 500 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(one(t, dir, ".index")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
	}
}

func TestAnotherMD5IsNotTaken(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, plenty, noon, 100, 0, 1)
	c := open(t, dir, plenty, noon)
	defer shut(t, c)
	if got, ok := c.Take(layout.Sum(body(0, 100)), md5.Sum([]byte("another")), nil); ok {
		t.Errorf("taken: %q", got)
	}
	if c.Taken() != 0 || !has(t, c, 0, 100) {
		t.Error("an entry with another MD5 was dropped, or counted")
	}
}

// TestConcurrentRuns lets runs keep, take and close in one directory at the same time.
func TestConcurrentRuns(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for run := range 4 {
		wait.Go(func() {
			for round := range 6 {
				c, err := cache.Open(dir, 20_000, noon.Add(time.Duration(round)*24*time.Hour))
				if err != nil {
					t.Error(err)
					return
				}
				var inside sync.WaitGroup
				for part := range 2 {
					inside.Go(func() {
						for n := part; n < 30; n += 1 + run%2 {
							if !has(t, c, n, 500) {
								c.Keep(layout.Sum(body(n, 500)), body(n, 500))
							}
						}
					})
				}
				inside.Wait()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	keep(t, dir, 20_000, noon, 500, 0, 30)
	c := open(t, dir, 20_000, noon)
	defer shut(t, c)
	for n := range 30 {
		if !has(t, c, n, 500) {
			t.Errorf("manifest %d isn't there", n)
		}
	}
	if temps := files(t, dir, ".tmp"); len(temps) > 0 {
		t.Errorf("%v is left", temps)
	}
}

// TestTheSameCorruptionTwice: a cache with the same corruption as the store isn't used.
func TestTheSameCorruptionTwice(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, plenty, noon, 100, 0, 1)
	corrupt := body(1, 100)
	if err := os.WriteFile(one(t, dir, ".pack"), corrupt, 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, plenty, noon)
	defer shut(t, c)
	if got, ok := c.Take(layout.Sum(body(0, 100)), md5.Sum(corrupt), nil); ok {
		t.Errorf("taken: %q", got)
	}
	if c.Holds(layout.Sum(body(0, 100)), 100) {
		t.Error("what is broken is held still")
	}
}

// TestDamagedFiles damages each file at random: the cache returns right bytes or none, and is
// complete after everything was kept again.
func TestDamagedFiles(t *testing.T) {
	const many, size = 20, 300
	random := rand.New(rand.NewPCG(1, 2))
	for name, damage := range map[string]func([]byte) []byte{
		"flipped": func(b []byte) []byte { b[random.IntN(len(b))] ^= 1 << random.IntN(8); return b },
		"cut":     func(b []byte) []byte { return b[:random.IntN(len(b))] },
		"empty":   func([]byte) []byte { return nil },
		"longer":  func(b []byte) []byte { return append(b, b...) },
		"zeros":   func(b []byte) []byte { clear(b[random.IntN(len(b)):]); return b },
		"shifted": func(b []byte) []byte { return b[1:] },
	} {
		for _, ending := range []string{".pack", ".index"} {
			for range 10 {
				dir := t.TempDir()
				keep(t, dir, plenty, noon, size, 0, many)
				path := one(t, dir, ending)
				file, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(file), 0o600); err != nil {
					t.Fatal(err)
				}
				c := open(t, dir, plenty, noon)
				for n := range many {
					if !has(t, c, n, size) {
						c.Keep(layout.Sum(body(n, size)), body(n, size))
					}
				}
				shut(t, c)
				c = open(t, dir, plenty, noon)
				for n := range many {
					if !has(t, c, n, size) {
						t.Errorf("%s%s: manifest %d isn't there after it was kept anew", name, ending, n)
					}
				}
				shut(t, c)
			}
		}
	}
}

func TestUnusableDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := cache.Open(dir, plenty, noon); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "gone")
	c := open(t, dir, plenty, noon)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		c.Keep(layout.Sum(body(n, 100)), body(n, 100))
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("nothing could be written, and it says %v", err)
	}
}

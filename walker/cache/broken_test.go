package cache_test

import (
	"crypto/md5"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/walker/cache"
	"regfsck/walker/layout"
)

// A cache that is corrupt in the very way in which the store is doesn't stand for
// it.
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

// TestNothingBrokenIsTaken breaks each file at random in every way, and holds
// the cache to giving right bytes or none, and to being whole again once all was
// kept anew.
func TestNothingBrokenIsTaken(t *testing.T) {
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

func TestFoldersThatCannotBeUsed(t *testing.T) {
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

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// foreignIn returns the keys of the foreign files that a check finds.
func foreignIn(t *testing.T, f *fake, flags ...string) (keys []string) {
	t.Helper()
	for _, found := range f.judge(t, flags...).Findings {
		if found.ID == "foreign-file" {
			keys = append(keys, found.Path)
		}
	}
	slices.Sort(keys)
	return keys
}

// strayed is a store with something beside the directories that a registry makes:
// at each level, a file and a directory in which there is more than one.
func strayed() (b *fixtures.Builder, strays []string) {
	b = fixtures.Standard()
	b.Lock("filesystem-in-use")
	b.Put("notes", []byte("the user's own"))
	for _, dir := range []string{"docker", "docker/registry", layout.Root} {
		b.Put(dir+"/notes.txt", []byte("somebody's"))
		b.Put(dir+"/@eaDir/a", nil)
		b.Put(dir+"/@eaDir/b/c", nil)
		strays = append(strays, dir+"/@eaDir", dir+"/notes.txt")
	}
	slices.Sort(strays)
	return b, strays
}

// What stands above the store's own directories is foreign, whatever of them STORE
// names, and what is the registry's, the user's or regfsck's own is not.
func TestWhatStandsAboveTheStore(t *testing.T) {
	b, strays := strayed()
	f := newWhole(t, b)
	for _, dir := range []string{".", "docker", layout.Root} {
		for _, own := range []string{stateName, "lost+found"} {
			if err := os.MkdirAll(filepath.Join(f.store, dir, own), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(f.dir, filepath.Join(f.store, "docker", "link")); err != nil {
		t.Fatal(err)
	}
	strays = append(strays, "docker/link")
	slices.Sort(strays)
	if got := foreignIn(t, f); !slices.Equal(got, strays) {
		t.Errorf("foreign are %q, want %q", got, strays)
	}
	v2 := filepath.Join(f.dir, "mounted")
	if err := os.Rename(filepath.Join(f.store, layout.Root), v2); err != nil {
		t.Fatal(err)
	}
	f.store = v2
	want := slices.DeleteFunc(strays, func(key string) bool { return !strings.HasPrefix(key, layout.Root) })
	if got := foreignIn(t, f); !slices.Equal(got, want) {
		t.Errorf("of a v2 alone foreign are %q, want %q", got, want)
	}
}

// In a bucket a page for each level tells of them.
func TestWhatStandsAboveTheStoreInABucket(t *testing.T) {
	b, strays := strayed()
	f, s := bucketed(t)
	s.Make(t, "registry").Fill(t, s3test.From(b.Into, "some/path/"))
	f.store = "s3://registry/some/path"
	if got := foreignIn(t, f, "--s3-endpoint", s.Endpoint); !slices.Equal(got, strays) {
		t.Errorf("foreign are %q, want %q", got, strays)
	}
}

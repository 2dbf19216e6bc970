package tables

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/gc"
)

// checked checks a store as an export does.
func checked(t *testing.T, b *fixtures.Builder) *check.Result {
	t.Helper()
	found, _, err := check.Store(t.Context(), b.Memory(), check.Options{
		Options: graph.Options{Workers: 1, Now: fixtures.Epoch.AddDate(1, 0, 0), Grace: time.Hour},
		Policy:  gc.Policy{Usage: true, UsedOnly: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read[T any](t *testing.T, dir, name string) []T {
	t.Helper()
	rows, err := parquet.ReadFile[T](filepath.Join(dir, name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTablesOfTheStandardStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tables")
	d, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := checked(t, fixtures.Standard())
	all, err := d.Write(t.Context(), found)
	d.Discard() // completed tables remain
	if err != nil || len(all) != 8 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, one := range all {
		if info, err := os.Stat(one.Path); err != nil || info.Size() != one.Bytes {
			t.Errorf("%+v: %v", one, err)
		}
	}
	blobs, tags := read[blob](t, dir, "blobs"), read[tag](t, dir, "tags")
	if len(blobs) != found.Totals.Blobs || len(tags) != found.Totals.Tags {
		t.Errorf("%d blobs and %d tags of %+v", len(blobs), len(tags), found.Totals)
	}
	bytes := int64(0)
	for _, b := range blobs {
		bytes += b.Bytes
		if b.Modified.Before(fixtures.Epoch) || b.Digest == "" || !b.Provable {
			t.Errorf("%+v", b)
		}
	}
	if bytes != found.Totals.Bytes {
		t.Errorf("%d bytes of %d", bytes, found.Totals.Bytes)
	}
	at := slices.IndexFunc(tags, func(x tag) bool { return x.Repository == "app" && x.Tag == "latest" })
	if at < 0 || tags[at].State != "good" || tags[at].Digest == "" || tags[at].Because != "" {
		t.Errorf("%+v", tags)
	}
	uses := read[use](t, dir, "uses")
	slices.SortFunc(uses, func(a, b use) int {
		return slices.Compare([]string{a.Repository, a.Digest}, []string{b.Repository, b.Digest})
	})
	if n := len(uses); n == 0 || len(slices.Compact(uses)) != n {
		t.Errorf("%d uses, not each once", n)
	}
}

// TestDirectories: which directories Create accepts, and that an incomplete export leaves
// nothing.
func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	if d, err := Create(dir); err != nil {
		t.Error(err)
	} else if d.Discard(); !exists(dir) {
		t.Error("a directory that was there is removed")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(dir, "new")
	d, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(ended, checked(t, fixtures.Standard())); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if d.Discard(); exists(path) {
		t.Error("something is left")
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	if _, err := Create(filepath.Join(dir, "mine")); err == nil || errors.Is(err, ErrNotEmpty) {
		t.Errorf("a file: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

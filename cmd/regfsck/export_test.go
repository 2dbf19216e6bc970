package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
)

// TestExport: an export writes tables, lists them, and changes nothing in the store.
func TestExport(t *testing.T) {
	f := newWhole(t, rotten())
	before := snapshot(t, f.store)
	if exit := f.run("export", "STORE", "DIR/tables"); exit != 0 || !strings.HasPrefix(f.out.String(), "8 tables in "+f.dir+"/tables\n\n  blobs.parquet ") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if !regexp.MustCompile(`\n  uses\.parquet +[0-9]+ rows +[0-9.]+ KiB\n`).MatchString(f.out.String()) {
		t.Errorf("%s", f.out.String())
	}
	if files, err := filepath.Glob(f.dir + "/tables/*"); err != nil || len(files) != 8 {
		t.Errorf("%q, %v", files, err)
	}
	if exit := f.run("export", "STORE", "DIR/quiet", "--quiet"); exit != 0 || f.out.Len()+f.errs.Len() > 0 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if !maps.Equal(before, snapshot(t, f.store)) {
		t.Error("the store was changed")
	}
}

// TestExportRefuses: an invalid directory is refused before the store is read, and a failed
// export leaves nothing.
func TestExportRefuses(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	write(t, f.dir+"/full/mine", "")
	if err := os.Symlink(f.store+"/docker", f.dir+"/link"); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, f.store)
	for args, want := range map[string]string{
		"STORE":                     "export takes a STORE and a DIR, and 1 arguments were given",
		"STORE DIR/full":            "it is not empty",
		"STORE DIR/full/mine":       "can't be written",
		"STORE DIR/none/new":        "can't be written",
		"STORE STORE/docker/tables": "this is inside the store",
		"STORE DIR/link":            "this is inside the store",
		"STORE DIR/link/new":        "this is inside the store",
		"DIR/none DIR/new":          "there is no",
	} {
		if exit := f.run(append([]string{"export"}, strings.Fields(args)...)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
	f.check = func(context.Context, backend.Reader, check.Options) (*check.Result, []graph.Phase, error) {
		return nil, nil, errors.New("the disk is gone")
	}
	if exit := f.run("export", "STORE", "DIR/new"); exit != 8 || !strings.Contains(f.errs.String(), "the disk is gone") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if _, err := os.Stat(f.dir + "/new"); err == nil {
		t.Error("a directory is left")
	}
	if !maps.Equal(before, snapshot(t, f.store)) {
		t.Error("the store was changed")
	}
}

// TestIncompleteExport: an export reports what could not be read.
func TestIncompleteExport(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	if err := fixtures.Damages()[0].Disk(f.store, f.aside(t)); err != nil {
		t.Fatal(err)
	}
	f.terminal = func(io.Writer) (int, bool) { return 0, false }
	if exit := f.run("export", "STORE", "DIR/tables"); exit != 8 || !strings.Contains(f.out.String(), "could not be read") || !strings.Contains(f.out.String(), "8 tables") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

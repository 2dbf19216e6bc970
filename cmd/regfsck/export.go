package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/batch"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/tables"
)

const batchName = "batch-manifest"

// runExport writes a store's content as tables, or its blobs as the list of a batch job.
func runExport(s *session, c *cli.Context) error {
	job, path := c.String(batchName), c.Args().Get(1)
	switch {
	case c.IsSet(batchName) && job == "":
		return failure.Misuse(seeHelp("export"), "--%s needs a FILE", batchName)
	case slices.Contains(c.Args().Slice(), "") || c.NArg() < 1 || c.NArg() > 2 || c.NArg() == 1 && job == "":
		return failure.Misuse(seeHelp("export"), "export takes a STORE and a DIR, and %d arguments were given; with --%s it needs no DIR", c.NArg(), batchName)
	}
	p, err := usagePolicy(c)
	if err != nil {
		return err
	}
	out, err := s.outputOf(c)
	if err != nil {
		return err
	}
	store, err := s.resolve(c, c.Args().First())
	if err != nil {
		return err
	}
	e := &report.Export{Version: version, Target: store.String(), Tables: path, Started: s.now()}
	var list *outside.File
	if job != "" {
		if store.Traits().Root != "" {
			return failure.Misuse("", "--%s is about %s, and %s is none", batchName, s.nouns(costly, "s"), store)
		}
		if list, err = outside.Create(job, store, p.follow); err != nil {
			return failure.Misuse("", "--%s %w", batchName, err)
		}
		defer list.Discard()
	}
	if path == "" {
		err = exportBlobs(s, c, e, store, p, list, out)
	} else {
		err = exportTables(s, c, e, store, p, list, out)
	}
	if err != nil {
		return err
	}
	if e.Exit&exitcode.Incomplete != 0 {
		e.Notes = append(e.Notes, "A part of the store could not be read, so these files may lack some of its content. regfsck check shows the reason.")
	}
	e.Finished = s.now()
	return s.deliver(e, e.Exit, out)
}

// exportTables checks a store and writes its tables, and the list if it isn't nil.
func exportTables(s *session, c *cli.Context, e *report.Export, store location.Location, p policy, list *outside.File, out *output) error {
	dir, err := tablesIn(e.Tables, store, p.follow)
	if err != nil {
		return err
	}
	defer dir.Discard()
	r := &report.Check{Version: version, Target: store.String()}
	err = s.examine(c.Context, r, store, p.follow, s.options(p, store, out), out, func(ctx context.Context, found *check.Result) error {
		r.Result = found
		written, err := dir.Write(ctx, found)
		if err != nil && ctx.Err() == nil {
			return failure.Misuse("", "%w", failure.Unwritable(e.Tables, err))
		}
		for _, t := range written {
			e.Files = append(e.Files, report.Exported{Name: t.Name, Path: t.Path, Rows: t.Rows, Bytes: t.Bytes})
		}
		return err
	})
	if err != nil {
		return err
	}
	e.Exit = r.Exit
	if len(s.listings) > 0 { // the report says how old the listings are
		e.Notes = r.Result.Notes
	}
	return listBlobs(e, store, r.Result.Scan.Graph, list)
}

// exportBlobs lists a store's blobs and writes the list.
func exportBlobs(s *session, c *cli.Context, e *report.Export, store location.Location, p policy, list *outside.File, out *output) error {
	var scan *graph.Scan
	_, err := blobsOnly(s, c.Context, store, p, out, []string{"blobs"}, func(r backend.OpenedReader, o check.Options) (err error) {
		if len(s.listings) > 0 {
			over, note, err := listedBy(c.Context, s.listings, store, r, &o)
			if err != nil {
				return err
			}
			r, e.Notes = over, []string{note}
		}
		scan, err = graph.ListBlobs(c.Context, r, o.Options)
		return err
	})
	if err != nil {
		return err
	}
	if len(scan.Graph.Faults) > 0 {
		e.Exit = exitcode.Incomplete
	}
	return listBlobs(e, store, scan.Graph, list)
}

// listBlobs writes the keys of all blobs that a batch job can hash; nothing if list is nil.
func listBlobs(e *report.Export, store location.Location, g *graph.Graph, list *outside.File) error {
	if list == nil {
		return nil
	}
	f := report.Exported{Name: report.BatchManifest, Path: list.Path}
	keys := func(yield func(string) bool) {
		for id := range uint32(g.Len()) {
			if !g.IsForeign(id) && !yield(g.BlobKey(id)) { // a job's report has no digests of other algorithms
				return
			}
		}
	}
	err := list.Write(func(w io.Writer) (err error) {
		f.Rows, err = batch.Write(w, batch.Store{Container: store.Traits().Label, Prefix: store.Traits().Prefix}, keys)
		return err
	})
	if err != nil {
		return failure.Misuse("", "--%s %w", batchName, err)
	}
	if info, err := os.Stat(f.Path); err == nil {
		f.Bytes = info.Size()
	}
	e.Files = append(e.Files, f)
	return nil
}

// blobsOnly opens a store, calls do in the given phases, and returns the cost.
func blobsOnly(s *session, ctx context.Context, t location.Location, p policy, out *output, phases []string, do func(backend.OpenedReader, check.Options) error) (backend.Cost, error) {
	store, err := openToRead(ctx, t, p.follow, out)
	if err != nil {
		return backend.Cost{}, err
	}
	defer store.Close()
	bar := s.progress(out, phases...)
	defer bar.Close()
	err = do(store, check.Options{Options: graph.Options{
		Workers: cmp.Or(out.workers, t.Traits().Parallel), Now: s.now(), Progress: bar,
	}})
	return store.Cost(), notRead(ctx, t, err)
}

// tablesIn creates the directory of an export. It refuses one that is inside the store or not
// empty.
func tablesIn(path string, store location.Location, follow []string) (*tables.Directory, error) {
	within := path
	if _, err := os.Stat(path); err == nil {
		within = filepath.Join(path, "blobs.parquet") // resolves a symbolic link in the path
	}
	if _, err := outside.Directory(within, store, follow); err != nil {
		return nil, failure.Misuse("", "%w", err)
	}
	dir, err := tables.Create(path)
	switch {
	case errors.Is(err, tables.ErrNotEmpty):
		return nil, failure.Misuse("Name a directory that is empty or isn't there yet.", "%s: %w", path, err)
	case err != nil:
		return nil, failure.Misuse("", "%w", failure.Unwritable(path, err))
	}
	return dir, nil
}

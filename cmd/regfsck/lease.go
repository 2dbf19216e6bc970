package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"regfsck/cmd/regfsck/target"
	"regfsck/report"
	"regfsck/walker/layout"
)

// takeOver gives back the lease that --break-lease names, once.
func (j *job) takeOver(ctx context.Context) error {
	id := j.consent.breakLease
	if id == "" {
		return nil
	}
	j.consent.breakLease = ""
	w, err := j.writer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	v, ok := w.(target.Versioner)
	if !ok {
		return misuse("", "--break-lease is about buckets: the lock of a folder goes with the process that had it")
	}
	switch err := v.BreakLease(ctx, id); {
	case errors.Is(err, fs.ErrNotExist):
		return misuse("", "--break-lease %s: %w", id, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &failure{report.Incomplete, err, "Nothing was changed."}
	}
	return nil
}

// versions finds out what a bucket does with what is deleted; nil where the store
// is none. What can't be found out is a note.
func (j *job) versions(ctx context.Context) *report.Versions {
	if j.target.Bucket == nil {
		return nil
	}
	w, err := j.writer(ctx)
	if err != nil {
		return &report.Versions{Notes: []string{err.Error()}}
	}
	defer w.Close()
	v, out := w.(target.Versioner), &report.Versions{}
	note := func(err error) bool {
		if err != nil {
			out.Notes = append(out.Notes, err.Error())
		}
		return err == nil
	}
	out.Kept, err = v.Versioned(ctx)
	if note(err) && out.Kept {
		out.Days, out.Expire, err = v.Expiry(ctx)
		note(err)
		out.Noncurrent, out.NoncurrentBytes, err = v.Noncurrent(ctx, blobFolders())
		note(err)
	}
	out.Uploads, out.UploadBytes, err = v.Unfinished(ctx)
	if !errors.Is(err, fs.ErrPermission) { // the scan has said that
		note(err)
	}
	return out
}

// blobFolders are what begins the keys of all blobs, in parts that can be listed
// side by side.
func blobFolders() (all []string) {
	for i := range 16 {
		all = append(all, fmt.Sprintf("%s/sha256/%x", layout.Blobs, i))
	}
	return all
}

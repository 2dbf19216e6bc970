package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// splitAborts splits results into those that abort multipart uploads and the others.
func splitAborts(results []*stepResult) (aborts, others []*stepResult) {
	for _, w := range results {
		if w.step.Op == plan.Abort {
			aborts = append(aborts, w)
		} else {
			others = append(others, w)
		}
	}
	return aborts, others
}

// checkAborts checks, in one listing, whether the multipart uploads are there that
// are to be aborted. Where the step of an upload's directory is skipped, so are its
// parts.
func (r *run) checkAborts(ctx context.Context, aborts, others []*stepResult) {
	aborts = pending(aborts)
	if len(aborts) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, w := range aborts {
		wanted[w.step.FullKey()] = true
	}
	there, err := listUploads(ctx, r.Store, func(target string) bool { return wanted[target] })
	if err != nil {
		failAll(aborts, err)
		return
	}
	stays := map[string]bool{}
	for _, w := range others {
		stays[w.step.Key] = w.reason != ""
	}
	for _, w := range aborts {
		is, ok := there[w.step.FullKey()]
		dir := uploadDirOf(w.step.Key)
		switch {
		case !ok:
			w.skip("it is gone")
		case backend.Seconds(is.Started) != w.step.Modified:
			w.skip("another one has its id now")
		case stays[dir] || r.roots[dir]:
			w.skip("its upload stays")
		}
		w.upload, w.intents = is, []journal.Intent{intentOf(w.step)}
	}
}

// uploadDirOf returns the directory, with a slash, of the upload whose data stands at
// key; "" for any other key.
func uploadDirOf(key string) string {
	parsed, err := layout.Parse(key)
	if err != nil || parsed.Kind != layout.UploadData {
		return ""
	}
	return layout.UploadKey(parsed.Repository, parsed.Upload) + "/"
}

// pending returns the results of steps that are neither skipped nor failed.
func pending(results []*stepResult) (all []*stepResult) {
	for _, w := range results {
		if w.reason == "" {
			all = append(all, w)
		}
	}
	return all
}

// failAll fails steps for one reason, which only the first of them gives in full.
func failAll(results []*stepResult, err error) {
	for i, w := range results {
		if i == 0 {
			w.fail(backend.Cause(err))
		} else {
			w.fail(fmt.Errorf("for the same reason as %s", results[0].step.Key))
		}
	}
}

// listUploads lists the multipart uploads of a store that are wanted, by what
// plan.FullKey names them.
func listUploads(ctx context.Context, s backend.Store, wanted func(target string) bool) (map[string]backend.Upload, error) {
	m, ok := s.(backend.Multipart)
	if !ok {
		return nil, backend.ErrNoMultipart
	}
	all := map[string]backend.Upload{}
	err := m.Uploads(ctx, func(u backend.Upload) error {
		if target := plan.FullKey(u.Key, u.ID); wanted(target) {
			all[target] = u
		}
		return nil
	})
	return all, err
}

// uploadsAtStart are the multipart uploads that the store had when the run first asked.
func (r *run) uploadsAtStart(ctx context.Context) (all map[string]backend.Upload, err error) {
	if r.uploads != nil {
		return r.uploads, nil
	}
	if all, err = listUploads(ctx, r.Store, func(string) bool { return true }); err == nil {
		r.uploads = all
	}
	return all, err
}

// abortUploads aborts the multipart uploads of results, several at once. Of those that the
// store denies the first one says why.
func (r *run) abortUploads(ctx context.Context, results []*stepResult) {
	var g errgroup.Group
	g.SetLimit(r.Workers)
	results = pending(results)
	for _, w := range results {
		g.Go(func() error {
			w.receipts = []backend.Receipt{{Key: w.step.Key, Err: r.Store.Abort(ctx, w.upload)}}
			return nil
		})
	}
	g.Wait()
	var denied []*stepResult
	for _, w := range results {
		switch err := w.receipts[0].Err; {
		case errors.Is(err, fs.ErrNotExist): // somebody was faster, or an answer was lost
			w.skip("it is gone")
		case errors.Is(err, fs.ErrPermission), errors.Is(err, backend.ErrNoMultipart):
			denied = append(denied, w)
		}
	}
	if len(denied) > 0 {
		failAll(denied, denied[0].receipts[0].Err)
	}
}

// errAborted is what no undo brings back.
var errAborted = errors.New("an aborted multipart upload can't be restored")

// recordAborts names the multipart uploads that the run gave up. One that is still
// there after all needs no undo.
func (u *undoer) recordAborts(intents []journal.Intent) {
	if len(intents) == 0 {
		return
	}
	there, _ := listUploads(context.WithoutCancel(u.ctx), u.store, func(target string) bool { return u.Intended(plan.Abort, target) })
	for i := range intents {
		err := errAborted
		if _, is := there[intents[i].FullKey()]; is {
			err = nil
		}
		u.record(&intents[i], err)
	}
}

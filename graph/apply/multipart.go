package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"

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

// checkAborts checks, in one listing, whether the multipart uploads to abort exist. If an
// upload's directory is a root, or its step is skipped, so are its multipart uploads.
func checkAborts(ctx context.Context, store backend.Store, aborts, others []*stepResult, roots map[string]bool) {
	aborts = pending(aborts)
	if len(aborts) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, w := range aborts {
		wanted[w.step.FullKey()] = true
	}
	there, err := listUploads(ctx, store, func(target string) bool { return wanted[target] })
	if err != nil {
		failAll(aborts, err)
		return
	}
	kept := map[string]bool{}
	maps.Copy(kept, roots)
	for _, w := range others {
		kept[w.step.Key] = kept[w.step.Key] || w.reason != ""
	}
	for _, w := range aborts {
		is, ok := there[w.step.FullKey()]
		switch {
		case !ok:
			w.skip("it no longer exists")
		case backend.Seconds(is.Started) != w.step.Modified:
			w.skip("another one has its id now")
		case kept[uploadDirOf(w.step.Key)]:
			w.skip("its upload is kept")
		}
		w.upload, w.intents = is, []journal.Intent{intentOf(w.step)}
	}
}

// uploadDirOf returns the directory, with a slash, of the upload that has its data at key; ""
// for other keys.
func uploadDirOf(key string) string {
	parsed, err := layout.Parse(key)
	if err != nil || parsed.Kind != layout.UploadData {
		return ""
	}
	return layout.UploadKey(parsed.Repository, parsed.Upload) + "/"
}

// pending returns the results that are neither skipped nor failed.
func pending(results []*stepResult) (all []*stepResult) {
	for _, w := range results {
		if w.reason == "" {
			all = append(all, w)
		}
	}
	return all
}

// failAll fails steps for one reason; only the first has its full text.
func failAll(results []*stepResult, err error) {
	for i, w := range results {
		if i == 0 {
			w.fail(backend.Cause(err))
		} else {
			w.fail(fmt.Errorf("for the same reason as %s", results[0].step.Key))
		}
	}
}

// listUploads lists the wanted multipart uploads of a store, by plan.FullKey.
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

// errAborted means that an undo can't restore a multipart upload.
var errAborted = errors.New("an aborted multipart upload can't be restored")

// recordAborts reports the multipart uploads that the run aborted, except those that still
// exist.
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

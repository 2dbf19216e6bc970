package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"regfsck/backend"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// split tells the works that give up multipart uploads from the others.
func split(works []*work) (aborts, others []*work) {
	for _, w := range works {
		if w.step.Op == plan.Abort {
			aborts = append(aborts, w)
		} else {
			others = append(others, w)
		}
	}
	return aborts, others
}

// checkAborts looks, in one listing, whether the multipart uploads are there that
// are to be given up. Where a folder of an upload stays, one of others, its parts
// do.
func (r *run) checkAborts(ctx context.Context, aborts, others []*work) {
	aborts = live(aborts)
	if len(aborts) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, w := range aborts {
		wanted[w.step.FullKey()] = true
	}
	there, err := multiparts(ctx, r.Store, func(target string) bool { return wanted[target] })
	if err != nil {
		failAll(aborts, err)
		return
	}
	stays := map[string]bool{}
	for _, w := range others {
		stays[w.step.Key] = w.left != ""
	}
	for _, w := range aborts {
		is, ok := there[w.step.FullKey()]
		folder := folderOf(w.step.Key)
		switch {
		case !ok:
			w.skip("it is gone")
		case seconds(is.Started) != w.step.Modified:
			w.skip("another one has its id now")
		case stays[folder] || r.keep[folder]:
			w.skip("the upload stays that it is a part of")
		}
		w.upload, w.intents = is, []intent{intentOf(w.step)}
	}
}

// folderOf returns the folder, with a slash, of the upload whose data stands at
// key; "" for any other key.
func folderOf(key string) string {
	parsed, err := layout.Parse(key)
	if err != nil || parsed.Kind != layout.UploadData {
		return ""
	}
	return layout.UploadKey(parsed.Repository, parsed.Upload) + "/"
}

// live are the works that aren't left.
func live(works []*work) (all []*work) {
	for _, w := range works {
		if w.left == "" {
			all = append(all, w)
		}
	}
	return all
}

// failAll leaves works for one reason, which only the first of them tells whole.
func failAll(works []*work, err error) {
	for i, w := range works {
		if i == 0 {
			w.fail(reason(err))
		} else {
			w.fail(fmt.Errorf("for the same reason as %s", works[0].step.Key))
		}
	}
}

// errNoParts is a store that knows nothing of multipart uploads.
var errNoParts = errors.New("this store has no multipart uploads that could be given up")

// multiparts lists the multipart uploads of a store that are wanted, by what
// plan.FullKey names them.
func multiparts(ctx context.Context, s backend.Store, wanted func(target string) bool) (map[string]backend.Upload, error) {
	a, ok := s.(backend.Aborter)
	if !ok {
		return nil, errNoParts
	}
	all := map[string]backend.Upload{}
	err := a.Uploads(ctx, func(u backend.Upload) error {
		if target := plan.FullKey(u.Key, u.ID); wanted(target) {
			all[target] = u
		}
		return nil
	})
	return all, err
}

// there are the multipart uploads that the store had when the run first asked.
func (r *run) there(ctx context.Context) (all map[string]backend.Upload, err error) {
	if r.parts != nil {
		return r.parts, nil
	}
	if all, err = multiparts(ctx, r.Store, func(string) bool { return true }); err == nil {
		r.parts = all
	}
	return all, err
}

// abort gives up the works' multipart uploads, several at once. Of those that the
// store denies the first one says why.
func (r *run) abort(ctx context.Context, works []*work) {
	a, ok := r.Store.(backend.Aborter)
	if !ok { // then all are left
		return
	}
	var g errgroup.Group
	g.SetLimit(r.Workers)
	works = live(works)
	for _, w := range works {
		g.Go(func() error {
			w.receipts = []backend.Receipt{{Key: w.step.Key, Err: a.Abort(ctx, w.upload)}}
			return nil
		})
	}
	g.Wait()
	var denied []*work
	for _, w := range works {
		switch err := w.receipts[0].Err; {
		case errors.Is(err, fs.ErrNotExist): // somebody was faster, or an answer was lost
			w.skip("it is gone")
		case errors.Is(err, fs.ErrPermission):
			denied = append(denied, w)
		}
	}
	if len(denied) > 0 {
		failAll(denied, denied[0].receipts[0].Err)
	}
}

// errAborted is what no undo brings back.
var errAborted = errors.New("a multipart upload that was given up can't be brought back")

// abortedAll names the multipart uploads that the run gave up. One that is still
// there after all needs no undo.
func (u *undoing) abortedAll(intents []intent) {
	if len(intents) == 0 {
		return
	}
	there, _ := multiparts(context.WithoutCancel(u.ctx), u.store, func(target string) bool { return u.meant(plan.Abort, target) })
	for i := range intents {
		err := errAborted
		if _, is := there[intents[i].target()]; is {
			err = nil
		}
		u.count(&intents[i], err)
	}
}

//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

var errLost = fmt.Errorf("is neither kept nor in its place: %w", fs.ErrNotExist)

// restoration is one call of Restore.
type restoration struct {
	*Writer
	kept    dir
	touched map[string][]int // by folder, the receipts for whose sake it was changed
	current int
}

// Restore is backend.Store's. What it moved back is durable when it returns.
// Folders that were taken away and are needed on the way come back too.
func (w *Writer) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	w.restoring.Lock()
	defer w.restoring.Unlock()
	r := restoration{Writer: w, touched: map[string][]int{}}
	var err error
	if r.kept, err = w.openKept(run, false); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	defer r.kept.close()
	errs := make([]error, len(receipts))
	for i, receipt := range receipts {
		r.current = i
		if errs[i] = cmp.Or(w.guard(ctx, "restore", run, receipt.Key), err); errs[i] != nil {
			continue
		}
		if err := r.restore(receipt.Key); err != nil {
			errs[i] = failed("restore", receipt.Key, err)
		}
	}
	r.sync(errs)
	return errs
}

// sync makes durable what was moved.
func (r *restoration) sync(errs []error) {
	for folder, which := range r.touched {
		d, err := r.openFolder("restore", folder)
		if err == nil {
			err = d.sync()
			d.close()
		}
		if err != nil {
			for _, i := range which {
				errs[i] = cmp.Or(errs[i], failed("restore", folder, err))
			}
		}
	}
}

// restore brings back one key.
func (r *restoration) restore(key string) error {
	key, isFolder := strings.CutSuffix(key, "/")
	folder, name := split(key)
	kind := uint32(unix.S_IFREG)
	if isFolder {
		kind = unix.S_IFDIR
	}
	if from := r.find(name, kind, pieces(folder)...); from.fd >= 0 {
		defer from.close()
		return r.bring(from, name, folder)
	}
	above, base := split(folder)
	if !isFolder && folder != "" {
		if from := r.find(name, kind, append(pieces(above), base)...); from.fd >= 0 {
			defer from.close()
			return r.bringAlong(from, name, folder)
		}
	}
	return r.mustStand(folder, name)
}

// find opens the folder that the names lead to from the kept one, if there is
// something of that name and kind in it.
func (r *restoration) find(name string, kind uint32, names ...string) dir {
	if r.kept.fd < 0 {
		return dir{-1}
	}
	d, err := r.enter(r.kept, false, names...)
	if err != nil {
		return dir{-1}
	}
	if st, err := d.look(name); err != nil || kindOf(&st) != kind {
		d.close()
		return dir{-1}
	}
	return d
}

// mustStand tells whether what isn't kept is there.
func (r *restoration) mustStand(folder, name string) error {
	d, err := r.openFolder("restore", folder)
	if err == nil {
		_, err = d.look(name)
		d.close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

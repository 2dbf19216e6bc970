//go:build unix

package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"regfsck/backend"
)

// Earlier is backend.Undoer's: where a run keeps a key follows from the key, so that
// nothing is listed but the names of the runs.
func (w *Store) Earlier(ctx context.Context, key string) ([]backend.Earlier, error) {
	if err := cmp.Or(checkKey("look at", key), ctx.Err()); err != nil {
		return nil, err
	}
	ids, err := w.runs()
	if err != nil {
		return nil, err
	}
	var all []backend.Earlier
	var failures []error
	for _, id := range ids {
		run := backend.Run{ID: id}
		size, err := w.keptSize(run, key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			failures = append(failures, fmt.Errorf("what run %s keeps of %s: %w", id, key, reason(err)))
		default:
			all = append(all, backend.Earlier{
				Where: "run " + id, Size: size,
				Open: func(ctx context.Context) (io.ReadCloser, error) { return w.OpenQuarantined(ctx, run, key) },
			})
		}
	}
	return all, cmp.Or(backend.Join(failures...), ctx.Err())
}

// runs returns the ids of the runs in the state directory, the newest first.
func (w *Store) runs() (ids []string, err error) {
	d, err := w.openState(false, "runs")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.close()
	err = d.names(func(name string) bool {
		if (backend.Run{ID: name}).Check() == nil {
			ids = append(ids, strings.Clone(name))
		}
		return true
	})
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, err
}

// keptSize returns how many bytes a file has that the run keeps.
func (w *Store) keptSize(run backend.Run, key string) (int64, error) {
	r := restoration{Store: w}
	var err error
	if r.kept, err = w.openKept(run, false); err != nil {
		return 0, err
	}
	defer r.kept.close()
	k, err := r.locate(key)
	if err != nil {
		return 0, err
	}
	defer k.in.close()
	if k.in.fd < 0 {
		return 0, errLost
	}
	_, name := backend.SplitKey(key)
	st, err := k.in.look(name)
	return st.Size, err
}

//go:build unix

package file

import "context"

// Sync is backend.Syncer's: Remove syncs nothing, and of filesystems of their
// own, which links and blobs may stand on, each writes when it likes.
func (w *Store) Sync(ctx context.Context) error {
	done := map[uint64]bool{}
	for _, key := range w.roots() {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := w.openFolder("sync", key)
		if err != nil && key != "" { // a file; or it can't be opened, and nothing was changed there
			continue
		}
		if err != nil {
			return err
		}
		st, err := d.self()
		if err == nil && !done[uint64(st.Dev)] {
			done[uint64(st.Dev)] = true
			err = d.syncAll()
		}
		d.close()
		if err != nil {
			return failed("sync", key, err)
		}
	}
	return nil
}

//go:build unix

package file

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"regfsck/backend"
	"regfsck/backend/statedir"
)

// markName is the file in a store's own state directory that names all others.
const markName = "states"

// States is backend.Marked's.
func (w *Store) States(context.Context) ([]backend.StateDir, error) {
	mark, err := w.readMark()
	all := w.claim().Known(mark)
	if own := w.ownState(); err == nil && own != w.state && w.claim().At(own).Used() && w.hasRuns(own) {
		all = append([]backend.StateDir{{Host: statedir.Hostname(), Path: own, Here: true}}, all...)
	}
	return all, err
}

// hasRuns reports whether there has been a run with a state directory.
func (w *Store) hasRuns(state string) bool {
	d, err := statedir.OpenBelow(state, "runs")
	if err == nil {
		d.Close()
	}
	return err == nil
}

// ownState is where the state directory stands unless another is named.
func (w *Store) ownState() string { return filepath.Join(w.root, statedir.Name) }

func (w *Store) readMark() (string, error) {
	d, err := statedir.Open(w.ownState())
	if err != nil {
		return "", missing(err)
	}
	defer d.Close()
	mark, err := d.Text(markName, statedir.MaxClaim)
	return mark, missing(err)
}

// missing makes no error of what isn't there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mark notes in the store's own state directory that this one is in use, where it is
// another.
func (w *Store) mark() error {
	if w.state == w.ownState() {
		return nil
	}
	mark, err := w.readMark()
	if err != nil {
		return err
	}
	mark, is := w.claim().Marked(mark)
	if !is {
		return nil
	}
	made, err := w.openStateAt(w.ownState(), true)
	if err != nil {
		return err
	}
	made.close()
	d, err := statedir.Open(w.ownState())
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Write(markName, []byte(mark), w.Give)
}

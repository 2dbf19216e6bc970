package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// checkUpload looks at an upload's files. Temporary files in it are left to
// steps of their own. With anything else in it a stale upload stays; of a
// repository that goes all goes that is the registry's own.
func (r *run) checkUpload(ctx context.Context, w *stepResult) error {
	in, err := listDir(ctx, r.Store, w.step.Key)
	if err != nil {
		return err
	}
	if key := in.notUTF8(); key != "" {
		w.skip(notUTF8Reason, key)
		return nil
	}
	var bytes, newest int64
	for _, it := range in.files {
		key, err := layout.Parse(it.Name)
		switch {
		case err == nil && key.Kind == layout.Temp:
			continue
		case err != nil && w.step.Finding == graph.RepositoryRemoved.String():
			continue
		case err != nil || key.Kind != layout.UploadData && key.Kind != layout.UploadStarted && key.Kind != layout.UploadHash:
			w.skip("there is %s in it, which is no part of an upload", it.Name)
			return nil
		}
		bytes, newest = bytes+it.Size, max(newest, it.Modified)
		w.intents = append(w.intents, intent{
			Op: plan.Remove, Kind: plan.Upload, Key: it.Name, Step: w.step.Key, Finding: w.step.Finding, Bytes: it.Size,
		})
	}
	for dir := range in.dirs {
		if kind := layout.ParseFolder(dir).Kind; kind != layout.FolderOther && kind != layout.FolderReserved {
			w.dirs = append(w.dirs, dir)
		}
	}
	switch {
	case len(in.dirs) == 0:
		w.skip("it is gone")
	case len(w.intents) == 0: // empty directories go whatever their times
	case bytes != w.step.Size || seconds(newest) != w.step.Modified:
		w.skip("somebody wrote to it")
	}
	return nil
}

func (r *run) checkWrite(ctx context.Context, w *stepResult) error {
	s := w.step
	in := intentOf(s)
	if s.Kind == plan.RebuiltBlob && !hashesTo(s.Key, string(s.Body)) {
		return errors.New("the bytes that the plan has for it don't hash to its digest")
	}
	is, err := r.content(ctx, s.Key)
	switch {
	case err == nil && s.Absent:
		w.skip("there is a file by now")
		return nil
	case err == nil && s.Kind == plan.RebuiltBlob && (int64(len(is)) != s.Size || hashesTo(s.Key, is)):
		w.skip("it was written again")
		return nil
	case err == nil && s.Kind != plan.RebuiltBlob && !holds(is, s):
		w.skip("the link holds something else now")
		return nil
	case err == nil:
		in.Stood, in.Content = true, plan.Text(is)
		w.intents = []intent{in}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !s.Absent:
		w.skip("it is gone")
		return nil
	}
	in.Made, err = r.missingDir(ctx, path.Dir(s.Key))
	w.intents = []intent{in}
	return err
}

// hashesTo reports whether bytes hash to the digest that a blob's key names.
func hashesTo(key, body string) bool {
	k, err := layout.Parse(key)
	if err != nil || k.Kind != layout.Blob {
		return false
	}
	d, ok := layout.ParseAnyDigest(k.Algorithm + ":" + k.Hex)
	return ok && d.Proves([]byte(body))
}

// missingDir returns the topmost directory that has to be made for dir, "" if dir is
// there.
func (r *run) missingDir(ctx context.Context, dir string) (made string, err error) {
	for ; dir != layout.Repositories && dir != "."; dir = path.Dir(dir) {
		_, err := r.Store.Stat(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) { // an undo relies on it: it has to be said twice
			_, err = r.Store.Stat(ctx, dir)
		}
		switch {
		case errors.Is(err, backend.ErrIrregular):
			return made, nil
		case err == nil:
			return "", fmt.Errorf("%s: is no folder", dir)
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		made = dir
	}
	return made, nil
}

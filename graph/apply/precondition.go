package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"regfsck/backend"
	"regfsck/backend/source"
	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// stepResult is a step and its result.
type stepResult struct {
	step      *plan.Step
	rechecked *recheck // of an earlier recheck; or nil
	intents   []journal.Intent
	receipts  []backend.Receipt // one for each intent
	dirs      []string          // directories that may be empty afterwards, besides those above the keys
	reason    string            // why it isn't carried out; "" if it is
	failed    bool              // it could not be done, or its result is unknown
	cut       bool              // the run was stopped before it was done; nothing was changed
	upload    backend.Upload    // of an abort: as listed
	time      int64             // of a write: the time of the file, in nanoseconds since 1970
}

// skip skips a step.
func (w *stepResult) skip(format string, args ...any) { w.reason = fmt.Sprintf(format, args...) }

// fail records that a step failed.
func (w *stepResult) fail(err error) { w.reason, w.failed = err.Error(), true }

// notUTF8Reason is why a step with a key that isn't UTF-8 is skipped.
const notUTF8Reason = "there is %q in it, which no journal can hold: the name is no UTF-8"

// checkStep checks a step's precondition against the present store, and fills in the intents.
func checkStep(ctx context.Context, store backend.Reader, w *stepResult) {
	s := w.step
	var err error
	switch {
	case s.Kind == plan.HealedBlob:
		err = checkHeal(ctx, store, w)
	case s.Op == plan.Write:
		err = checkWrite(ctx, store, w)
	case s.Kind == plan.Upload && strings.HasSuffix(s.Key, "/"):
		err = checkUpload(ctx, store, w)
	case s.IsLink():
		err = checkLink(ctx, store, w)
	default:
		err = checkFile(ctx, store, w)
	}
	if err != nil {
		w.fail(err)
	}
}

// intentOf returns the change of a step to its own key.
func intentOf(s *plan.Step) journal.Intent {
	return journal.Intent{
		Op: s.Op, Kind: s.Kind, Key: s.Key, Finding: s.Finding.String(), Digest: s.Digest, Bytes: s.Bytes,
		Content: s.Content, Body: s.Body, From: s.Time, Upload: s.Upload, Past: s.From == source.PastName,
	}
}

func checkLink(ctx context.Context, store backend.Reader, w *stepResult) error {
	content, err := content(ctx, store, w.step.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.skip("it no longer exists")
	case err != nil:
		return err
	case !holds(content, w.step):
		w.skip("the link has another content now")
	}
	w.intents = []journal.Intent{intentOf(w.step)}
	w.intents[0].Content = plan.Text(content)
	return nil
}

// holds reports whether a link's content is the step's. Of a long link, the step has only the
// first bytes.
func holds(content string, s *plan.Step) bool {
	return content == string(s.Content) || len(s.Content) == walker.MaxLink && strings.HasPrefix(content, string(s.Content))
}

// maxLink is the most bytes of a link that are read before it is changed.
const maxLink = 1 << 20

// content returns the bytes of a link.
func content(ctx context.Context, s backend.Reader, key string) (string, error) {
	f, err := s.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxLink))
	return string(body), err
}

func checkFile(ctx context.Context, store backend.Reader, w *stepResult) error {
	s := w.step
	if w.rechecked == nil {
		item, err := store.Stat(ctx, s.Key)
		w.rechecked = &recheck{item, err}
	}
	item, err := w.rechecked.item, w.rechecked.err
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.skip("it no longer exists")
	case err != nil:
		return err
	case item.Size != s.Size:
		w.skip("it has %s now, and had %s", words.Plural(item.Size, "byte", "bytes"), words.Number(s.Size))
	case backend.Seconds(item.Modified) != s.Modified:
		w.skip("it was written again")
	case s.Corrupt:
		right, err := hashesRight(ctx, store, s.Key)
		if err != nil {
			return err
		}
		if right {
			w.skip("its bytes hash right now")
		}
	}
	w.intents = []journal.Intent{intentOf(s)}
	return nil
}

// hashesRight reads a blob and reports whether its bytes hash to its digest.
func hashesRight(ctx context.Context, s backend.Reader, key string) (bool, error) {
	want, ok := layout.BlobDigest(key)
	if !ok || !want.Provable() {
		return false, fmt.Errorf("%s: names no digest by an algorithm that is known", key)
	}
	f, err := s.Open(ctx, key)
	if err != nil {
		return false, err
	}
	return hashTo(f, want)
}

// hashTo reads f to its end, closes it, and reports whether its bytes hash to a digest.
func hashTo(f io.ReadCloser, d layout.AnyDigest) (bool, error) {
	defer f.Close()
	h := d.Hash()
	_, err := io.Copy(h, f)
	return err == nil && d.IsSum(h), err
}

// checkUpload checks an upload's files. Temporary files have steps of their own. A stale
// upload with foreign files is skipped; of a removed repository, the registry's own files are
// removed.
func checkUpload(ctx context.Context, store backend.Reader, w *stepResult) error {
	in, err := listDir(ctx, store, w.step.Key)
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
		case err != nil && w.step.Finding == finding.RepositoryRemoved:
			continue
		case err != nil || key.Kind != layout.UploadData && key.Kind != layout.UploadStarted && key.Kind != layout.UploadHash:
			w.skip("there is %s in it, which is no part of an upload", it.Name)
			return nil
		}
		bytes, newest = bytes+it.Size, max(newest, it.Modified)
		w.intents = append(w.intents, journal.Intent{
			Op: plan.Remove, Kind: plan.Upload, Key: it.Name, Step: w.step.Key, Finding: w.step.Finding.String(), Bytes: it.Size,
		})
	}
	for dir := range in.dirs {
		if kind := layout.ParseDirectory(dir).Kind; kind != layout.DirOther && kind != layout.DirReserved {
			w.dirs = append(w.dirs, dir)
		}
	}
	switch {
	case len(in.dirs) == 0:
		w.skip("it no longer exists")
	case len(w.intents) == 0: // empty directories are removed whatever their times
	case bytes != w.step.Size || backend.Seconds(newest) != w.step.Modified:
		w.skip("it was written to")
	}
	return nil
}

func checkWrite(ctx context.Context, store backend.Reader, w *stepResult) error {
	s := w.step
	in := intentOf(s)
	if s.Kind == plan.RebuiltBlob && !hashesTo(s.Key, string(s.Body)) {
		return errors.New("the bytes that the plan has for it don't hash to its digest")
	}
	is, err := content(ctx, store, s.Key)
	switch {
	case err == nil && s.Absent:
		w.skip("there is a file by now")
		return nil
	case err == nil && s.Kind == plan.RebuiltBlob && (int64(len(is)) != s.Size || hashesTo(s.Key, is)):
		w.skip("it was written again")
		return nil
	case err == nil && s.Kind != plan.RebuiltBlob && !holds(is, s):
		w.skip("the link has another content now")
		return nil
	case err == nil:
		in.Stood, in.Content = true, plan.Text(is)
		w.intents = []journal.Intent{in}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !s.Absent:
		w.skip("it no longer exists")
		return nil
	}
	in.Made, err = missingDir(ctx, store, path.Dir(s.Key))
	w.intents = []journal.Intent{in}
	return err
}

// hashesTo reports whether body hashes to the digest in a blob's key.
func hashesTo(key, body string) bool {
	d, ok := layout.BlobDigest(key)
	return ok && d.Proves([]byte(body))
}

// missingDir returns the topmost directory that must be created for dir, "" if dir exists.
func missingDir(ctx context.Context, store backend.Reader, dir string) (made string, err error) {
	for ; dir != layout.Repositories && dir != "."; dir = path.Dir(dir) {
		_, err := store.Stat(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) { // an undo depends on it, so it is asked twice
			_, err = store.Stat(ctx, dir)
		}
		switch {
		case errors.Is(err, backend.ErrIrregular):
			return made, nil
		case err == nil:
			return "", fmt.Errorf("%s: is no directory", dir)
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		made = dir
	}
	return made, nil
}

// dirContents is a listing of a directory.
type dirContents struct {
	files []backend.Item  // Name is the key
	dirs  map[string]bool // itself and all below it; none if it doesn't exist
}

// listDir lists a directory. It fails if something can't be read.
func listDir(ctx context.Context, s backend.Reader, key string) (in dirContents, err error) {
	top := strings.TrimSuffix(key, "/")
	in.dirs = map[string]bool{}
	err = s.List(ctx, top, func(string) backend.Hint { return backend.Hint{} }, func(b backend.Batch) error {
		for _, f := range b.Faults {
			return backend.Fault{Key: strings.Clone(f.Key), Err: f.Err}
		}
		for _, it := range b.Items {
			it.Name, it.Body, it.ETag = b.Dir+"/"+it.Name, nil, ""
			dir, empty := strings.CutSuffix(it.Name, "/")
			if !empty {
				dir = it.Name[:strings.LastIndexByte(it.Name, '/')]
				in.files = append(in.files, it)
			}
			in.addParents(dir, top)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return dirContents{}, nil
	}
	in.dirs[top] = true
	return in, err
}

// notUTF8 returns the first key that isn't UTF-8, which a journal can't store; "" for none.
// It could not be restored.
func (in *dirContents) notUTF8() string {
	var keys []string
	for _, f := range in.files {
		keys = append(keys, f.Name)
	}
	for dir := range in.dirs {
		keys = append(keys, dir)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !utf8.ValidString(key) {
			return key
		}
	}
	return ""
}

// addParents adds a directory below top, with its parents.
func (in *dirContents) addParents(dir, top string) {
	for len(dir) > len(top) && !in.dirs[dir] {
		in.dirs[dir] = true
		dir = dir[:strings.LastIndexByte(dir, '/')]
	}
}

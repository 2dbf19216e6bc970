package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph/plan"
	"regfsck/walker"
	"regfsck/walker/layout"
)

// stepResult is a step that is being carried out.
type stepResult struct {
	step      *plan.Step
	rechecked *recheck // what a look at its file showed, where that was made already
	intents   []intent
	receipts  []backend.Receipt // one for each intent
	dirs      []string          // that may be empty afterwards, besides those above the keys
	reason    string            // why it isn't carried out; "" if it is
	failed    bool              // nobody could say, or do it
	upload    backend.Upload    // of an abort: as the store lists it
	time      int64             // of a write: what was written has it, in nanoseconds since 1970
}

// skip leaves a step because of what was found.
func (w *stepResult) skip(format string, args ...any) { w.reason = fmt.Sprintf(format, args...) }

// fail leaves a step because of an error.
func (w *stepResult) fail(err error) { w.reason, w.failed = err.Error(), true }

// notUTF8Reason is why a step is left that would change a key that isn't UTF-8.
const notUTF8Reason = "there is %q in it, which no journal can hold: the name is no UTF-8"

// check looks whether a step's precondition holds now, and says what is to be
// done then.
func (r *run) check(ctx context.Context, w *stepResult) {
	s := w.step
	var err error
	switch {
	case s.Op == plan.Write:
		err = r.checkWrite(ctx, w)
	case s.Kind == plan.Upload && strings.HasSuffix(s.Key, "/"):
		err = r.checkUpload(ctx, w)
	case s.IsLink():
		err = r.checkLink(ctx, w)
	default:
		err = r.checkFile(ctx, w)
	}
	if err != nil {
		w.fail(err)
	}
}

// intentOf is what a step does to its own key.
func intentOf(s *plan.Step) intent {
	return intent{
		Op: s.Op, Kind: s.Kind, Key: s.Key, Finding: s.Finding, Digest: s.Digest, Bytes: s.Bytes,
		Content: s.Content, Body: s.Body, From: s.Time, Upload: s.Upload,
	}
}

func (r *run) checkLink(ctx context.Context, w *stepResult) error {
	content, err := r.content(ctx, w.step.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.skip("it is gone")
	case err != nil:
		return err
	case !holds(content, w.step):
		w.skip("the link holds something else now")
	}
	w.intents = []intent{intentOf(w.step)}
	w.intents[0].Content = plan.Text(content)
	return nil
}

// holds reports whether a link holds what a step says, which of a long link is
// what a scan has seen of it: its first bytes.
func holds(content string, s *plan.Step) bool {
	return content == string(s.Content) || len(s.Content) == walker.MaxLink && strings.HasPrefix(content, string(s.Content))
}

// maxLink bounds how much of a link is read before it is changed.
const maxLink = 1 << 20

// content returns the bytes of a link.
func (r *run) content(ctx context.Context, key string) (string, error) {
	return content(ctx, r.Store, key)
}

func content(ctx context.Context, s backend.Reader, key string) (string, error) {
	f, err := s.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxLink))
	return string(body), err
}

func (r *run) checkFile(ctx context.Context, w *stepResult) error {
	s := w.step
	if w.rechecked == nil {
		item, err := r.Store.Stat(ctx, s.Key)
		w.rechecked = &recheck{item, err}
	}
	item, err := w.rechecked.item, w.rechecked.err
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.skip("it is gone")
	case err != nil:
		return err
	case item.Size != s.Size:
		w.skip("it has %s now, and had %s", words.Plural(item.Size, "byte", "bytes"), words.Number(s.Size))
	case seconds(item.Modified) != s.Modified:
		w.skip("it was written again")
	case s.Corrupt:
		right, err := r.hashesRight(ctx, s.Key)
		if err != nil {
			return err
		}
		if right {
			w.skip("its bytes hash right now")
		}
	}
	w.intents = []intent{intentOf(s)}
	return nil
}

// seconds are a time's seconds since 1970 as a plan holds them: rounded up, and
// kept within 32 bits.
func seconds(ns int64) int64 {
	s := ns / 1e9
	if ns > s*1e9 {
		s++
	}
	return min(max(s, 0), math.MaxUint32)
}

// hashesRight reads a blob and reports whether its bytes hash to its digest.
func (r *run) hashesRight(ctx context.Context, key string) (bool, error) {
	parsed, err := layout.Parse(key)
	if err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	want, _ := layout.ParseAnyDigest(parsed.Algorithm + ":" + parsed.Hex)
	h := want.Hash()
	if h == nil {
		return false, fmt.Errorf("%s: names no digest by an algorithm that is known", key)
	}
	f, err := r.Store.Open(ctx, key)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	return want.IsSum(h), nil
}

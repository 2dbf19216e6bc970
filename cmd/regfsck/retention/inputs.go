package retention

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"regfsck/backend"
	"regfsck/cmd/regfsck/failure"
	"regfsck/graph/gc"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
)

// usualListAge is the default of the greatest age of a list of images in use.
var usualListAge = retain.Duration{Days: 1}

// Hint is the hint for a list or log that can't be used.
const Hint = "Images that no list or log names may be removed, so nothing is planned without all of them. Nothing was changed."

// Inputs are the lists and logs of images in use that a policy's rules name. Each is read
// once.
type Inputs struct {
	Lists map[string][]inuse.Image
	Logs  map[string]*inuse.Log
	Until time.Time // when the first list expires; the zero time for none
}

// ReadInputs reads the lists and logs of a policy; the list "-" is stdin. It fails if a list
// is too old, or if a file names no image.
func ReadInputs(ctx context.Context, p retain.Policy, now time.Time, stdin io.Reader) (in Inputs, err error) {
	if in.Lists, in.Until, err = readLists(p, now, stdin); err != nil {
		return in, err
	}
	if in.Logs, err = readLogs(ctx, p, now); err != nil {
		return in, err
	}
	for _, rule := range p {
		if rule.PulledWithin != (retain.Duration{}) {
			in.Until = earlier(in.Until, now.Add(now.Sub(gc.LogGap(rule.Rules).Before(now))))
		}
	}
	return in, nil
}

// readLists reads the lists of the rules. until is when the first one expires; the zero time
// for none.
func readLists(p retain.Policy, now time.Time, stdin io.Reader) (lists map[string][]inuse.Image, until time.Time, err error) {
	lists = map[string][]inuse.Image{}
	written := map[string]time.Time{}
	for _, rule := range p {
		for _, name := range rule.Lists {
			if _, known := lists[name]; !known {
				images, at, err := readList(name, stdin)
				if err != nil {
					return nil, until, failure.Misuse(Hint, "--keep-list %s: %w", name, backend.Cause(err))
				}
				lists[name], written[name] = images, at
			}
			age := rule.ListAge
			if age == (retain.Duration{}) {
				age = usualListAge
			}
			at := written[name]
			if at.IsZero() {
				at = now
			}
			if at.Before(age.Before(now)) {
				return nil, until, failure.Misuse("Make a new list, or set the allowed age with --keep-list-age. Nothing was changed.",
					"--keep-list %s: it was written %s and is older than %s: it lacks images that came into use since", name, at.UTC().Format("2006-01-02 15:04"), age)
			}
			until = earlier(until, now.Add(at.Sub(age.Before(now))))
		}
	}
	return lists, until, nil
}

// earlier returns the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// readList reads one list and returns when it was written; the zero time if it isn't a
// regular file.
func readList(name string, stdin io.Reader) (images []inuse.Image, written time.Time, err error) {
	if name == "-" {
		images, err = inuse.ReadList(stdin)
		return images, written, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, written, err
	}
	defer f.Close()
	is, err := f.Stat()
	switch {
	case err != nil:
		return nil, written, err
	case is.IsDir():
		return nil, written, errors.New("it is a directory")
	case is.Mode().IsRegular():
		written = is.ModTime()
	}
	images, err = inuse.ReadList(f)
	return images, written, err
}

// readLogs reads the access logs of the rules, each file or pattern once.
func readLogs(ctx context.Context, p retain.Policy, now time.Time) (map[string]*inuse.Log, error) {
	logs := map[string]*inuse.Log{}
	for _, rule := range p {
		for _, name := range rule.PulledLogs {
			if logs[name] != nil {
				continue
			}
			files := []string{name}
			if _, err := os.Stat(name); err != nil {
				if found, wrong := filepath.Glob(name); wrong == nil && len(found) > 0 {
					files = found
				}
			}
			logs[name] = inuse.NewLog(now)
			for _, file := range files {
				if err := readLog(ctx, file, logs[name]); err != nil && ctx.Err() == nil {
					return nil, failure.Misuse(Hint, "--pulled-log %s: %w", file, backend.Cause(err))
				}
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return logs, nil
}

func readLog(ctx context.Context, name string, to *inuse.Log) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	before := to.Requests
	if err := to.Read(interruptible{ctx, f}); err != nil || to.Requests > before {
		return err
	}
	if is, err := f.Stat(); err == nil && is.Mode().IsRegular() && is.Size() == 0 { // a new log after rotation
		return nil
	}
	return errNoRequest
}

// errNoRequest is the error of a log without a request that can be parsed: pulls in it would
// be missed while other logs seem to cover its time.
var errNoRequest = errors.New("no line in it is a request: its format isn't known (regfsck help retention), or it isn't an access log")

// interruptible is a reader that fails when ctx ends.
type interruptible struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (i interruptible) Read(to []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.Reader.Read(to)
}

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

// usualListAge is how old a list of images in use may be.
var usualListAge = retain.Duration{Days: 1}

// Hint is what to do about a list or log that says nothing of what is in use.
const Hint = "What isn't said to be in use may be removed, so what says nothing stops the run. Nothing was changed."

// Inputs are the lists and logs of images in use that the rules of a policy name, each read
// once and under the name that a rule gives it.
type Inputs struct {
	Lists map[string][]inuse.Image
	Logs  map[string]*inuse.Log
	Until time.Time // when the first of them is too old to be believed; the zero time where there are none
}

// ReadInputs reads what the rules name at that time; the list "-" is stdin. It fails where a
// list is too old, or where a file says nothing of what is in use.
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

// readLists reads the lists that rules name. until is when the first of them is too old; the
// zero time where there are none.
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
				return nil, until, failure.Misuse("Write it anew, or say with --keep-list-age how old it may be. Nothing was changed.",
					"--keep-list %s: it was written %s and is older than %s: what came into use since isn't in it", name, at.UTC().Format("2006-01-02 15:04"), age)
			}
			until = earlier(until, now.Add(at.Sub(age.Before(now))))
		}
	}
	return lists, until, nil
}

// earlier returns the earlier one of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// readList reads one list, and says when it was written; the zero time for what is no
// regular file, and is being written now.
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

// readLogs reads the access logs that rules name, each file or pattern once.
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
	if is, err := f.Stat(); err == nil && is.Mode().IsRegular() && is.Size() == 0 { // it was just begun
		return nil
	}
	return errNoRequest
}

// errNoRequest is about a log of which nothing is understood: pulls that it may hold would
// be missed, while other logs cover its time.
var errNoRequest = errors.New("no line in it tells of a request: its form isn't known (regfsck help retention), or it is no access log")

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

// Read reads as long as the context lasts.
func (i interruptible) Read(to []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.Reader.Read(to)
}

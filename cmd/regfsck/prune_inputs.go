package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"regfsck/backend"
	"regfsck/graph/gc"
	"regfsck/graph/inuse"
	"regfsck/graph/retain"
)

// usualListAge is how old a list of images in use may be.
var usualListAge = retain.Duration{Days: 1}

// inputHint is what to do about a file that can't be believed and says what is in use.
const inputHint = "What isn't said to be in use may be removed, so what says nothing stops the run. Nothing was changed."

// pruneInputs reads what the rules of a policy name: lists of images, and access logs.
type pruneInputs struct{ *session }

// readLists reads the lists of images in use that rules name, each once; "-" is stdin.
// until is when the first of them is too old; the zero time where there are none.
func (s pruneInputs) readLists(p retain.Policy) (lists map[string][]inuse.Image, until time.Time, err error) {
	lists = map[string][]inuse.Image{}
	written := map[string]time.Time{}
	for _, rule := range p {
		for _, name := range rule.Lists {
			if _, known := lists[name]; !known {
				images, at, err := s.readList(name)
				if err != nil {
					return nil, until, misuse(inputHint, "--keep-list %s: %w", name, backend.Cause(err))
				}
				lists[name], written[name] = images, at
			}
			age := rule.ListAge
			if age == (retain.Duration{}) {
				age = usualListAge
			}
			now, at := s.now(), written[name]
			if at.IsZero() {
				at = now
			}
			if at.Before(age.Before(now)) {
				return nil, until, misuse("Write it anew, or say with --keep-list-age how old it may be. Nothing was changed.",
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

// logsUntil returns when the logs that rules name are too old; the zero time for none.
func (s pruneInputs) logsUntil(p retain.Policy) (until time.Time) {
	now := s.now()
	for _, rule := range p {
		if rule.PulledWithin != (retain.Duration{}) {
			until = earlier(until, now.Add(now.Sub(gc.LogGap(rule.Rules).Before(now))))
		}
	}
	return until
}

// readList reads one list, and says when it was written; the zero time for what is no
// regular file, and is being written now.
func (s pruneInputs) readList(name string) (images []inuse.Image, written time.Time, err error) {
	if name == "-" {
		images, err = inuse.ReadList(s.stdin)
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
func (s pruneInputs) readLogs(ctx context.Context, p retain.Policy) (map[string]*inuse.Log, error) {
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
			logs[name] = inuse.NewLog(s.now())
			for _, file := range files {
				if err := readLog(ctx, file, logs[name]); err != nil && ctx.Err() == nil {
					return nil, misuse(inputHint, "--pulled-log %s: %w", file, backend.Cause(err))
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

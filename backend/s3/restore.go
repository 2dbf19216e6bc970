package s3

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"regfsck/backend"
)

// restoration is one call of Restore.
type restoration struct {
	*Store
	ctx    context.Context
	run    backend.Run
	errs   []error
	keys   []string
	lift   deletion        // markers to be removed
	lifted map[int]version // by receipt, what they hide
	copies []replica
	check  []int // what is said to be in its place
}

// Restore is backend.Store's. It removes the delete markers that hide what the
// run removed: those that the receipt names, or after a crash those that are
// uppermost and were made since the run began, where Run.Began tells. A version
// with more above it than markers comes back as a copy, with a new time. A run
// can't tell its own markers from those that others made while it was at work.
func (s *Store) Restore(ctx context.Context, run backend.Run, receipts []backend.Receipt) []error {
	r := restoration{Store: s, ctx: ctx, run: run, errs: make([]error, len(receipts)), lifted: map[int]version{}}
	r.keys = make([]string, len(receipts))
	var keys []string
	var at []int
	for i, receipt := range receipts {
		r.keys[i] = receipt.Key
		switch err := s.guard(ctx, "restore", run, receipt.Key); {
		case err != nil:
			r.errs[i] = err
		case strings.HasSuffix(receipt.Key, "/") && receipt.Undo == "": // it was no marker
			r.fail(i, errNoFolders)
		case receipt.Undo == remake:
			if err := s.remake(ctx, receipt.Key); err != nil {
				r.fail(i, err)
			}
		default:
			keys, at = append(keys, receipt.Key), append(at, i)
		}
	}
	if len(keys) == 0 {
		return r.errs
	}
	all, errs := s.known(ctx, keys)
	for n, i := range at {
		if errs[n] != nil {
			r.fail(i, errs[n])
			continue
		}
		r.decide(i, all[n], receipts[i])
	}
	r.carryOut()
	return r.errs
}

// known returns histories, or what amounts to them where the bucket has none.
func (s *Store) known(ctx context.Context, keys []string) ([]history, []error) {
	status, err := s.status(ctx, true)
	if err == nil && status != "" {
		return s.histories(ctx, keys)
	}
	items, errs := s.statsOf(ctx, keys)
	all := make([]history, len(keys))
	for i := range keys {
		switch {
		case errs[i] == nil:
			all[i] = history{{id: nullVersion, etag: items[i].ETag, size: items[i].Size, at: items[i].Modified, latest: true}}
		case errors.Is(errs[i], fs.ErrNotExist):
			errs[i] = err // what is hidden is known only where there is nothing that hides
		}
	}
	return all, errs
}

func (r *restoration) fail(i int, err error) {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	r.errs[i] = cmp.Or(r.ctx.Err(), error(&fs.PathError{Op: "restore", Path: r.keys[i], Err: err}))
}

// decide tells what is to be done for a receipt.
func (r *restoration) decide(i int, h history, receipt backend.Receipt) {
	at := -1
	t, ok := parseToken(receipt.Undo)
	if ok && t.run != r.run.ID {
		if !h.stands() {
			r.fail(i, errLost)
			return
		}
		r.check = append(r.check, i)
		return
	}
	if ok {
		at = h.find(t.id)
	}
	top := h.markers(0)
	switch {
	case at < 0:
		r.byTime(i, h, receipt.Was)
	case h[at].marker && h.stands(), !h[at].marker && at > 0 && h.stands():
		r.fail(i, fs.ErrExist)
	case at == 0 && !h[at].marker:
		r.check = append(r.check, i)
	case at <= top && top < len(h):
		r.raise(i, h, receipt.Was)
	case at+h.markers(at) < len(h):
		if err := h[at+h.markers(at)].check(receipt.Was); err != nil {
			r.fail(i, err)
			return
		}
		r.copies = append(r.copies, replica{i, at, h})
	default:
		r.fail(i, errLost)
	}
}

// byTime decides where the versions that a receipt speaks of aren't known, or
// aren't there.
func (r *restoration) byTime(i int, h history, was *backend.Original) {
	switch since := r.began(r.run.Began, strictly); {
	case len(h) == 0:
		r.fail(i, errLost)
	case h.stands():
		if since > 0 && h.touched(since) {
			r.fail(i, fs.ErrExist)
			return
		}
		r.check = append(r.check, i)
	case h.markers(0) == len(h), h.hidden(0) < r.began(r.run.Began, roughly):
		r.fail(i, errLost)
	default:
		r.raise(i, h, was)
	}
}

// raise removes the uppermost markers, where they hide what it was.
func (r *restoration) raise(i int, h history, was *backend.Original) {
	top := h.markers(0)
	if err := h[top].check(was); err != nil {
		r.fail(i, err)
		return
	}
	r.lift.add(i, r.keys[i], nil, h[:top])
	r.lifted[i] = h[top]
}

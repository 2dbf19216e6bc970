package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"regfsck/backend"
)

// Kept is backend.Purger's.
func (s *Store) Kept(ctx context.Context, run backend.Run, receipts []backend.Receipt) (int64, error) {
	k, err := s.kept(ctx, run, receipts)
	return k.bytes, err
}

// Purge is backend.Purger's. It removes the versions that the run's markers hide,
// and then those markers; and the versions that the run wrote over. What stands
// under a key is never removed. A key that fails stays as it is and the others go;
// each reason is told once. What was freed is told with the error.
func (s *Store) Purge(ctx context.Context, run backend.Run, receipts []backend.Receipt) (int64, error) {
	k, err := s.kept(ctx, run, receipts)
	if len(k.sizes) == 0 {
		return 0, err
	}
	freed := k.bytes
	var failures []error
	for key, failed := range k.all.run(ctx, s) {
		freed -= k.sizes[key]
		failures = append(failures, failed)
	}
	return freed, backend.Join(err, onceEach(failures))
}

// onceEach tells each reason once, with how many keys it is the reason for.
func onceEach(failures []error) (all error) {
	count, one := map[string]int{}, map[string]error{}
	for _, err := range failures {
		why := err
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			why = pe.Err
		}
		count[why.Error()]++
		one[why.Error()] = err
	}
	for _, why := range slices.Sorted(maps.Keys(one)) {
		err := one[why]
		if n := count[why]; n > 1 {
			err = fmt.Errorf("%w; and so for %d more", err, n-1)
		}
		all = backend.Join(all, err)
	}
	return all
}

// keeping is what a run keeps.
type keeping struct {
	all   deletion
	sizes map[int]int64 // by owner
	bytes int64
}

// kept finds what a run keeps. It fails where any of it can't be looked at.
func (s *Store) kept(ctx context.Context, run backend.Run, receipts []backend.Receipt) (keeping, error) {
	k := keeping{sizes: map[int]int64{}}
	if err := cmp.Or(checkRun(run), ctx.Err()); err != nil {
		return k, err
	}
	undos := map[string][]string{}
	var keys []string
	for _, r := range receipts {
		if s.guard(ctx, "purge", run, r.Key) != nil || strings.HasSuffix(r.Key, "/") && (r.Undo == "" || r.Undo == remake) {
			continue
		}
		if _, ok := undos[r.Key]; !ok {
			keys = append(keys, r.Key)
		}
		undos[r.Key] = append(undos[r.Key], r.Undo)
	}
	if len(keys) == 0 {
		return k, nil
	}
	status, err := s.status(ctx, true)
	if err != nil || status == "" {
		return k, err
	}
	all, errs := s.histories(ctx, keys)
	for i, key := range keys {
		if errs[i] == nil {
			s.ofRun(run, i, key, all[i], undos[key], &k)
		}
	}
	return k, backend.Join(ctx.Err(), first(errs))
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ofRun adds what a run keeps of one key: of each marker that is the run's, and
// of those in a row with it, what they hide; and what the run wrote over.
func (s *Store) ofRun(run backend.Run, owner int, key string, h history, undos []string, k *keeping) {
	given := make([]bool, len(h))
	for _, undo := range undos {
		at := -1
		if t, ok := parseToken(undo); ok && t.run == run.ID {
			at = h.find(t.id)
		} else if undo == "" {
			at = h.oldest(s.began(run.Began, strictly))
		}
		if at < 0 {
			continue
		}
		h.give(at, given)
	}
	var versions, markers history
	for i, v := range h {
		switch {
		case given[i] && v.marker:
			markers = append(markers, v)
		case given[i] && i > 0: // never what stands there
			versions = append(versions, v)
		}
	}
	k.all.add(owner, key, versions, markers)
	k.sizes[owner] = versions.bytes()
	k.bytes += versions.bytes()
}

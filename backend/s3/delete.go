package s3

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// target is one thing to be deleted: a key, which leaves a marker where the
// bucket keeps versions, or one version of it, for good.
type target struct{ key, version string }

const (
	maxDelete = 1000 // keys of one DeleteObjects
	maxTries  = 5    // how often a key is tried that the server couldn't delete just now
)

// delete deletes exactly these targets, as many side by side as a request can
// hold, and there is a verdict for each. What isn't there counts as deleted.
func (s *Store) delete(ctx context.Context, targets []target) []verdict {
	var once []target
	at := map[target]int{}
	for _, t := range targets {
		if _, ok := at[t]; !ok {
			at[t] = len(once)
			once = append(once, t)
		}
	}
	verdicts, all := s.deleteOnce(ctx, once), make([]verdict, len(targets))
	s.lookAgain(ctx, once, verdicts)
	for i, t := range targets {
		all[i] = verdicts[at[t]]
	}
	return all
}

// deleteOnce is delete for targets of which no two are the same.
func (s *Store) deleteOnce(ctx context.Context, targets []target) []verdict {
	verdicts := make([]verdict, len(targets))
	var plain []int
	var work errgroup.Group
	work.SetLimit(s.workers)
	for i, t := range targets {
		if isXML(t.key) && !s.single.Load() {
			plain = append(plain, i)
			continue
		}
		work.Go(func() error {
			verdicts[i] = s.deleteHeld(ctx, t)
			return nil
		})
	}
	for part := range slices.Chunk(plain, maxDelete) {
		work.Go(func() error {
			s.deleteMany(ctx, part, targets, verdicts)
			return nil
		})
	}
	work.Wait()
	return verdicts
}

// isXML reports whether a key arrives as it is in the XML of a DeleteObjects. Any
// other would name another key there, and has a request of its own.
func isXML(key string) bool {
	if !utf8.ValidString(key) {
		return false
	}
	for _, r := range key {
		if unicode.IsControl(r) || r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// lookAgain looks at what the server says nothing about, be it that its answer is
// short or that no answer came, and at the versions that it refuses to delete:
// versitygw does that where they are gone, as when a request is sent a second time.
func (s *Store) lookAgain(ctx context.Context, targets []target, verdicts []verdict) {
	var versions, keys []string
	var ofVersions, ofKeys []int
	for i, t := range targets {
		_, refused := errors.AsType[refusal](verdicts[i].err)
		silent := errors.Is(verdicts[i].err, errSilent) || ctx.Err() == nil && unanswered(verdicts[i].err)
		switch {
		case t.version != "" && (silent || refused && !isDenied(verdicts[i].err)):
			versions, ofVersions = append(versions, t.key), append(ofVersions, i)
		case silent:
			keys, ofKeys = append(keys, t.key), append(ofKeys, i)
		}
	}
	if len(versions) > 0 {
		all, errs := s.histories(ctx, versions)
		for n, i := range ofVersions {
			if errs[n] == nil && all[n].find(targets[i].version) < 0 {
				verdicts[i] = verdict{}
			}
		}
	}
	for n, part := 0, 1; n < len(keys); n, part = n+part, len(keys)-n-part { // a server that is away is asked for one
		_, errs := s.Reader.Stats(ctx, keys[n:n+part])
		for k, err := range errs {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				verdicts[ofKeys[n+k]] = verdict{}
			case err != nil && n == 0:
				return
			}
		}
	}
}

// unanswered reports whether a request failed without an answer of the server, which
// may have done what it asked. Without the lease nothing is asked any more.
func unanswered(err error) bool {
	_, answered := errors.AsType[smithy.APIError](err)
	return err != nil && !answered && !errors.Is(err, errLeaseLost)
}

// findMarkers looks for the markers of deletes of which the server told none: some
// answer with keys alone, and some tell no marker where a request came twice. keys
// are those that stood there before.
func (s *Store) findMarkers(ctx context.Context, keys []string) []string {
	markers := make([]string, len(keys))
	if len(keys) == 0 {
		return markers
	}
	all, errs := s.histories(ctx, keys)
	for n, h := range all {
		if errs[n] == nil && h.markers(0) > 0 {
			markers[n] = h[0].id
		}
	}
	return markers
}

// permission returns what deleting a target needs.
func (t target) permission() string {
	if t.version != "" {
		return mayDeleteVersion
	}
	return mayDelete
}

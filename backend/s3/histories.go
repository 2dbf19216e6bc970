package s3

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// histories returns what the bucket has of each key, or why nobody knows. A key
// of which there is nothing has an empty history.
func (s *Store) histories(ctx context.Context, keys []string) ([]history, []error) {
	all, errs := make([]history, len(keys)), make([]error, len(keys))
	var work errgroup.Group
	work.SetLimit(s.workers)
	for _, g := range groups(keys, historiesGroup) {
		work.Go(func() error {
			s.historiesIn(ctx, g, keys, all, errs)
			return nil
		})
	}
	work.Wait()
	return all, errs
}

const (
	historiesGroup = 64 // keys looked for in one chain of pages
	versionsOfKey  = 16 // how much of a page is asked for, for each of them
)

// history returns what the bucket has of one key.
func (s *Store) history(ctx context.Context, key string) (history, error) {
	l := versionListing{s: s, q: versionRequest{prefix: s.root + key, max: versionsOfKey}}
	for l.next(ctx) && l.key <= s.root+key {
	}
	h := l.take(s.root + key)
	if l.err == nil && !h.whole() {
		return nil, distrust("of the versions of the key %q none is the latest: some are left out, and what stands there can't be told", s.root+key)
	}
	return h, l.err
}

// historiesIn fills in the histories of a group's keys from pages of their
// prefix, leaving out what lies between those that are far apart.
func (s *Store) historiesIn(ctx context.Context, g group, keys []string, all []history, errs []error) {
	l := versionListing{s: s, q: versionRequest{prefix: s.root + g.prefix, max: s.pageSize}, wanted: map[string]bool{}}
	if l.q.max == 0 {
		l.q.max = int32(min(1000, versionsOfKey*len(g.at)))
	}
	for _, at := range g.at {
		l.wanted[s.root+keys[at]] = true
	}
	for n, at := range g.at {
		key := s.root + keys[at]
		if n == 0 || !l.done && l.key < key && l.pages > 0 && l.behind(before(key)) {
			l.jump(before(key))
		}
		for !l.done && l.key <= key && l.next(ctx) {
		}
		all[at], errs[at] = l.take(key), l.err
		if errs[at] == nil && !all[at].whole() {
			all[at], errs[at] = s.history(ctx, keys[at])
		}
	}
}

// versionListing goes through the versions below a prefix, page by page.
type versionListing struct {
	s      *Store
	q      versionRequest
	wanted map[string]bool // whose versions are kept; nil is all
	each   func(version)   // is told of each version instead; nil for nobody
	found  map[string]history
	key    string // the greatest key of the last page: below it, all is known
	pages  int
	done   bool
	err    error
}

// next takes in a page. It returns false at the end, and at an error.
func (l *versionListing) next(ctx context.Context) bool {
	if l.done || l.err != nil {
		return false
	}
	p, err := l.s.versionPage(ctx, l.q)
	if err != nil {
		l.err, l.done = err, true
		return false
	}
	l.pages++
	if l.found == nil {
		l.found = map[string]history{}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		l.key = max(l.key, e.Key)
		if l.each == nil && l.wanted != nil && !l.wanted[e.Key] {
			continue
		}
		v, err := e.version()
		if err != nil {
			l.err, l.done = err, true
			return false
		}
		if l.each != nil {
			l.each(v)
			continue
		}
		if l.found[e.Key].find(v.id) < 0 { // versitygw begins a page with the end of the last one
			l.found[e.Key] = append(l.found[e.Key], v)
		}
	}
	l.done = !*p.IsTruncated
	l.q.key, l.q.after = p.NextKeyMarker, p.NextVersionIdMarker
	return !l.done
}

// behind reports whether a key lies behind what the pages have told of.
func (l *versionListing) behind(key string) bool { return l.q.key < key }

// jump goes on behind a key.
func (l *versionListing) jump(key string) { l.q.key, l.q.after, l.key = key, "", key }

// take returns the history of a key that was gone through.
func (l *versionListing) take(key string) history {
	h := l.found[key]
	h.sort()
	return h
}

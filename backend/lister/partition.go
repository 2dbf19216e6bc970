package lister

import (
	"slices"
	"strings"
	"sync"
)

// scheduler has the ranges of one listing and splits them for idle workers. It makes no
// requests.
type scheduler struct {
	prefix string // of all keys

	mu      sync.Mutex
	changed *sync.Cond  // signals that a range may be split now, or that the listing ends
	ranges  []*keyRange // not listed to their ends yet
	stopped bool
	splits  splitting
	noNames bool // listing the names of directories failed, or doesn't help

	perPage float64 // keys of a full page
	pages   int     // listed
	extras  int     // requests beyond those of a listing in one range
}

// splitting is whether the server begins a page after a given key.
type splitting uint8

const (
	untested splitting = iota
	underTest
	supported
	unsupported
)

func newScheduler(first *keyRange, prefix string, pageSize int) *scheduler {
	sched := &scheduler{prefix: prefix, ranges: []*keyRange{first}, perPage: float64(pageSize)}
	if pageSize <= 0 {
		sched.perPage = 1000
	}
	sched.changed = sync.NewCond(&sched.mu)
	return sched
}

// stop ends all calls of take.
func (sched *scheduler) stop() {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	sched.stopped = true
	sched.changed.Broadcast()
}

// take waits for work: a range to list, or in ask a range whose directories are to be passed
// to setNames. Both are nil if the listing ends.
func (sched *scheduler) take() (walk, ask *keyRange) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	for !sched.stopped && len(sched.ranges) > 0 {
		if walk, ask = sched.splitLargest(); walk != nil || ask != nil {
			return walk, ask
		}
		sched.changed.Wait()
	}
	return nil, nil
}

// affordable reports whether one more split keeps extra requests within their limit.
func (sched *scheduler) affordable() bool { return sched.extras+len(sched.ranges) < 200+sched.pages/12 }

// splitLargest splits the range with the largest estimated rest.
func (sched *scheduler) splitLargest() (walk, ask *keyRange) {
	for sched.splits != unsupported && sched.splits != underTest && sched.affordable() {
		var largest *keyRange
		most := float64(minRest)
		for _, s := range sched.ranges {
			if s.busy || s.unsplittable || s.pos == "" {
				continue
			}
			if digests, behind := s.rest(sched.perPage, sched.prefix); digests+behind >= most {
				largest, most = s, digests+behind
			}
		}
		if largest == nil {
			return nil, nil
		}
		at, names := largest.where(sched.perPage, !sched.noNames, sched.prefix)
		if names {
			largest.busy = true
			sched.extras++
			return nil, largest
		}
		if at = between(at, largest.pos, largest.until); at != "" {
			return sched.split(largest, at), nil
		}
		largest.unsplittable = true
	}
	return nil, nil
}

// split splits a range. The first split is a test: the lower range isn't cut before the first
// page of the upper one shows that the server begins after the given key.
func (sched *scheduler) split(s *keyRange, at string) *keyRange {
	upper := s.split(at, sched.perPage, sched.prefix)
	if sched.splits == untested {
		sched.splits, upper.splitFrom, s.busy = underTest, s, true
	} else {
		s.until = at
	}
	sched.ranges = append(sched.ranges, upper)
	return upper
}

// giveUp drops a range whose test failed, and ends all splitting.
func (sched *scheduler) giveUp(s *keyRange) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	sched.splits, s.splitFrom.busy = unsupported, false
	sched.finish(s)
}

func (sched *scheduler) finish(s *keyRange) {
	if s.after != "" {
		sched.extras++
	}
	sched.ranges = slices.DeleteFunc(sched.ranges, func(other *keyRange) bool { return other == s })
	sched.changed.Broadcast()
}

// bounds returns the current ends of a range.
func (sched *scheduler) bounds(s *keyRange) (after, until string) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	return s.after, s.until
}

// advance records a page of a range, removes the objects of the next range from it, and
// reports whether the range has more pages. It is called before the page is delivered, so that
// no split is below a delivered key.
func (sched *scheduler) advance(s *keyRange, g *Page) (more bool) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	defer sched.changed.Broadcast()
	if s.splitFrom != nil && !sched.endTest(s) {
		g.Objects = nil
		sched.finish(s)
		return false
	}
	sched.pages++
	s.pages++
	s.unsplittable = false
	s.token = g.Token
	over := g.upTo(s.until)
	sched.update(s, g.Objects)
	if over || !g.Truncated {
		sched.finish(s)
		return false
	}
	return true
}

// update moves the range's position to the last of the objects, and updates its estimates.
func (sched *scheduler) update(s *keyRange, objects []Object) {
	if len(objects) == 0 {
		return
	}
	var ahead int
	if s.names != nil {
		ahead = len(s.names.ahead(s))
	}
	s.from, s.keys = strings.Clone(objects[0].name()), len(objects)
	s.pos = strings.Clone(objects[len(objects)-1].name())
	if ahead > 0 && len(s.names.ahead(s)) > 0 { // else the page exceeds the names
		s.names.passed += ahead - len(s.names.ahead(s))
		s.names.keys += len(objects)
	}
	s.digests = findDigestRange(objects)
}

// endTest ends the test of the first split when the upper range's first page is received. It
// reports whether the upper range is still needed: the lower one may have passed the split.
func (sched *scheduler) endTest(s *keyRange) bool {
	lower := s.splitFrom
	sched.splits, s.splitFrom, lower.busy = supported, nil, false
	if !slices.Contains(sched.ranges, lower) || lower.pos >= s.after {
		return false
	}
	lower.until = s.after
	return true
}

// setNames sets the directories ahead in a range; nil means that names can't be listed.
func (sched *scheduler) setNames(s *keyRange, n *names) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	defer sched.changed.Broadcast()
	s.busy = false
	if n == nil {
		sched.noNames = true
		return
	}
	s.names = n
}

// listNames lists the directories ahead in a range's directory; nil if the response doesn't
// help. Names only decide where to split, so that errors don't matter.
func (l *listing) listNames(s *keyRange, sched *scheduler) *names {
	q := sched.question(s)
	var g Page
	r := Request{Prefix: q.dir, Dirs: true, Max: l.PageSize}
	if q.after != "" {
		r.After = q.after
	}
	if err := l.Page(l.ctx, r, &g); err != nil {
		return nil
	}
	n := &names{dir: q.dir, more: g.Truncated, keys: q.keys}
	for _, prefix := range g.Prefixes {
		if prefix > q.pos {
			n.list = append(n.list, prefix)
		}
	}
	n.passed = len(g.Prefixes) - len(n.list) + 1
	if !slices.IsSorted(n.list) || n.more && len(n.list) == 0 {
		return nil
	}
	return n
}

// question is the request of listNames.
type question struct {
	dir   string // the directory
	after string // list names after this: the begin of the last page, to count its names
	pos   string // names after this are ahead
	keys  int    // number of keys between after and pos
}

func (sched *scheduler) question(s *keyRange) question {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	q := question{dir: s.dir, pos: s.pos, keys: s.keys}
	child := childDir(s.dir, s.from)
	if child == "" {
		child = childDir(s.dir, s.pos)
	}
	if child != "" {
		q.after = child[:len(child)-1] + "0"
	}
	return q
}

package lister

import (
	"slices"
	"strings"
	"sync"
)

// scheduler holds the ranges of one listing, and splits them for whoever is idle. It
// asks nobody: what walks and probes find out is told to it.
type scheduler struct {
	prefix string // of all keys

	mu       sync.Mutex
	moved    *sync.Cond  // something may be split now, or all is over
	ranges   []*keyRange // those that aren't at their ends
	stopped  bool
	splits   splitting
	noProbes bool // probes are denied or useless here

	perPage float64 // keys of a full page
	pages   int     // seen
	extras  int     // requests that a listing in one range would have done without
}

// splitting says whether the server starts a page where it is told to.
type splitting uint8

const (
	untried splitting = iota
	onTrial
	allowed
	useless
)

func newScheduler(first *keyRange, prefix string, pageSize int) *scheduler {
	sched := &scheduler{prefix: prefix, ranges: []*keyRange{first}, perPage: float64(pageSize)}
	if pageSize <= 0 {
		sched.perPage = 1000
	}
	sched.moved = sync.NewCond(&sched.mu)
	return sched
}

// stop ends all waiting.
func (sched *scheduler) stop() {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	sched.stopped = true
	sched.moved.Broadcast()
}

// take waits for something to do: a range to be walked, or, with ask, one about
// whose directory the names are to be asked for and told to learn. Both are nil
// when all is over.
func (sched *scheduler) take() (walk, ask *keyRange) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	for !sched.stopped && len(sched.ranges) > 0 {
		if walk, ask = sched.splitLargest(); walk != nil || ask != nil {
			return walk, ask
		}
		sched.moved.Wait()
	}
	return nil, nil
}

// spared reports whether one more split keeps within what may be spent on splits.
func (sched *scheduler) spared() bool { return sched.extras+len(sched.ranges) < 200+sched.pages/12 }

// splitLargest splits the range with the largest rest.
func (sched *scheduler) splitLargest() (walk, ask *keyRange) {
	for sched.splits != useless && sched.splits != onTrial && sched.spared() {
		var largest *keyRange
		most := float64(minRest)
		for _, s := range sched.ranges {
			if s.taken || s.unsplittable || s.pos == "" {
				continue
			}
			if digests, behind := s.rest(sched.perPage, sched.prefix); digests+behind >= most {
				largest, most = s, digests+behind
			}
		}
		if largest == nil {
			return nil, nil
		}
		at, names := largest.where(sched.perPage, !sched.noProbes, sched.prefix)
		if names {
			largest.taken = true
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

// split splits a range. The first split is on trial: until the upper part has shown
// that the server begins where it is told to, the lower part stays whole.
func (sched *scheduler) split(s *keyRange, at string) *keyRange {
	upper := s.split(at, sched.perPage, sched.prefix)
	if sched.splits == untried {
		sched.splits, upper.unproven, s.taken = onTrial, s, true
	} else {
		s.until = at
	}
	sched.ranges = append(sched.ranges, upper)
	return upper
}

// refuse gives up a range that was unproven, and all splitting.
func (sched *scheduler) refuse(s *keyRange) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	sched.splits, s.unproven.taken = useless, false
	sched.finish(s)
}

func (sched *scheduler) finish(s *keyRange) {
	if s.after != "" {
		sched.extras++
	}
	sched.ranges = slices.DeleteFunc(sched.ranges, func(other *keyRange) bool { return other == s })
	sched.moved.Broadcast()
}

// bounds returns the ends of a range as they are now.
func (sched *scheduler) bounds(s *keyRange) (after, until string) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	return s.after, s.until
}

// advance takes in a page of a range, cuts off what is another's, and reports
// whether the range goes on. It comes before anything of the page is used, so
// that no split lies behind what was handed over.
func (sched *scheduler) advance(s *keyRange, g *Page) (more bool) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	defer sched.moved.Broadcast()
	if s.unproven != nil && !sched.prove(s) {
		g.Objects = nil
		sched.finish(s)
		return false
	}
	sched.pages++
	s.pages++
	s.unsplittable = false
	s.token = g.Token
	over := g.upTo(s.until)
	sched.see(s, g.Objects)
	if over || !g.Truncated {
		sched.finish(s)
		return false
	}
	return true
}

// see moves the range behind the last of the objects, and notes what they show.
func (sched *scheduler) see(s *keyRange, objects []Object) {
	if len(objects) == 0 {
		return
	}
	var ahead int
	if s.names != nil {
		ahead = len(s.names.ahead(s))
	}
	s.from, s.keys = strings.Clone(objects[0].name()), len(objects)
	s.pos = strings.Clone(objects[len(objects)-1].name())
	if ahead > 0 && len(s.names.ahead(s)) > 0 { // else the page went beyond the names
		s.names.passed += ahead - len(s.names.ahead(s))
		s.names.keys += len(objects)
	}
	s.digests = findDigestRange(objects)
}

// prove ends the trial of a range whose first page has come. It reports whether
// the range is still wanted: the lower part may have gone past the split.
func (sched *scheduler) prove(s *keyRange) bool {
	lower := s.unproven
	sched.splits, s.unproven, lower.taken = allowed, nil, false
	if !slices.Contains(sched.ranges, lower) || lower.pos >= s.after {
		return false
	}
	lower.until = s.after
	return true
}

// learn takes in the names that lie ahead of a range; nil means that asking
// for them leads nowhere.
func (sched *scheduler) learn(s *keyRange, n *names) {
	sched.mu.Lock()
	defer sched.mu.Unlock()
	defer sched.moved.Broadcast()
	s.taken = false
	if n == nil {
		sched.noProbes = true
		return
	}
	s.names = n
}

// probe asks which directories lie ahead in a range's directory. It returns nil where
// the answer is of no use: probes decide where a listing is split and never what is
// there, so that none of their errors matters.
func (l *listing) probe(s *keyRange, sched *scheduler) *names {
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

// question is what is to be asked about a range.
type question struct {
	dir   string // whose directories
	after string // from where on: where the last page began, so that its names are counted
	pos   string // where those begin that lie ahead
	keys  int    // between the two
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

package s3

import (
	"slices"
	"strings"
	"sync"
)

// pool holds the spans of one listing, and cuts them for whoever is idle. It
// asks nobody: what walks and probes find out is told to it.
type pool struct {
	prefix string // of all keys

	mu      sync.Mutex
	moved   *sync.Cond // something may be cut now, or all is over
	spans   []*span    // those that aren't at their ends
	stopped bool
	cuts    cutting
	mute    bool // probes are denied or useless here

	perPage float64 // keys of a full page
	pages   int     // seen
	extras  int     // requests that an uncut listing would have done without
}

// cutting says whether the server starts a page where it is told to.
type cutting uint8

const (
	untried cutting = iota
	onTrial
	allowed
	useless
)

func newPool(first *span, prefix string, pageSize int) *pool {
	p := &pool{prefix: prefix, spans: []*span{first}, perPage: float64(pageSize)}
	if pageSize <= 0 {
		p.perPage = 1000
	}
	p.moved = sync.NewCond(&p.mu)
	return p
}

// stop ends all waiting.
func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.moved.Broadcast()
}

// take waits for something to do: a span to be walked, or, with ask, one about
// whose directory the names are to be asked for and told to learn. Both are nil
// when all is over.
func (p *pool) take() (walk, ask *span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.stopped && len(p.spans) > 0 {
		if walk, ask = p.cut(); walk != nil || ask != nil {
			return walk, ask
		}
		p.moved.Wait()
	}
	return nil, nil
}

// spared reports whether one more cut keeps within what may be spent on cuts.
func (p *pool) spared() bool { return p.extras+len(p.spans) < 200+p.pages/12 }

// cut cuts the span with the largest rest.
func (p *pool) cut() (walk, ask *span) {
	for p.cuts != useless && p.cuts != onTrial && p.spared() {
		var largest *span
		most := float64(minRest)
		for _, s := range p.spans {
			if s.taken || s.stuck || s.pos == "" {
				continue
			}
			if digests, behind := s.rest(p.perPage, p.prefix); digests+behind >= most {
				largest, most = s, digests+behind
			}
		}
		if largest == nil {
			return nil, nil
		}
		at, names := largest.where(p.perPage, !p.mute, p.prefix)
		if names {
			largest.taken = true
			p.extras++
			return nil, largest
		}
		if at = between(at, largest.pos, largest.until); at != "" {
			return p.split(largest, at), nil
		}
		largest.stuck = true
	}
	return nil, nil
}

// split cuts a span. The first cut is on trial: until the upper part has shown
// that the server begins where it is told to, the lower part stays whole.
func (p *pool) split(s *span, at string) *span {
	upper := s.split(at, p.perPage, p.prefix)
	if p.cuts == untried {
		p.cuts, upper.trial, s.taken = onTrial, s, true
	} else {
		s.until = at
	}
	p.spans = append(p.spans, upper)
	return upper
}

// refuse gives up a span that was on trial, and all cutting.
func (p *pool) refuse(s *span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts, s.trial.taken = useless, false
	p.finish(s)
}

func (p *pool) finish(s *span) {
	if s.after != "" {
		p.extras++
	}
	p.spans = slices.DeleteFunc(p.spans, func(other *span) bool { return other == s })
	p.moved.Broadcast()
}

// bounds returns the ends of a span as they are now.
func (p *pool) bounds(s *span) (after, until string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.after, s.until
}

// advance takes in a page of a span, cuts off what is another's, and reports
// whether the span goes on. It comes before anything of the page is used, so
// that no cut lies behind what was handed over.
func (p *pool) advance(s *span, g *page) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.moved.Broadcast()
	if s.trial != nil && !p.prove(s) {
		g.objects = nil
		p.finish(s)
		return false
	}
	p.pages++
	s.pages++
	s.stuck = false
	s.token = g.token
	over := g.upTo(s.until)
	p.see(s, g.objects)
	if over || !g.truncated {
		p.finish(s)
		return false
	}
	return true
}

// see moves the span behind the last of the objects, and notes what they show.
func (p *pool) see(s *span, objects []object) {
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
	s.hex = findHexes(objects)
}

// prove ends the trial of a span whose first page has come. It reports whether
// the span is still wanted: the lower part may have gone past the cut.
func (p *pool) prove(s *span) bool {
	lower := s.trial
	p.cuts, s.trial, lower.taken = allowed, nil, false
	if !slices.Contains(p.spans, lower) || lower.pos >= s.after {
		return false
	}
	lower.until = s.after
	return true
}

// learn takes in the names that lie ahead of a span; nil means that asking
// for them leads nowhere.
func (p *pool) learn(s *span, n *names) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.moved.Broadcast()
	s.taken = false
	if n == nil {
		p.mute = true
		return
	}
	s.names = n
}

// probe asks which directories lie ahead in a span's directory. It returns nil where
// the answer is of no use: probes decide where a listing is cut and never what is
// there, so that none of their errors matters.
func (l *listing) probe(s *span, p *pool) *names {
	q := p.question(s)
	var g page
	r := request{prefix: l.root + q.folder, delimiter: true, max: l.pageSize}
	if q.after != "" {
		r.after = l.root + q.after
	}
	if err := l.Reader.page(l.ctx, r, &g); err != nil {
		return nil
	}
	n := &names{folder: q.folder, more: g.truncated, keys: q.keys}
	for _, prefix := range g.prefixes {
		if name := prefix[min(len(l.root), len(prefix)):]; name > q.pos {
			n.list = append(n.list, name)
		}
	}
	n.passed = len(g.prefixes) - len(n.list) + 1
	if !slices.IsSorted(n.list) || n.more && len(n.list) == 0 {
		return nil
	}
	return n
}

// question is what is to be asked about a span.
type question struct {
	folder string // whose directories
	after  string // from where on: where the last page began, so that its names are counted
	pos    string // where those begin that lie ahead
	keys   int    // between the two
}

func (p *pool) question(s *span) question {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := question{folder: s.folder, pos: s.pos, keys: s.keys}
	child := childDir(s.folder, s.from)
	if child == "" {
		child = childDir(s.folder, s.pos)
	}
	if child != "" {
		q.after = child[:len(child)-1] + "0"
	}
	return q
}

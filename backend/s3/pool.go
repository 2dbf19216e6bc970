package s3

import (
	"slices"
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
// whose folder the names are to be asked for and told to learn. Both are nil
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

package s3

import (
	"slices"
	"strings"
)

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

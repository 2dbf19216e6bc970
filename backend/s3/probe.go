package s3

import "slices"

// probe asks which folders lie ahead in a span's folder. It returns nil where
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
	folder string // whose folders
	after  string // from where on: where the last page began, so that its names are counted
	pos    string // where those begin that lie ahead
	keys   int    // between the two
}

func (p *pool) question(s *span) question {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := question{folder: s.folder, pos: s.pos, keys: s.keys}
	child := childFolder(s.folder, s.from)
	if child == "" {
		child = childFolder(s.folder, s.pos)
	}
	if child != "" {
		q.after = child[:len(child)-1] + "0"
	}
	return q
}

package s3

import "regfsck/backend"

// flush fetches what has to be, and hands over all batches.
func (g *grouping) flush(l *listing) error {
	l.proofs.note(g)
	l.counts.proven.Add(int64(g.proven))
	if err := g.fetch(l); err != nil {
		return err
	}
	l.delivery.Lock()
	defer l.delivery.Unlock()
	for _, b := range g.batches {
		n := b.from
		for i := b.from; i < b.to; i++ {
			if !g.gone[i] {
				g.items[n] = g.items[i]
				n++
			}
		}
		if err := l.hand(b.dir, g.items[b.from:n], b.faults); err != nil {
			return err
		}
	}
	return nil
}

// hand calls each, as often as it takes. The caller sees to it that nobody else
// does.
func (l *listing) hand(dir string, items []backend.Item, faults []backend.Fault) error {
	for len(items)+len(faults) > 0 {
		n, m := min(len(items), maxBatch), min(len(faults), maxBatch)
		if err := l.ctx.Err(); err != nil {
			return err
		}
		l.seen = true
		if err := l.each(backend.Batch{Dir: dir, Items: items[:n:n], Faults: faults[:m:m]}); err != nil {
			return err
		}
		items, faults = items[n:], faults[m:]
	}
	return nil
}

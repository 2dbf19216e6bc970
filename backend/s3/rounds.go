package s3

import "context"

// deletion is versions to be deleted for several owners in two rounds: what must
// go last goes only where all else of its owner went.
type deletion struct {
	first, last part
}

type part struct {
	targets []target
	owners  []int
}

func (p *part) add(owner int, key string, h history) {
	for _, v := range h {
		p.targets, p.owners = append(p.targets, target{key, v.id}), append(p.owners, owner)
	}
}

func (d *deletion) add(owner int, key string, first, last history) {
	d.first.add(owner, key, first)
	d.last.add(owner, key, last)
}

// run deletes all, and returns the owners of what couldn't be deleted.
func (d *deletion) run(ctx context.Context, s *Store) map[int]error {
	failed := map[int]error{}
	for _, p := range []part{d.first, d.last} {
		var rest part
		for n, t := range p.targets {
			if failed[p.owners[n]] == nil {
				rest.targets, rest.owners = append(rest.targets, t), append(rest.owners, p.owners[n])
			}
		}
		for n, v := range s.delete(ctx, rest.targets) {
			if v.err != nil {
				failed[rest.owners[n]] = v.err
			}
		}
	}
	return failed
}

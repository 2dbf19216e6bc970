package graph

// dominators finds for every vertex of a flow the last one before it that all
// paths from vertex 0 to it have in common: Lengauer's and Tarjan's way, in time
// that hardly grows faster than the edges, whatever their form. The edges of v are
// to[first[v]:first[v+1]], and every vertex must be reachable from 0.
//
// It returns the vertices in an order in which each stands behind its dominator,
// and, for each place in that order, the place of the dominator.
func dominators(first, to []uint32) (order, by []uint32) {
	d := depthFirst(first, to)
	preds, before := d.predecessors(first, to)
	n := len(d.order)
	by = make([]uint32, n)
	bucket, next := filled(n), filled(n) // those whose semidominator is there, as lists
	for w := uint32(n) - 1; w > 0 && n > 0; w-- {
		for _, v := range preds[before[w]:before[w+1]] {
			d.semi[w] = min(d.semi[w], d.semi[d.best(v)])
		}
		next[w], bucket[d.semi[w]] = bucket[d.semi[w]], w
		parent := d.parent[w]
		d.above[w] = parent
		for v := bucket[parent]; v != none; v = next[v] {
			by[v] = parent
			if u := d.best(v); d.semi[u] < d.semi[v] {
				by[v] = u
			}
		}
		bucket[parent] = none
	}
	for w := 1; w < n; w++ {
		if by[w] != d.semi[w] {
			by[w] = by[by[w]]
		}
	}
	return d.order, by
}

// dominating is the state of dominators. All but number is by place in order.
type dominating struct {
	order  []uint32 // vertices as they are first met
	number []uint32 // by vertex: its place in order
	parent []uint32 // from where it was met
	semi   []uint32
	label  []uint32
	above  []uint32 // in the forest of those that are done; none at its tops
	path   []uint32
}

// filled returns an array of none.
func filled(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = none
	}
	return all
}

// depthFirst goes through the graph depth first.
func depthFirst(first, to []uint32) *dominating {
	n := len(first) - 1
	d := &dominating{number: filled(n), above: filled(n)}
	type step struct{ vertex, from uint32 }
	for todo := []step{{0, 0}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if d.number[s.vertex] != none {
			continue
		}
		at := uint32(len(d.order))
		d.number[s.vertex] = at
		d.order, d.parent = append(d.order, s.vertex), append(d.parent, s.from)
		d.semi, d.label = append(d.semi, at), append(d.label, at)
		for _, v := range to[first[s.vertex]:first[s.vertex+1]] {
			if d.number[v] == none {
				todo = append(todo, step{v, at})
			}
		}
	}
	return d
}

// predecessors turns the edges around, and names them by places.
func (d *dominating) predecessors(first, to []uint32) (preds, before []uint32) {
	preds, before = make([]uint32, len(to)), make([]uint32, len(d.order)+1)
	for _, v := range to {
		before[d.number[v]+1]++
	}
	for i := range d.order {
		before[i+1] += before[i]
	}
	at := append([]uint32(nil), before...)
	for u, number := range d.number {
		for _, v := range to[first[u]:first[u+1]] {
			w := d.number[v]
			preds[at[w]] = number
			at[w]++
		}
	}
	return preds, before
}

// best returns, of those above v in the forest, and v, the one with the least
// semidominator, and shortens the way there.
func (d *dominating) best(v uint32) uint32 {
	if d.above[v] == none {
		return d.label[v]
	}
	d.path = d.path[:0]
	for u := v; d.above[d.above[u]] != none; u = d.above[u] {
		d.path = append(d.path, u)
	}
	for i := len(d.path) - 1; i >= 0; i-- {
		u := d.path[i]
		a := d.above[u]
		if d.semi[d.label[a]] < d.semi[d.label[u]] {
			d.label[u] = d.label[a]
		}
		d.above[u] = d.above[a]
	}
	return d.label[v]
}

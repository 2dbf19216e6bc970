package plan

import "regfsck/graph"

// Removal returns what the plan takes away as a removal that has a plan, so that
// it can be judged again: exactly this goes, where it still may. It is for plans
// that were made under a removal.
func (p *Plan) Removal() *graph.Removal {
	r := &graph.Removal{Repositories: map[string]string{}, Planned: make(map[string]graph.ID, len(p.Steps))}
	for i := range p.Steps {
		s := &p.Steps[i]
		id, ok := graph.ParseID(s.Finding)
		if !ok || s.Op != Remove {
			continue
		}
		r.Planned[s.Key] = id
		if id == graph.RepositoryRemoved {
			r.Repositories[s.Repository] = ""
		}
	}
	return r
}

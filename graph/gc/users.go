package gc

import "regfsck/graph"

// Users is what a judgement notes of who refers to what.
type Users struct {
	Last      []uint32     // by id: the last repository that referred to it, plus one
	Several   graph.Bitset // by id: more than one does
	Total     []int64      // by repository: bytes of all that it refers to
	Pinned    graph.Bitset // by repository: nothing of it is removed but its tags
	uncertain graph.Bitset // by repository: nobody knows what one of its tags means, so no manifest of it is removed
}

func NewUsers(ids, repositories int) *Users {
	return &Users{
		Last: make([]uint32, ids), Several: graph.NewBitset(ids),
		Total: make([]int64, repositories), Pinned: graph.NewBitset(repositories), uncertain: graph.NewBitset(repositories),
	}
}

// use notes which repository refers to id. Repositories are judged one after the
// other, so the last one that did says whether this one already has.
func (u *Users) use(m *RepositoryMarks, id uint32) {
	if u.Last[id] == m.Mark {
		return
	}
	if u.Last[id] != 0 {
		u.Several.Add(id)
	}
	u.Last[id] = m.Mark
	if m.g.Present(id) {
		u.Total[m.CurrentID] += m.g.SizeOf(id)
	}
}

// OwnedBy reports whether only that repository refers to id.
func (u *Users) OwnedBy(repository, id uint32) bool {
	return u.Last[id] == repository+1 && !u.Several.Has(id)
}

// AllStays reports whether no manifest of a repository is removed, whatever tag does.
func (u *Users) AllStays(repository uint32) bool {
	return u.Pinned.Has(repository) || u.uncertain.Has(repository)
}

package gc

import "regfsck/graph"

// Users records which repositories refer to which blobs.
type Users struct {
	Last      []uint32     // by id: the last repository that referred to it, plus one
	Several   graph.Bitset // by id: more than one refers to it
	Total     []int64      // by repository: bytes of all that it refers to
	Pinned    graph.Bitset // by repository: it is pinned
	uncertain graph.Bitset // by repository: one of its tags is ambiguous, so no manifest of it is removed
}

func NewUsers(ids, repositories int) *Users {
	return &Users{
		Last: make([]uint32, ids), Several: graph.NewBitset(ids),
		Total: make([]int64, repositories), Pinned: graph.NewBitset(repositories), uncertain: graph.NewBitset(repositories),
	}
}

// use records that the current repository refers to id. Repositories are marked in order, so
// the last one shows whether this one was recorded.
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

// KeepsAll reports whether no manifest of a repository is removed, even if tags are.
func (u *Users) KeepsAll(repository uint32) bool {
	return u.Pinned.Has(repository) || u.uncertain.Has(repository)
}

package graph

// usage is what a judgement notes of who refers to what.
type usage struct {
	last      []uint32 // by id: the last repository that referred to it, plus one
	several   bitset   // by id: more than one does
	total     []int64  // by repository: bytes of all that it refers to
	pinned    bitset   // by repository: nothing of it goes but its tags
	uncertain bitset   // by repository: nobody knows what one of its tags means, so no manifest of it goes
}

func newUsage(ids, repositories int) *usage {
	return &usage{
		last: make([]uint32, ids), several: newBitset(ids),
		total: make([]int64, repositories), pinned: newBitset(repositories), uncertain: newBitset(repositories),
	}
}

// use notes which repository refers to id. Repositories are judged one after the
// other, so the last one that did says whether this one already has.
func (m *marks) use(id uint32) {
	u := m.usage
	if u.last[id] == m.mark {
		return
	}
	if u.last[id] != 0 {
		u.several.add(id)
	}
	u.last[id] = m.mark
	if m.present(id) {
		u.total[m.ri] += m.sizeOf(id)
	}
}

// ownedBy reports whether only that repository refers to id.
func (u *usage) ownedBy(repository, id uint32) bool {
	return u.last[id] == repository+1 && !u.several.has(id)
}

// allStays reports whether no manifest of a repository goes, whatever tag does.
func (u *usage) allStays(repository uint32) bool {
	return u.pinned.has(repository) || u.uncertain.has(repository)
}

// refer marks id as referred to by the repository.
func (m *marks) refer(id uint32) {
	m.referenced.add(id)
	if m.usage != nil {
		m.use(id)
	}
}

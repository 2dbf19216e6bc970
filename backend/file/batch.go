package file

import "regfsck/backend"

// batchSize is how many items or faults a batch has at most.
const batchSize = 512

// arena is how much room for bodies is made at once.
const arena = 64 << 10

// batch gathers items of one folder. Its memory is used again, but for the one
// string that holds the names.
type batch struct {
	dir    string
	names  []byte
	ends   []int // where each item's name ends in names
	items  []backend.Item
	faults []backend.Fault
	bodies []byte
}

func (b *batch) full() bool { return len(b.items) >= batchSize || len(b.faults) >= batchSize }

// add takes in an item, whose name is the parts put together.
func (b *batch) add(item backend.Item, name ...string) {
	for _, part := range name {
		b.names = append(b.names, part...)
	}
	b.ends = append(b.ends, len(b.names))
	b.items = append(b.items, item)
}

// space returns n bytes for a body. They are the batch's until it is reset.
func (b *batch) space(n int) []byte {
	if cap(b.bodies)-len(b.bodies) < n {
		b.bodies = make([]byte, 0, max(n, arena))
	}
	at := len(b.bodies)
	b.bodies = b.bodies[:at+n]
	return b.bodies[at : at+n : at+n]
}

// seal returns what was gathered.
func (b *batch) seal() backend.Batch {
	names, from := string(b.names), 0
	for i, end := range b.ends {
		b.items[i].Name = names[from:end]
		from = end
	}
	return backend.Batch{Dir: b.dir, Items: b.items, Faults: b.faults}
}

// reset forgets what was gathered.
func (b *batch) reset() {
	clear(b.items)
	clear(b.faults)
	b.names, b.ends, b.items, b.faults, b.bodies = b.names[:0], b.ends[:0], b.items[:0], b.faults[:0], b.bodies[:0]
}

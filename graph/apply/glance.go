package apply

import (
	"bytes"
	"io"

	"regfsck/backend/statedir"
)

// ends is how many bytes of a journal are read at each of its ends.
const ends = 1 << 14

// glance reads of a journal how its run began and how far it has come, and
// neither intents nor receipts: a state directory holds years of runs, and what
// became of most of them is settled. A short journal it reads whole, and one
// that doesn't end as it should.
func glance(state, id string) (*past, error) {
	p := newPast(state, id)
	if !p.glance() {
		return readPast(state, id)
	}
	p.intents, p.at, p.receipts = nil, nil, nil
	return p, nil
}

// glance reports whether both ends of a long journal are as they should be, and
// takes in what they say.
func (p *past) glance() bool {
	dir, err := statedir.OpenBelow(p.state, runsName, p.id)
	if err != nil {
		return false
	}
	defer dir.Close()
	f, err := dir.Read(journalName)
	if err != nil {
		return false
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size <= 2*ends {
		return false
	}
	head, tail := make([]byte, ends), make([]byte, ends)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	if _, err := f.ReadAt(tail, size-ends); err != nil {
		return false
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	_, rest, _ := bytes.Cut(tail, []byte("\n"))
	rest, whole := bytes.CutSuffix(rest, []byte("\n"))
	before := int64(0) // the number of the line before
	for i, line := range append([][]byte{first}, bytes.Split(rest, []byte("\n"))...) {
		var s sealed
		if !whole || !s.read(line) || i > 1 && before > 0 && s.Number != before+1 {
			return false
		}
		before = s.Number
		p.take(&s.record)
	}
	return !p.begin.Time.IsZero()
}

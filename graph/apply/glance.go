package apply

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
)

// ends is how many bytes of a journal are read at each of its ends.
const ends = 1 << 14

// glance reads of a journal how its run began and how far it has come, and
// neither intents nor receipts: a state folder holds years of runs, and what
// became of most of them is settled. A short journal it reads whole, and one
// that doesn't end as it should.
func glance(state, id string) (*past, error) {
	p := &past{id: id, dir: runDir(state, id), at: map[change]int{}, receipts: map[string]receipt{}}
	f, err := os.Open(filepath.Join(p.dir, journalName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size <= 2*ends {
		return readPast(state, id)
	}
	head, tail := make([]byte, ends), make([]byte, ends)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(tail, size-ends); err != nil {
		return nil, err
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	_, rest, _ := bytes.Cut(tail, []byte("\n"))
	rest, whole := bytes.CutSuffix(rest, []byte("\n"))
	for _, line := range append([][]byte{first}, bytes.Split(rest, []byte("\n"))...) {
		var r record
		if !whole || json.Unmarshal(line, &r) != nil {
			return readPast(state, id)
		}
		p.take(&r)
	}
	if p.begin.Time.IsZero() {
		return readPast(state, id)
	}
	p.intents, p.at, p.receipts = nil, nil, nil
	return p, nil
}

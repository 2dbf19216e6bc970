package apply

import (
	"bytes"
	"fmt"

	"regfsck/backend/words"
)

// sector is the least that a disk writes, and so how large a hole is at least.
const sector = 512

// damages are the lines of a journal that are missing or aren't what was written.
type damages struct {
	sealed   bool // a line with a seal was read: from then on all have one
	first    int64
	hole     bool // what is bad at this place is zeros: what wasn't synced before a power failure
	gaps     []gap
	declared map[lines]bool // those that a run had noted as lost when it went on
}

// gap is some lines that are missing, in one place.
type gap struct {
	lines
	hole bool
}

// bad notes that the n-th line of the file isn't what was written. It reports
// whether that is damage for certain.
func (d *damages) bad(n int64, line []byte) bool {
	if d.first == 0 {
		d.first = n
	}
	if bytes.Contains(line, make([]byte, sector)) {
		d.hole = true
		return false
	}
	return true
}

// gap notes which lines are missing before the n-th of the file, a whole one: none
// where To is the line before From. If it is less, that line was there already.
func (d *damages) gap(n int64, missing lines) {
	switch {
	case missing.From <= missing.To:
		d.gaps = append(d.gaps, gap{missing, d.hole})
	case missing.To < missing.From-1:
		d.gaps = append(d.gaps, gap{lines{n, n}, false})
	case d.first > 0 && !d.hole: // something that was no line
		d.gaps = append(d.gaps, gap{lines{d.first, d.first}, false})
	}
	d.first, d.hole = 0, false
}

// tail notes what is bad behind the last whole line. Zeros there were never
// relied on.
func (d *damages) tail() {
	if d.first > 0 && !d.hole {
		d.gaps = append(d.gaps, gap{lines{d.first, d.first}, false})
	}
}

// judge tells holes that a crash left, in what nothing had relied on, from damage,
// which it describes.
func (d *damages) judge(synced int64) (holes []lines, damage string) {
	more := 0
	for _, g := range d.gaps {
		switch {
		case d.declared[g.lines]:
		case g.hole && g.From > synced:
			holes = append(holes, g.lines)
		case damage != "":
			more++
		case g.From == g.To:
			damage = fmt.Sprintf("line %d of its journal is damaged", g.From)
		default:
			damage = fmt.Sprintf("lines %d to %d of its journal are damaged or missing", g.From, g.To)
		}
	}
	if more > 0 {
		damage += ", and others in " + words.Plural(more, "place", "places")
	}
	return holes, damage
}

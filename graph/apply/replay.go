package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"regfsck/backend/statedir"
	"regfsck/backend/words"
	"regfsck/graph/plan"
)

// past is what a journal says of its run.
type past struct {
	id       string
	state    string
	dir      string // of the run, for people
	begin    begin
	intents  []intent           // the first one of each change, in their order
	at       map[change]int     // where they are among intents
	receipts map[string]receipt // by what they are about, as plan.FullKey names it
	end      *end
	undo     bool // an undo was begun
	undone   bool // and came to its end
	purging  bool // a purge was begun: a part of what was kept may be gone
	purge    bool // and has given up all

	seal   seal    // of the last line
	size   int64   // up to the end of the last line
	length int64   // of the journal, as it was read
	holes  []lines // that a crash left, and nobody has noted so far
	damage string  // what is wrong with the journal, "" for nothing
}

// change is what an intent is for.
type change struct {
	op     plan.Op
	target string // plan.FullKey's
}

func newPast(state, id string) *past {
	return &past{id: id, state: state, dir: runDir(state, id), at: map[change]int{}, receipts: map[string]receipt{}}
}

// readPast reads the journal of a run. It may end anywhere, in the middle of a
// line too: what follows the last whole line was never relied on. What is damaged
// otherwise leaves out no more than itself, and past.damage says so. The error is
// fs.ErrNotExist where there is no run, or one that ended before it had a journal.
func readPast(state, id string) (*past, error) {
	p := newPast(state, id)
	dir, err := statedir.OpenBelow(state, runsName, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		p.begin, p.damage = guessed(id), "its directory can't be opened: "+cause(err).Error()
		return p, nil
	}
	defer dir.Close()
	all, err := readAll(dir)
	keeps, lookErr := dir.Has(keptName)
	switch {
	case errors.Is(err, fs.ErrNotExist) && lookErr == nil && !keeps:
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		p.damage = "its journal is missing"
	case err != nil:
		p.damage = "its journal can't be read: " + cause(err).Error()
	default:
		p.read(all)
	}
	if p.damage == "" && p.begin.Time.IsZero() && (keeps || lookErr != nil || p.seal.last > 0) {
		p.damage = "the beginning of its journal is missing"
	}
	if p.damage != "" && p.begin.Time.IsZero() {
		p.begin = guessed(id)
	}
	return p, nil
}

// guessed is the beginning of a run of which only the id is known.
func guessed(id string) begin {
	at, _ := time.Parse(idTime, id[:min(len(id), len(idTime))])
	return begin{Keep: true, Time: at}
}

func readAll(dir *statedir.Dir) ([]byte, error) {
	f, err := dir.Read(journalName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// read reads the lines of a journal.
func (p *past) read(all []byte) {
	p.length = int64(len(all))
	d := damages{declared: map[lines]bool{}}
	for n, at := int64(1), int64(0); len(all) > 0; n++ {
		line, rest, whole := bytes.Cut(all, []byte("\n"))
		all, at = rest, at+int64(len(line))+1
		if !whole {
			break
		}
		var s sealed
		if !s.read(line) || s.Number == 0 && d.sealed {
			if d.bad(n, line) {
				p.size = at
			}
			continue
		}
		if d.sealed = s.Number > 0; !d.sealed {
			s.Number = n
		}
		d.gap(n, lines{p.seal.last + 1, s.Number - 1})
		p.seal.last, p.seal.synced, p.size = max(p.seal.last, s.Number), max(p.seal.synced, s.Synced), at
		if s.Lost != nil {
			d.declared[*s.Lost] = true
		}
		p.take(&s.record)
	}
	d.tail()
	p.seal.told = p.seal.synced
	p.holes, p.damage = d.judge(p.seal.synced)
	if p.damage == "" && len(p.holes) > 0 && !p.answered() {
		p.damage = fmt.Sprintf("lines %d to %d of its journal are missing, and later ones rest on them", p.holes[0].From, p.holes[0].To)
		p.holes = nil
	}
}

// answered reports whether each receipt has its intent. An intent is on the disk before
// anything is done for it: where it is missing, a hole is none that a crash left.
func (p *past) answered() bool {
	for target := range p.receipts {
		if !p.meant(plan.Remove, target) && !p.meant(plan.Write, target) && !p.meant(plan.Abort, target) {
			return false
		}
	}
	return true
}

func (p *past) take(r *record) {
	switch {
	case r.Begin != nil:
		p.begin = *r.Begin
	case r.Intent != nil:
		p.end = nil // it was resumed
		c := change{r.Intent.Op, r.Intent.target()}
		if _, ok := p.at[c]; !ok {
			p.at[c] = len(p.intents)
			p.intents = append(p.intents, *r.Intent)
		}
	case r.Receipt != nil:
		p.receipts[r.Receipt.target()] = *r.Receipt
	case r.End != nil:
		p.end = r.End
	case r.Undo != nil:
		p.undo = true
	case r.Undone != nil:
		p.undone = true
	case r.Purging != nil:
		p.purging = true
	case r.Purge != nil:
		p.purge = true
	}
}

// status says how far the run has come.
func (p *past) status() Status {
	switch {
	case p.purge:
		return Purged
	case p.undone:
		return Undone
	case p.undo:
		return Undoing
	case p.purging:
		return PartlyPurged
	case p.end == nil:
		return Unfinished
	case p.end.Interrupted:
		return Interrupted
	}
	return Done
}

// open reports whether the run was interrupted, or had to leave directories that may be
// empty, and nobody has finished or undone it since. undone are the later runs
// that were undone: what one of them has finished is open again. A run whose
// journal is damaged is nobody's to go on with: what it left is garbage at worst,
// and never a reference to what is gone.
func (p *past) open(undone map[string]bool) bool {
	if p.damage != "" {
		return false
	}
	switch p.status() {
	case Unfinished, Interrupted:
		return true
	case Done:
		return p.end.Folders || undone[p.end.By]
	}
	return false
}

// meant reports whether the run was about to make a change, and may have made it.
func (p *past) meant(op plan.Op, target string) bool {
	_, ok := p.at[change{op, target}]
	return ok
}

// removed reports whether the run took a file away, or may have.
func (p *past) removed() bool {
	return slices.ContainsFunc(p.intents, func(i intent) bool {
		return i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.receipts[i.Key].Err == ""
	})
}

// unfinishedRuns are, of all runs, the newest first, those that nobody has finished or
// undone since. A run that came to its end has finished all before it; one that
// was undone, or purged half-way, has not.
func unfinishedRuns(all []*past) (open []*past) {
	undone := map[string]bool{}
	for _, p := range all {
		if p.undone {
			undone[p.id] = true
		}
		switch {
		case p.open(undone):
			open = append(open, p)
		case p.damage == "" && !p.undone && p.end != nil && !p.end.Interrupted:
			return open
		}
	}
	return open
}

// readUnfinished is brokenOff with all that the journals say.
func readUnfinished(state string, all []*past) (open []*past, err error) {
	for _, p := range unfinishedRuns(all) {
		if p, err = readPast(state, p.id); err != nil {
			return nil, err
		}
		if p.damage == "" { // a glance doesn't see all damage
			open = append(open, p)
		}
	}
	return open, nil
}

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

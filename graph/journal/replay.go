package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/backend/statedir"
	"regfsck/backend/words"
	"regfsck/graph/plan"
)

// Run is what a journal says of its run.
type Run struct {
	ID         string
	State      string
	Dir        string // of the run, for people
	Begin      Begin
	Intents    []Intent            // the first one for each operation on a key, in their order
	indexes    map[plan.StepID]int // of Intents
	Receipts   map[string]Receipt  // by full key
	End        *End
	UndoBegun  bool   // an undo was begun
	Undone     bool   // and has ended
	PurgeBegun bool   // a purge was begun: a part of what was kept may be given up
	Purged     bool   // and has given up all
	Damage     string // what is wrong with the journal, "" for nothing

	seal   seal    // of the last line
	size   int64   // up to the end of the last line
	length int64   // of the journal, as it was read
	holes  []Lines // that a crash left, and nobody has noted so far
}

// New returns a run without a journal so far.
func New(state, id string) *Run {
	return &Run{ID: id, State: state, Dir: Dir(state, id), indexes: map[plan.StepID]int{}, Receipts: map[string]Receipt{}}
}

// Extent is how much of a journal is read.
type Extent bool

// The extents. A state directory holds years of runs, and what became of most of them
// is known: of a run of 100,000 steps the two ends, 32 KB, are read in a millisecond,
// and all of it in seconds (BenchmarkRead).
const (
	Whole Extent = false
	// Ends says how the run began and how far it has come, and knows neither intents
	// nor receipts. A short journal is read whole, and so is one that doesn't begin
	// and end as it should. Not all damage is seen.
	Ends Extent = true
)

// endSize is how many bytes of a journal are read at each of its ends.
const endSize = 1 << 14

// Read reads the journal of a run. It may end anywhere, in the middle of a
// line too: what follows the last whole line was never relied on. What is damaged
// otherwise leaves out no more than itself, and Damage says so. The error is
// fs.ErrNotExist where there is no run, or one that ended before it had a journal.
func Read(state, id string, of Extent) (*Run, error) {
	p := New(state, id)
	dir, err := statedir.OpenBelow(state, RunsName, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		p.Begin, p.Damage = guessed(id), "its directory can't be opened: "+backend.Cause(err).Error()
		return p, nil
	}
	defer dir.Close()
	if of == Ends && p.readEnds(dir) {
		return p, nil
	}
	p = New(state, id)
	err = p.readAll(dir)
	keeps, lookErr := dir.Has(keptName)
	switch {
	case errors.Is(err, fs.ErrNotExist) && lookErr == nil && !keeps:
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		p.Damage = "its journal is missing"
	case err != nil:
		p.Damage = "its journal can't be read: " + backend.Cause(err).Error()
	}
	if p.Damage == "" && p.Begin.Time.IsZero() && (keeps || lookErr != nil || p.seal.last > 0) {
		p.Damage = "the beginning of its journal is missing"
	}
	if p.Damage != "" && p.Begin.Time.IsZero() {
		p.Begin = guessed(id)
	}
	return p, nil
}

// guessed is the beginning of a run of which only the id is known.
func guessed(id string) Begin {
	at, _ := time.Parse(idTime, id[:min(len(id), len(idTime))])
	return Begin{Keep: true, Time: at}
}

// readEnds reads both ends of a long journal, and reports whether they are as they
// should be.
func (p *Run) readEnds(dir *statedir.Dir) bool {
	f, err := dir.Read(FileName)
	if err != nil {
		return false
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size <= 2*endSize {
		return false
	}
	head, tail := make([]byte, endSize), make([]byte, endSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false
	}
	if _, err := f.ReadAt(tail, size-endSize); err != nil {
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
		p.take(&s.Record)
	}
	p.Intents, p.indexes, p.Receipts = nil, nil, nil
	return !p.Begin.Time.IsZero()
}

// readAll reads all lines of the journal.
func (p *Run) readAll(dir *statedir.Dir) error {
	f, err := dir.Read(FileName)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	p.length = int64(len(all))
	d := damages{declared: map[Lines]bool{}}
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
		d.gap(n, Lines{p.seal.last + 1, s.Number - 1})
		p.seal.last, p.seal.synced, p.size = max(p.seal.last, s.Number), max(p.seal.synced, s.Synced), at
		if s.Lost != nil {
			d.declared[*s.Lost] = true
		}
		p.take(&s.Record)
	}
	d.tail()
	p.seal.told = p.seal.synced
	p.holes, p.Damage = d.judge(p.seal.synced)
	if p.Damage == "" && len(p.holes) > 0 && !p.receiptsHaveIntents() {
		p.Damage = fmt.Sprintf("lines %d to %d of its journal are missing, and later ones rest on them", p.holes[0].From, p.holes[0].To)
		p.holes = nil
	}
	return nil
}

// receiptsHaveIntents reports whether each receipt has its intent. An intent is on the disk before
// anything is done for it: where it is missing, a hole is none that a crash left.
func (p *Run) receiptsHaveIntents() bool {
	for target := range p.Receipts {
		if !p.Intended(plan.Remove, target) && !p.Intended(plan.Write, target) && !p.Intended(plan.Abort, target) {
			return false
		}
	}
	return true
}

func (p *Run) take(r *Record) {
	switch {
	case r.Begin != nil:
		p.Begin = *r.Begin
	case r.Intent != nil:
		p.End = nil // it was resumed
		c := plan.StepID{Op: r.Intent.Op, Key: r.Intent.FullKey()}
		if _, ok := p.indexes[c]; !ok {
			p.indexes[c] = len(p.Intents)
			p.Intents = append(p.Intents, *r.Intent)
		}
	case r.Receipt != nil:
		p.Receipts[r.Receipt.FullKey()] = *r.Receipt
	case r.End != nil:
		p.End = r.End
	case r.Undo != nil:
		p.UndoBegun = true
	case r.Undone != nil:
		p.Undone = true
	case r.Purging != nil:
		p.PurgeBegun = true
	case r.Purge != nil:
		p.Purged = true
	}
}

// Status says how far the run has come.
func (p *Run) Status() Status {
	switch {
	case p.Purged:
		return Purged
	case p.Undone:
		return Undone
	case p.UndoBegun:
		return Undoing
	case p.PurgeBegun:
		return PartlyPurged
	case p.End == nil:
		return Unfinished
	case p.End.Interrupted:
		return Interrupted
	}
	return Done
}

// isUnfinished reports whether the run was interrupted, or had to leave directories that may be
// empty, and nobody has finished or undone it since. undone are the later runs
// that were undone: what one of them has finished is open again. A run whose
// journal is damaged is not continued: what it left is garbage at worst,
// and never a reference to what was removed. One whose journal has no line yet has
// changed nothing.
func (p *Run) isUnfinished(undone map[string]bool) bool {
	if p.Damage != "" || p.Begin.Time.IsZero() {
		return false
	}
	switch p.Status() {
	case Unfinished, Interrupted:
		return true
	case Done:
		return p.End.Directories || undone[p.End.By]
	}
	return false
}

// Intended reports whether the run was about to make a change, and may have made it.
func (p *Run) Intended(op plan.Op, key string) bool {
	_, ok := p.indexes[plan.StepID{Op: op, Key: key}]
	return ok
}

// RemovedFiles reports whether the run removed a file, or may have.
func (p *Run) RemovedFiles() bool {
	return slices.ContainsFunc(p.Intents, func(i Intent) bool {
		return i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.Receipts[i.Key].Err == ""
	})
}

// unfinishedRuns are, of all runs, the newest first, those that nobody has finished or
// undone since. A run that has ended has finished all before it; one that
// was undone, or purged half-way, has not.
func unfinishedRuns(all []*Run) (open []*Run) {
	undone := map[string]bool{}
	for _, p := range all {
		if p.Undone {
			undone[p.ID] = true
		}
		switch {
		case p.isUnfinished(undone):
			open = append(open, p)
		case p.Damage == "" && !p.Undone && p.End != nil && !p.End.Interrupted:
			return open
		}
	}
	return open
}

// ReadUnfinished is unfinishedRuns with all that the journals say.
func ReadUnfinished(state string, all []*Run) (open []*Run, err error) {
	for _, p := range unfinishedRuns(all) {
		if p, err = Read(state, p.ID, Whole); err != nil {
			return nil, err
		}
		if p.Damage == "" { // the ends don't show all damage
			open = append(open, p)
		}
	}
	return open, nil
}

// sector is the least that a disk writes, and so how large a hole is at least.
const sector = 512

// damages are the lines of a journal that are missing or aren't what was written.
type damages struct {
	sealed   bool // a line with a seal was read: from then on all have one
	first    int64
	hole     bool // what is bad at this place is zeros: what wasn't synced before a power failure
	gaps     []gap
	declared map[Lines]bool // those that a run had noted as lost when it went on
}

// gap is some lines that are missing, in one place.
type gap struct {
	Lines
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
func (d *damages) gap(n int64, missing Lines) {
	switch {
	case missing.From <= missing.To:
		d.gaps = append(d.gaps, gap{missing, d.hole})
	case missing.To < missing.From-1:
		d.gaps = append(d.gaps, gap{Lines{n, n}, false})
	case d.first > 0 && !d.hole: // something that was no line
		d.gaps = append(d.gaps, gap{Lines{d.first, d.first}, false})
	}
	d.first, d.hole = 0, false
}

// tail notes what is bad behind the last whole line. Zeros there were never
// relied on.
func (d *damages) tail() {
	if d.first > 0 && !d.hole {
		d.gaps = append(d.gaps, gap{Lines{d.first, d.first}, false})
	}
}

// judge distinguishes holes that a crash left, in what nothing had relied on, from damage,
// which it describes.
func (d *damages) judge(synced int64) (holes []Lines, damage string) {
	more := 0
	for _, g := range d.gaps {
		switch {
		case d.declared[g.Lines]:
		case g.hole && g.From > synced:
			holes = append(holes, g.Lines)
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

// BegunFor reports whether the run was about to do something for a step.
func (p *Run) BegunFor(s *plan.Step) bool {
	if p.Intended(s.Op, s.FullKey()) {
		return true
	}
	for i := range p.Intents {
		if p.Intents[i].Step == s.Key {
			return true
		}
	}
	return false
}

// UnlinkedBlobs is how many digests lost a link to the run.
func (p *Run) UnlinkedBlobs() int {
	lost := map[string]bool{}
	for _, i := range p.Intents {
		if i.Op == plan.Remove && i.Content != "" {
			lost[i.Digest] = true
		}
	}
	return len(lost)
}

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

// Run is the content of a run's journal.
type Run struct {
	ID         string
	State      string
	Dir        string // of the run, for people
	Begin      Begin
	Intents    []Intent            // the first one of each operation on a key, in order
	indexes    map[plan.StepID]int // of Intents
	Receipts   map[string]Receipt  // by full key
	End        *End
	UndoBegun  bool   // an undo has begun
	Undone     bool   // and has ended
	PurgeBegun bool   // a purge has begun: some quarantined objects may be deleted
	Purged     bool   // and has given up all
	Damage     string // what is wrong with the journal, "" for nothing

	seal   seal    // of the last line
	size   int64   // up to the end of the last line
	length int64   // of the journal, as it was read
	holes  []Lines // lost by a crash and not yet recorded
}

// New returns a run without a journal.
func New(state, id string) *Run {
	return &Run{ID: id, State: state, Dir: Dir(state, id), indexes: map[plan.StepID]int{}, Receipts: map[string]Receipt{}}
}

// Extent is how much of a journal is read.
type Extent bool

// The extents. A state directory contains the runs of years, most of which are finished: the two
// ends of a journal, 32 KB, are read in a millisecond; all of it, with 100,000 steps, in
// seconds (BenchmarkRead).
const (
	Whole Extent = false
	// Ends reads how the run began and its status, and not all intents and receipts. A short
	// journal, and one with unexpected ends, is read whole. It doesn't detect all damage.
	Ends Extent = true
)

// endSize is the number of bytes read at each end.
const endSize = 1 << 14

// Read reads the journal of a run. It may end anywhere, also within a line: nothing depends
// on a partial last line. Other damage affects only its own lines and is described in Damage.
// The error is fs.ErrNotExist if there is no run or it has no journal yet.
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

// guessed returns the beginning of a run of which only the id is known.
func guessed(id string) Begin {
	at, _ := time.Parse(idTime, id[:min(len(id), len(idTime))])
	return Begin{Keep: true, Time: at}
}

// readEnds reads both ends of a long journal, and reports whether they are as expected.
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
	before := int64(0) // the number of the previous line
	for i, line := range append([][]byte{first}, bytes.Split(rest, []byte("\n"))...) {
		var s sealed
		if !whole || !s.read(line) || i > 1 && before > 0 && s.Number != before+1 {
			return false
		}
		before = s.Number
		p.take(&s.Record)
	}
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

// receiptsHaveIntents reports whether each receipt has its intent. Intents are synced before
// the change, so if one is missing, the hole isn't from a crash.
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

// Status returns the status of the run.
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

// isUnfinished reports whether the run was interrupted, or left directories that may be
// empty, and was neither finished nor undone since. undone are later runs that were undone:
// runs that they finished are unfinished again. A run with a damaged journal isn't continued:
// it left garbage at worst, never a reference to something removed. A run without a line in
// its journal changed nothing.
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

// Intended reports whether the run has an intent for a change.
func (p *Run) Intended(op plan.Op, key string) bool {
	_, ok := p.indexes[plan.StepID{Op: op, Key: key}]
	return ok
}

// RemovedFiles reports whether the run has intents to remove files.
func (p *Run) RemovedFiles() bool {
	return slices.ContainsFunc(p.Intents, func(i Intent) bool {
		return i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.Receipts[i.Key].Err == ""
	})
}

// unfinishedRuns returns the unfinished runs, newest first. A run that ended has finished all
// runs before it, unless it was undone or partly purged.
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

// ReadUnfinished is unfinishedRuns with the whole journals.
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

// sector is the least size of a hole.
const sector = 512

// damages are the missing and damaged lines of a journal.
type damages struct {
	sealed   bool // a sealed line was read: all later ones must be sealed
	first    int64
	hole     bool // the damage at this place is zeros: lost by a power failure before a sync
	gaps     []gap
	declared map[Lines]bool // that a run recorded as lost when it was resumed
}

// gap is a range of missing lines.
type gap struct {
	Lines
	hole bool
}

// bad records that the n-th line of the file is damaged. It reports whether that is certain.
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

// gap records which lines are missing before the n-th of the file; none if To is the line
// before From. If To is less, a line was repeated.
func (d *damages) gap(n int64, missing Lines) {
	switch {
	case missing.From <= missing.To:
		d.gaps = append(d.gaps, gap{missing, d.hole})
	case missing.To < missing.From-1:
		d.gaps = append(d.gaps, gap{Lines{n, n}, false})
	case d.first > 0 && !d.hole: // something that isn't a line
		d.gaps = append(d.gaps, gap{Lines{d.first, d.first}, false})
	}
	d.first, d.hole = 0, false
}

// tail records damage after the last complete line. Nothing depends on zeros there.
func (d *damages) tail() {
	if d.first > 0 && !d.hole {
		d.gaps = append(d.gaps, gap{Lines{d.first, d.first}, false})
	}
}

// judge separates holes of a crash, on which nothing depended, from damage, which it
// describes.
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

// BegunFor reports whether the run has an intent for a step.
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

// UnlinkedBlobs returns the number of digests whose links the run removed.
func (p *Run) UnlinkedBlobs() int {
	lost := map[string]bool{}
	for _, i := range p.Intents {
		if i.Op == plan.Remove && i.Content != "" {
			lost[i.Digest] = true
		}
	}
	return len(lost)
}

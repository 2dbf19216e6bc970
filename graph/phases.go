package graph

import (
	"time"
)

// Progress is told how far a check is. Calls may come at once from several
// goroutines.
type Progress interface {
	Phase(name string)          // a new phase begins
	Total(n int64, unit string) // how much there is to do in it; "bytes" or a plural of things
	Add(n int64)                // so much more is done
	Ended(Phase)                // the phase has ended without an error
}

// Phase is a phase that has ended.
type Phase struct {
	Name     string
	Count    int64
	Unit     string
	Duration time.Duration
}

// Quiet is a Progress that shows nothing.
type Quiet struct{}

// Phase, Total, Add and Ended are Progress's.
func (Quiet) Phase(string)        {}
func (Quiet) Total(int64, string) {}
func (Quiet) Add(int64)           {}
func (Quiet) Ended(Phase)         {}

// phases are the phases of a reading: those that have ended, and how far the one under way
// is.
type phases struct {
	shown  Progress  // is told how far they are
	opened time.Time // when the first began
	ended  []Phase
	name   string // of the phase under way
	unit   string // of what it counts, "" before that is known
	extent int64  // how much there is of it, as far as is known
	Count  int64  // how much of it is done
}

// ShowOn has progress be told from now on; nil is nobody.
func (p *phases) ShowOn(progress Progress) {
	if p.shown = progress; progress == nil {
		p.shown = Quiet{}
	}
}

// Phases are those that have ended so far.
func (p *phases) Phases() []Phase { return p.ended }

// run carries one phase out and notes its outcome.
func (p *phases) run(name, unit string, do func() error) error {
	began := time.Now()
	p.name, p.unit, p.extent, p.Count = name, "", 0, 0
	p.shown.Phase(name)
	err := do()
	ended := Phase{name, p.Count, unit, time.Since(began)}
	if p.Count > 0 || name != "verify" {
		p.ended = append(p.ended, ended)
	}
	if err == nil {
		p.shown.Ended(ended)
	}
	return err
}

// now is the time, by the clock of the one who asked for the reading at the time asked.
func (p *phases) now(asked time.Time) time.Time { return asked.Add(time.Since(p.opened)) }

// more says that the phase has n more to do than was known before; below 0:
// nobody knows how many. Where it turns to things of another unit, counting
// begins anew.
func (p *phases) more(n int64, unit string) {
	if p.unit != unit && p.unit != "" {
		p.shown.Phase(p.name)
		p.extent = 0
	}
	p.unit, p.extent = unit, p.extent+n
	p.shown.Total(p.extent, unit)
}

// add counts n more as done.
func (p *phases) add(n int64) {
	p.Count += n
	p.shown.Add(n)
}

package graph

import (
	"time"
)

// Progress shows the progress of a check. Calls may come from several goroutines at once.
type Progress interface {
	Phase(name string)          // a new phase begins
	Total(n int64, unit string) // amount of work in the phase; unit is "bytes" or a plural
	Add(n int64)                // n more are done
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

// Methods of Progress.
func (Quiet) Phase(string)        {}
func (Quiet) Total(int64, string) {}
func (Quiet) Add(int64)           {}
func (Quiet) Ended(Phase)         {}

// phases records the phases of a scan: those that have ended, and the current one.
type phases struct {
	shown  Progress  // displays them
	opened time.Time // when the first one began
	ended  []Phase
	name   string // of the current phase
	unit   string // of its count, "" if unknown
	extent int64  // the amount of work, as far as is known
	Count  int64  // of it that is done
}

// ShowOn sets the display; nil for none.
func (p *phases) ShowOn(progress Progress) {
	if p.shown = progress; progress == nil {
		p.shown = Quiet{}
	}
}

// Phases returns the phases that have ended.
func (p *phases) Phases() []Phase { return p.ended }

// run executes one phase and records it.
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

// now returns the present time relative to the scan's time asked.
func (p *phases) now(asked time.Time) time.Time { return asked.Add(time.Since(p.opened)) }

// more adds n to the phase's amount of work; below 0, it is unknown. With another unit,
// counting restarts.
func (p *phases) more(n int64, unit string) {
	if p.unit != unit && p.unit != "" {
		p.shown.Phase(p.name)
		p.extent = 0
	}
	p.unit, p.extent = unit, p.extent+n
	p.shown.Total(p.extent, unit)
}

// add counts n as done.
func (p *phases) add(n int64) {
	p.Count += n
	p.shown.Add(n)
}

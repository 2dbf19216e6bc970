package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// eraseLine empties the terminal's present line.
const eraseLine = "\r\x1b[2K"

// Progress shows how far a run has come: as a bar on a terminal, elsewhere as a line now
// and then, which is rarer the longer a phase takes. All methods may be called from any goroutine. Add costs
// no more than an atomic addition, so it may be called for every file.
type Progress struct {
	out      io.Writer
	terminal bool
	width    int
	done     atomic.Int64
	stop     chan struct{}
	stopped  sync.WaitGroup
	close    sync.Once

	mu    sync.Mutex // of all below, and of out
	began time.Time  // the phase
	name  string
	unit  string
	total int64
	bar   *progressbar.ProgressBar
	drawn bool // something stands in the terminal's last line

	// Off a terminal, in looks at the numbers:
	waited, distance int
	tenth            int64 // of the total, at the last line
}

// farthest is how many looks lie between two lines at most: ten minutes, of five seconds
// each.
const farthest = 120

// The usual times between two looks at the numbers.
const (
	BarEvery  = 100 * time.Millisecond
	LineEvery = 5 * time.Second
)

// NewProgress returns a Progress that writes to out every so often, until Close; never by
// itself where that is 0. The width is the terminal's, in columns; 0 when unknown.
func NewProgress(out io.Writer, terminal bool, width int, every time.Duration) *Progress {
	if width <= 0 {
		width = 80
	}
	p := &Progress{out: out, terminal: terminal, width: width, total: -1, stop: make(chan struct{})}
	if every == 0 {
		return p
	}
	p.stopped.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.look()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// Phase begins a new phase. Nothing is known of its extent yet.
func (p *Progress) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.name, p.unit, p.total, p.began = name, "", -1, time.Now()
	p.waited, p.distance, p.tenth = 0, 1, 0
	p.done.Store(0)
}

// Total says how many of what the phase will go through; below 0: unknown. It
// may be called again when more has become known.
func (p *Progress) Total(n int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.total, p.unit = max(n, -1), unit
}

// Add says that n more are done.
func (p *Progress) Add(n int64) { p.done.Add(n) }

// Say writes a line, above the bar if there is one.
func (p *Progress) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, line)
}

// Answer writes where the run stands whenever somebody asks, until Close.
func (p *Progress) Answer(asked <-chan os.Signal) {
	p.stopped.Go(func() {
		for {
			select {
			case <-asked:
				p.stand()
			case <-p.stop:
				return
			}
		}
	})
}

// stand writes the present state in a line of its own.
func (p *Progress) stand() {
	p.mu.Lock()
	name, done, total, unit, began := p.name, p.done.Load(), p.total, p.unit, p.began
	p.mu.Unlock()
	if name != "" {
		took := time.Since(began)
		p.Say("regfsck: " + name + reached(done, total, unit) + pace(done, total, unit, took) + "; this phase began " + Span(took) + " ago")
	}
}

// paceAfter is how long a phase has to take before it is said how fast it is.
const paceAfter = 10 * time.Second

// pace says how fast a phase is, and how long the rest of it takes at that pace; "" where
// that isn't known yet.
func pace(done, total int64, unit string, took time.Duration) string {
	if took < paceAfter || done <= 0 {
		return ""
	}
	each := float64(done) / took.Seconds()
	s := ", " + Number(int64(each)) + " a second"
	if unit == "bytes" {
		s = ", " + Size(int64(each)) + " a second"
	}
	if left := float64(total-done) / each; total > done && left < math.MaxInt64/float64(time.Second) {
		s += ", " + Span(time.Duration(left*float64(time.Second))) + " left"
	}
	return s
}

// Close ends the showing and clears the bar. It may be called again.
func (p *Progress) Close() {
	p.close.Do(func() {
		close(p.stop)
		p.stopped.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clear()
	})
}

// look writes the present state: on a terminal each time, elsewhere at distances that
// double, and whenever another tenth is done, so that a log of hours stays short.
func (p *Progress) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name == "" {
		return
	}
	if p.terminal {
		p.show()
		return
	}
	tenth := int64(0)
	if p.total > 0 {
		tenth = 10 * min(p.done.Load(), p.total) / p.total
	}
	if p.waited++; p.waited < p.distance && tenth == p.tenth {
		return
	}
	p.show()
	p.waited, p.distance, p.tenth = 0, min(2*p.distance, farthest), tenth
}

// show writes the present state.
func (p *Progress) show() {
	done := p.done.Load()
	words := p.name + reached(done, p.total, p.unit)
	switch {
	case !p.terminal:
		fmt.Fprintf(p.out, "regfsck: %s%s\n", words, pace(done, p.total, p.unit, time.Since(p.began)))
	case p.total == 0:
	case p.width < barWidth:
		p.drawn = true
		fmt.Fprint(p.out, eraseLine+words[:min(len(words), p.width-1)])
	default:
		p.drawn = true
		if p.bar == nil {
			p.bar = newBar(p.out, p.name, p.total, p.unit, p.width)
		}
		if p.total > 0 {
			done = min(done, p.total-1)
		}
		p.bar.Set64(done)
	}
}

// clear takes what was drawn off the screen.
func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, eraseLine)
	}
	p.bar, p.drawn = nil, false
}

// barWidth is how many columns a bar with its numbers needs; a narrower terminal
// is shown words.
const barWidth = 80

// reached says in words what a bar shows.
func reached(done, total int64, unit string) string {
	number := Number[int64]
	if unit == "bytes" {
		number, unit = Size, ""
	}
	s := ": " + number(done)
	if total > 0 {
		s += " of " + number(total)
	}
	if unit != "" {
		s += " " + unit
	}
	if total > 0 {
		s += fmt.Sprintf(" (%d %%)", 100*min(done, total)/total)
	}
	return s
}

// newBar returns a bar that fits into one line of at least barWidth columns.
func newBar(out io.Writer, name string, total int64, unit string, width int) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(min(max(width-len(name)-65, 6), 40)),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionShowCount(),
	}
	if unit == "bytes" {
		options = append(options, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true))
	} else if width >= 110 {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	return progressbar.NewOptions64(total, options...)
}

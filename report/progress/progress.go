// Package progress shows the progress of a run: as a bar in the last line of a terminal, or
// as occasional lines in a log.
package progress

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"regfsck/backend/words"
	"regfsck/graph"
)

// eraseLine clears the current line of a terminal.
const eraseLine = "\r\x1b[2K"

// Display shows the progress of a run: on a terminal in its last line, with a line above for
// each completed phase; elsewhere as lines, which become rarer the longer a phase takes.
// Methods may be called from any goroutine. Add is an atomic addition, so it may be called
// for every file.
type Display struct {
	out      io.Writer
	terminal bool
	silent   bool // shows progress only on request
	width    int
	done     atomic.Int64
	stop     chan struct{}
	stopped  sync.WaitGroup
	close    sync.Once

	mu    sync.Mutex // protects all below, and out
	names []string   // of the expected phases
	stay  time.Duration
	began time.Time // the start of the phase
	name  string    // "" between phases
	unit  string
	total int64
	drawn bool // the last line of the terminal isn't empty
	frame int  // of the animation of a phase with unknown total

	// Without a terminal, in intervals:
	waited, distance int
	tenth            int64 // of the total, at the last line
}

// farthest is the most intervals between two lines: ten minutes, at five seconds each.
const farthest = 120

// Default intervals.
const (
	BarEvery  = 100 * time.Millisecond
	LineEvery = 5 * time.Second
)

// firstLook is the longest time before progress is first shown.
const firstLook = 1500 * time.Millisecond

// New returns a Display that writes to out in intervals of every until Close, first earlier;
// with 0, only on request. width is the terminal's, in columns; 0 if unknown.
func New(out io.Writer, terminal bool, width int, every time.Duration) *Display {
	if width <= 0 {
		width = 80
	}
	p := &Display{out: out, terminal: terminal, silent: every == 0, width: width, total: -1, stop: make(chan struct{})}
	if every == 0 {
		return p
	}
	p.stopped.Go(func() {
		next := time.NewTimer(min(every, firstLook))
		defer next.Stop()
		seen := false
		for {
			select {
			case <-next.C:
				if seen = p.look() || seen; seen {
					next.Reset(every)
				} else { // it was between two phases
					next.Reset(min(every, BarEvery))
				}
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// Expect sets the expected phases, to show each with its number. Phases of at least stay
// leave a line on a terminal.
func (p *Display) Expect(stay time.Duration, names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stay, p.names = stay, names
}

// Phase begins a phase, or restarts the current one, with unknown total.
func (p *Display) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != name {
		p.finish()
	}
	p.clear()
	p.name, p.unit, p.total, p.began = name, "", -1, time.Now()
	p.waited, p.distance, p.tenth = 0, 1, 0
	p.done.Store(0)
}

// Total sets the amount of work of the phase; below 0: unknown. It may be called again.
func (p *Display) Total(n int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.total, p.unit = max(n, -1), unit
}

// Add counts n more as done.
func (p *Display) Add(n int64) { p.done.Add(n) }

// Ended records that a phase has ended.
func (p *Display) Ended(phase graph.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.name = ""
	p.ended(phase)
}

// finish ends the current phase without Ended.
func (p *Display) finish() {
	if n := p.done.Load(); p.name != "" && n > 0 {
		p.clear()
		p.ended(graph.Phase{Name: p.name, Count: n, Unit: p.unit, Duration: time.Since(p.began)})
	}
	p.name = ""
}

// ended leaves a line for a phase on a terminal.
func (p *Display) ended(phase graph.Phase) {
	if p.silent || !p.terminal || phase.Duration < p.stay {
		return
	}
	form := "  %-8s%-11s  %20s  %11s"
	if p.width < 60 {
		form = "  %s%s  %s  %s"
	}
	fmt.Fprintln(p.out, clipped(fmt.Sprintf(form, p.number(phase.Name), phase.Name, Counted(phase), words.Span(phase.Duration)), p.width))
}

// number returns the number of a phase, as text; "" if it wasn't expected.
func (p *Display) number(name string) string {
	at := slices.Index(p.names, name)
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d  ", at+1, len(p.names))
}

// Say writes a line, above the bar if there is one.
func (p *Display) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.out, line)
}

// Answer writes the progress for each value of asked, until Close.
func (p *Display) Answer(asked <-chan os.Signal) {
	p.stopped.Go(func() {
		for {
			select {
			case <-asked:
				p.report()
			case <-p.stop:
				return
			}
		}
	})
}

// report writes the progress on a line of its own.
func (p *Display) report() {
	p.mu.Lock()
	name, done, total, unit, began := p.name, p.done.Load(), p.total, p.unit, p.began
	number := strings.TrimSpace(p.number(name))
	p.mu.Unlock()
	if name != "" {
		took := time.Since(began)
		if number != "" {
			number += ", "
		}
		p.Say("regfsck: " + number + name + reached(done, total, unit) + pace(done, total, unit, took) + "; this phase began " + words.Span(took) + " ago")
	}
}

// paceAfter is how long a phase must take before its pace is shown.
const paceAfter = 10 * time.Second

// pace describes the rate of a phase and the time that the rest needs at that rate; "" if
// unknown.
func pace(done, total int64, unit string, took time.Duration) string {
	if took < paceAfter || done <= 0 {
		return ""
	}
	each := float64(done) / took.Seconds()
	s := ", " + words.Number(int64(each)) + " a second"
	if unit == "bytes" {
		s = ", " + words.Size(int64(each)) + " a second"
	}
	if left := float64(total-done) / each; total > done && left < math.MaxInt64/float64(time.Second) {
		s += ", " + words.Span(time.Duration(left*float64(time.Second))) + " left"
	}
	return s
}

// Close ends the display and clears the last line. It may be called again.
func (p *Display) Close() {
	p.close.Do(func() {
		close(p.stop)
		p.stopped.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.finish()
		p.clear()
	})
}

// look writes the progress: on a terminal each time, elsewhere at intervals that double, and
// after each tenth, so that long logs stay short. It reports whether a phase is in progress.
func (p *Display) look() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name == "" {
		return false
	}
	if p.terminal {
		p.show()
		return true
	}
	tenth := int64(0)
	if p.total > 0 {
		tenth = 10 * min(p.done.Load(), p.total) / p.total
	}
	if p.waited++; p.waited < p.distance && tenth == p.tenth {
		return true
	}
	p.show()
	p.waited, p.distance, p.tenth = 0, min(2*p.distance, farthest), tenth
	return true
}

// show writes the progress.
func (p *Display) show() {
	done, took := p.done.Load(), time.Since(p.began)
	if !p.terminal {
		number := p.number(p.name)
		if number != "" {
			number = strings.TrimSpace(number) + ", "
		}
		fmt.Fprintf(p.out, "regfsck: %s%s%s%s\n", number, p.name, reached(done, p.total, p.unit), pace(done, p.total, p.unit, took))
		return
	}
	if p.total == 0 {
		return
	}
	p.drawn = true
	p.frame++
	fmt.Fprint(p.out, eraseLine+p.line(done, took))
}

// line returns the last line of a terminal: the progress in words, and a bar in the rest of
// the width.
func (p *Display) line(done int64, took time.Duration) string {
	head := "  " + p.number(p.name) + p.name
	tail := strings.TrimPrefix(reached(done, p.total, p.unit), ": ") + pace(done, p.total, p.unit, took)
	room := p.width - 1 - len(head) - len(tail) - len("  ||  ") // the last column would wrap on some terminals
	if room < minBar {
		return clipped(head+"  "+tail, p.width)
	}
	return head + "  |" + p.bar(done, room) + "|  " + tail
}

// minBar is the least width of a bar.
const minBar = 6

// bar returns a bar of that width for the share that is done; if the total is unknown, it is
// animated. The library draws only the bar.
func (p *Display) bar(done int64, width int) string {
	const piece = 3
	if p.total <= 0 {
		from := p.frame % (2 * (width - piece))
		from = min(from, 2*(width-piece)-from)
		return strings.Repeat(" ", from) + strings.Repeat("█", piece) + strings.Repeat(" ", width-from-piece)
	}
	var drawn strings.Builder
	bar := progressbar.NewOptions64(p.total,
		progressbar.OptionSetWriter(&drawn), progressbar.OptionSetWidth(width),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: " ", BarStart: "|", BarEnd: "|"}),
	)
	_ = bar.Set64(min(done, p.total)) // the library refuses more than the total
	_, rest, _ := strings.Cut(drawn.String(), "|")
	if full, _, ok := strings.Cut(rest, "|"); ok {
		return full
	}
	return strings.Repeat(" ", width) // the library draws nothing below one percent
}

// clipped cuts a line to less than the terminal's width.
func clipped(line string, width int) string { return line[:min(len(line), width-1)] }

// clear erases what was drawn.
func (p *Display) clear() {
	if p.drawn {
		fmt.Fprint(p.out, eraseLine)
	}
	p.drawn = false
}

// reached describes progress in words.
func reached(done, total int64, unit string) string {
	number := words.Number[int64]
	if unit == "bytes" {
		number, unit = words.Size, ""
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

// Counted describes the amount of a phase.
func Counted(p graph.Phase) string {
	switch p.Unit {
	case "":
		return ""
	case "bytes":
		return words.Size(p.Count)
	}
	if p.Count == 1 { // all units are regular plurals
		return "1 " + strings.TrimSuffix(p.Unit, "s")
	}
	return words.Number(p.Count) + " " + p.Unit
}

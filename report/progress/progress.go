// Package progress shows how far a run has come while it works: as a bar in the last line
// of a terminal, or as a line now and then in a log.
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

// eraseLine empties the terminal's present line.
const eraseLine = "\r\x1b[2K"

// Display shows how far a run has come: on a terminal in its last line, above which a line
// stays for each phase that has ended; elsewhere in a line now and then, which is rarer the
// longer a phase takes. All methods may be called from any goroutine. Add costs
// no more than an atomic addition, so it may be called for every file.
type Display struct {
	out      io.Writer
	terminal bool
	silent   bool // nothing is shown by itself
	width    int
	done     atomic.Int64
	stop     chan struct{}
	stopped  sync.WaitGroup
	close    sync.Once

	mu    sync.Mutex // of all below, and of out
	names []string   // of the phases that are expected
	stay  time.Duration
	began time.Time // the phase
	name  string    // "" between phases
	unit  string
	total int64
	drawn bool // the terminal's last line is not empty
	frame int  // of the animation of a phase whose extent is unknown

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

// firstLook is how long the first look at the numbers is waited for at most: who waits for
// a run sees within two seconds that it is at work.
const firstLook = 1500 * time.Millisecond

// New returns a Progress that writes to out every so often, until Close, for the
// first time soon; never by itself where that is 0. The width is the terminal's, in columns; 0 when unknown.
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

// Expect says which phases there will be, so that each is shown with its number. Those that
// took at least as long as stay leave a line on a terminal.
func (p *Display) Expect(stay time.Duration, names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stay, p.names = stay, names
}

// Phase begins a new phase, or the one under way anew. Nothing is known of its extent yet.
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

// Total says how many of what the phase will go through; below 0: unknown. It
// may be called again when more has become known.
func (p *Display) Total(n int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.total, p.unit = max(n, -1), unit
}

// Add says that n more are done.
func (p *Display) Add(n int64) { p.done.Add(n) }

// Ended says that a phase has ended, and what it went through.
func (p *Display) Ended(phase graph.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.name = ""
	p.ended(phase)
}

// finish ends the present phase, for which Ended was not called.
func (p *Display) finish() {
	if n := p.done.Load(); p.name != "" && n > 0 {
		p.clear()
		p.ended(graph.Phase{Name: p.name, Count: n, Unit: p.unit, Duration: time.Since(p.began)})
	}
	p.name = ""
}

// ended leaves a line of a phase on a terminal.
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

// number says the how manyth phase it is; "" for one that wasn't expected.
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

// Answer writes how far the run has come, each time that it is asked, until Close.
func (p *Display) Answer(asked <-chan os.Signal) {
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
func (p *Display) stand() {
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

// paceAfter is how long a phase has to take before it is said how fast it is.
const paceAfter = 10 * time.Second

// pace says how fast a phase is, and how long the rest of it takes at that pace; "" where
// that isn't known yet.
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

// Close ends the showing and clears the last line. It may be called again.
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

// look writes the present state: on a terminal each time, elsewhere at distances that
// double, and whenever another tenth is done, so that a log of hours stays short. It
// reports whether there was anything to look at.
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

// show writes the present state.
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

// line is the terminal's last line, as wide as the terminal: what is done in words, and a
// bar in the rest.
func (p *Display) line(done int64, took time.Duration) string {
	head := "  " + p.number(p.name) + p.name
	tail := strings.TrimPrefix(reached(done, p.total, p.unit), ": ") + pace(done, p.total, p.unit, took)
	room := p.width - 1 - len(head) - len(tail) - len("  ||  ") // the last column would wrap on some terminals
	if room < minBar {
		return clipped(head+"  "+tail, p.width)
	}
	return head + "  |" + p.bar(done, room) + "|  " + tail
}

// minBar is how many columns a bar has at least.
const minBar = 6

// bar is a bar of that width which shows the share that is done; where the extent is
// unknown, a block moves in it. The library draws the bar alone: the words are in line.
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
	_ = bar.Set64(min(done, p.total)) // more than the total is an error to it, which draws nothing
	_, rest, _ := strings.Cut(drawn.String(), "|")
	if full, _, ok := strings.Cut(rest, "|"); ok {
		return full
	}
	return strings.Repeat(" ", width) // below the first percent it draws nothing
}

// clipped is a line of ours that is narrower than a terminal.
func clipped(line string, width int) string { return line[:min(len(line), width-1)] }

// clear takes what was drawn off the screen.
func (p *Display) clear() {
	if p.drawn {
		fmt.Fprint(p.out, eraseLine)
	}
	p.drawn = false
}

// reached says in words what a bar shows.
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

// Counted writes what a phase went through.
func Counted(p graph.Phase) string {
	switch p.Unit {
	case "":
		return ""
	case "bytes":
		return words.Size(p.Count)
	}
	if p.Count == 1 { // all units are plain plurals
		return "1 " + strings.TrimSuffix(p.Unit, "s")
	}
	return words.Number(p.Count) + " " + p.Unit
}

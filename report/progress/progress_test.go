package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"regfsck/graph"
)

// seen is a writer that signals writes.
type seen struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{}
}

func newSeen() *seen { return &seen{wrote: make(chan struct{}, 1)} }

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return s.buf.Write(p)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func TestProgressWritesLinesOffATerminal(t *testing.T) {
	out := newSeen()
	p := New(out, false, 0, time.Millisecond)
	p.Phase("hash")
	p.Total(2048, "bytes")
	p.Add(1024)
	for !strings.Contains(out.String(), "regfsck: hash: 1.0 KiB of 2.0 KiB (50 %)\n") {
		<-out.wrote
	}
	p.Phase("links")
	p.Total(-1, "links")
	p.Add(7000)
	for !strings.Contains(out.String(), "regfsck: links: 7,000 links\n") {
		<-out.wrote
	}
	p.Close()
	p.Close()
	if strings.ContainsAny(out.String(), "\x1b\r") {
		t.Errorf("a log got the letters of a terminal: %q", out.String())
	}
}

// TestTheFirstLineIsSoon: the first progress comes before the usual interval.
func TestTheFirstLineIsSoon(t *testing.T) {
	out := newSeen()
	p := New(out, false, 0, time.Hour)
	defer p.Close()
	p.Phase("links")
	p.Add(7000)
	for !strings.Contains(out.String(), "regfsck: links: 7,000") {
		<-out.wrote
	}
}

func TestProgressLeavesNoBarOnATerminal(t *testing.T) {
	for _, c := range []struct {
		total int64
		unit  string
		width int
	}{{-1, "bytes", 80}, {-1, "links", 0}, {100, "bytes", 120}, {1 << 40, "bytes", 80}, {100, "links", 80}, {30_000_000, "links", 200}, {30_000_000, "links", 40}, {100, "links", 12}} {
		out := newSeen()
		p := New(out, true, c.width, time.Millisecond)
		p.Phase("links")
		p.Total(c.total, c.unit)
		p.Add(min(c.total, 123456789) / 2)
		for !strings.Contains(out.String(), "links") {
			<-out.wrote
		}
		p.Add(123456789)
		p.Close()
		text := out.String()
		at := strings.LastIndex(text, eraseLine) + len(eraseLine)
		if last := text[at:]; !strings.Contains(last, "  links") || !strings.HasSuffix(last, "\n") || strings.Count(last, "\n") != 1 {
			t.Errorf("%+v: the bar is left on the screen, or no line of the phase: %q", c, text)
		}
		if strings.Contains(text[:at], "\n") {
			t.Errorf("%+v: the bar takes more than its line: %q", c, text)
		}
		for frame := range strings.SplitSeq(text, "\r") {
			frame = strings.NewReplacer("\x1b[2K", "", "\n", "").Replace(frame)
			if n := len([]rune(frame)); n >= max(c.width, 12) && c.width > 0 {
				t.Errorf("%+v: %d columns: %q", c, n, frame)
			}
		}
	}
}

// TestPhasesAreNumbered: each expected phase has its number, also when it restarts with
// another unit; long phases leave a line on a terminal, and none elsewhere or with progress
// on request.
func TestPhasesAreNumbered(t *testing.T) {
	for _, c := range []struct {
		terminal    bool
		every, stay time.Duration
		want        string
	}{
		{true, time.Hour, 0, "  1 of 3  blobs                 1,000 blobs        10 ms\n  2 of 3  links                     7 links        3.0 s\n          other                       1 tag         2 ms\n"},
		{true, time.Hour, time.Second, "  2 of 3  links                     7 links        3.0 s\n"},
		{true, 0, 0, ""},
		{false, time.Hour, 0, ""},
	} {
		var out bytes.Buffer
		p := New(&out, c.terminal, 120, c.every)
		p.Expect(c.stay, "blobs", "links", "judge")
		p.Phase("blobs")
		p.Ended(graph.Phase{Name: "blobs", Count: 1000, Unit: "blobs", Duration: 10 * time.Millisecond})
		p.Phase("links")
		p.Add(3)
		p.Phase("links")
		p.Ended(graph.Phase{Name: "links", Count: 7, Unit: "links", Duration: 3 * time.Second})
		p.Ended(graph.Phase{Name: "other", Count: 1, Unit: "tags", Duration: 2 * time.Millisecond})
		p.Phase("judge") // without any count
		p.Close()
		if out.String() != c.want {
			t.Errorf("%+v:\n%s", c, out.String())
		}
	}
}

// TestTheLastLineIsWhole: the last line has the terminal's width, and the bar shows the
// share.
func TestTheLastLineIsWhole(t *testing.T) {
	for _, c := range []struct {
		width       int
		done, total int64
	}{
		{80, 60_000, 120_000},
		{110, 60_000, 120_000},
		{110, 120_000, 120_000},
		{120, 60_000, -1},
		{12, 60_000, -1},
	} {
		p := New(io.Discard, true, c.width, 0)
		p.Expect(0, "blobs", "links", "judge")
		p.Phase("links")
		p.Total(c.total, "links")
		line := p.line(c.done, time.Minute)
		if n := utf8.RuneCountInString(line); n != c.width-1 {
			t.Errorf("%+v: %d columns: %q", c, n, line)
		}
		if c.total > 0 {
			_, bar, _ := strings.Cut(line, "|")
			bar, _, _ = strings.Cut(bar, "|")
			if n := int64(utf8.RuneCountInString(bar)); n > 0 && int64(strings.Count(bar, "█")) != n*c.done/c.total {
				t.Errorf("%+v: %q", c, line)
			}
		}
		p.Close()
	}
}

func TestProgressFromManyGoroutines(t *testing.T) {
	out := newSeen()
	p := New(out, true, 80, 50*time.Microsecond)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				if i%100 == 0 {
					p.Phase("phase")
					p.Total(int64(i), "links")
				}
				p.Add(3)
			}
		})
	}
	all.Wait()
	p.Close()
	n := len(out.String())
	p.Add(1)
	p.Phase("late")
	p.Total(5, "links")
	if len(out.String()) != n {
		t.Error("something was written after Close")
	}
}

func TestProgressOfNothingIsSilent(t *testing.T) {
	out := newSeen()
	p := New(out, false, 0, time.Hour)
	p.Close()
	if out.String() != "" {
		t.Errorf("%q", out.String())
	}
}

func TestLinesAboveTheBar(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		out := newSeen()
		p := New(out, terminal, 80, time.Millisecond)
		p.Phase("apply")
		p.Total(100, "steps")
		for !strings.Contains(out.String(), "apply") {
			<-out.wrote
		}
		p.Say("regfsck: stopping")
		p.Close()
		before, _, found := strings.Cut(out.String(), "regfsck: stopping\n")
		if want := map[bool]string{false: "\n", true: eraseLine}[terminal]; !found || !strings.HasSuffix(before, want) {
			t.Errorf("terminal %t: %q", terminal, out.String())
		}
	}
}

// TestPace: the rate is shown in words, with the rest.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		unit        string
		took        time.Duration
		want        string
	}{
		{1000, 2000, "links", time.Second, ""},
		{0, 2000, "links", time.Minute, ""},
		{60_000, 180_000, "links", time.Minute, ", 1,000 a second, 2 min 00 s left"},
		{60_000, -1, "links", time.Minute, ", 1,000 a second"},
		{90 << 30, 360 << 30, "bytes", time.Hour, ", 25.6 MiB a second, 3 h 00 min left"},
		{1, 1 << 62, "bytes", time.Hour, ", 0 B a second"},
		{5, 4, "links", time.Minute, ", 0 a second"},
	} {
		if is := pace(c.done, c.total, c.unit, c.took); is != c.want {
			t.Errorf("%+v: %q", c, is)
		}
	}
}

// TestProgressAnswers: progress is printed on request in any mode, and never before there is
// some.
func TestProgressAnswers(t *testing.T) {
	out := newSeen()
	p := New(out, true, 80, 0)
	asked := make(chan os.Signal)
	p.Answer(asked)
	asked <- os.Interrupt
	p.Phase("links")
	p.Total(20, "links")
	p.Add(5)
	asked <- os.Interrupt
	for !strings.Contains(out.String(), " ago\n") {
		<-out.wrote
	}
	p.Close()
	if text := out.String(); !strings.HasPrefix(text, "regfsck: links: 5 of 20 links (25 %); this phase began ") || strings.Count(text, "\n") != 1 {
		t.Errorf("%q", text)
	}
}

// TestLinesOfProgressGrowRarer: without a terminal, lines are rarer the longer a phase takes,
// and each tenth has one. The test controls the intervals.
func TestLinesOfProgressGrowRarer(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, false, 0, 0)
	defer p.Close()
	p.Phase("links")
	p.Total(-1, "links")
	var at []int
	for i := 1; i <= 600; i++ {
		p.Add(1000)
		before := out.Len()
		if p.look(); out.Len() > before {
			at = append(at, i)
		}
	}
	if want := []int{1, 3, 7, 15, 31, 63, 127, 247, 367, 487}; !slices.Equal(at, want) {
		t.Errorf("lines at %v, want %v", at, want)
	}
	if !strings.Contains(out.String(), "regfsck: links: 487,000 links\n") {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	p.Phase("hash")
	p.Total(1000, "blobs")
	for range 100 {
		p.Add(10)
		p.look()
	}
	for tenth := 1; tenth <= 10; tenth++ {
		if line := fmt.Sprintf("(%d %%)\n", 10*tenth); strings.Count(out.String(), line) != 1 {
			t.Errorf("no line at %s:\n%s", line, out.String())
		}
	}
	if n := strings.Count(out.String(), "\n"); n > 20 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

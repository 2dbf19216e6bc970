package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"

	"regfsck/cmd/regfsck/target"
	"regfsck/report"
)

// output is how the answer is to be given.
type output struct {
	json, quiet, progress bool
	text                  report.TextOptions
	workers               int
	paths                 []string
	files                 []*reportFile

	stderr io.Writer
	bar    atomic.Pointer[report.Progress] // what was shown last; nil for nothing
}

// say writes a line about what is waited for to stderr, through the bar if there
// is one. It may be called from any goroutine.
func (o *output) say(line string) {
	line = "regfsck: " + report.Clean(line)
	switch bar := o.bar.Load(); {
	case bar != nil:
		bar.Say(line)
	case !o.quiet:
		fmt.Fprintln(o.stderr, line)
	}
}

func (s *session) outputOf(c *cli.Context) (*output, error) {
	color, err := oneOf(c, "color", colors)
	if err != nil {
		return nil, err
	}
	o := &output{
		json: c.Bool("json"), quiet: c.Bool("quiet"), progress: !c.Bool("no-progress") && !c.Bool("quiet"),
		text: s.text(color), paths: c.StringSlice("report"), stderr: s.stderr,
	}
	if n := c.String("workers"); n != "" {
		if o.workers, err = strconv.Atoi(n); err != nil || o.workers < 1 {
			return nil, misuse(seeHelp(c.Command.Name), "--workers is a number from 1, not %q", n)
		}
	}
	return o, checkForms(o.paths, formsOf(c.Command.Name))
}

// open opens the files of --report, so that a run doesn't end with a report
// that can't be written.
func (o *output) open(t target.Target, follow []string) error {
	for _, path := range o.paths {
		f, err := createReport(path, t, follow)
		if err != nil {
			o.discard()
			return misuse("", "--report %w", err)
		}
		o.files = append(o.files, f)
	}
	return nil
}

// discard removes what was not kept.
func (o *output) discard() {
	for _, f := range o.files {
		f.discard()
	}
}

// progress returns the progress to show, or nil.
func (s *session) progress(o *output) *report.Progress {
	if !o.progress {
		return nil
	}
	columns, terminal := s.terminal(s.stderr)
	every := report.LineEvery
	if terminal {
		every = report.BarEvery
	}
	bar := report.NewProgress(s.stderr, terminal, columns, every)
	o.bar.Store(bar)
	return bar
}

// rendering is an answer in all its forms.
type rendering interface {
	WriteJSON(io.Writer) error
	WriteText(io.Writer, report.TextOptions) error
	WriteVerdict(io.Writer, report.TextOptions) error
}

// tabular is an answer that is a table too.
type tabular interface{ WriteCSV(io.Writer) error }

// deliver writes the answer wherever it was asked for.
func (s *session) deliver(r rendering, exit report.Exit, o *output) error {
	s.exit = exit
	for _, f := range o.files {
		write := r.WriteJSON
		if t, ok := r.(tabular); ok && filepath.Ext(f.path) == ".csv" {
			write = t.WriteCSV
		}
		if err := f.keep(write); err != nil {
			return &failure{exit | report.Incomplete, fmt.Errorf("--report %w", err), ""}
		}
	}
	switch {
	case o.json:
		return s.written(r.WriteJSON(s.stdout))
	case o.quiet:
		return s.written(r.WriteVerdict(s.stdout, o.text))
	}
	return s.written(r.WriteText(s.stdout, o.text))
}

// written says what to make of an error of stdout.
func (s *session) written(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return err
	}
	return &failure{s.exit | report.Incomplete, fmt.Errorf("the answer could not be written to the end: %w", err), ""}
}

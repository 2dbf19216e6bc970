package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/outside"
	"regfsck/cmd/regfsck/pager"
	"regfsck/cmd/regfsck/standing"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/formats"
	"regfsck/report/progress"
	"regfsck/report/view"
)

// output holds the format and the files of the answer.
type output struct {
	json, quiet, progress bool
	form                  string // a format of formats.All for stdout in place of text; or ""
	text                  view.Options
	workers               int
	files                 []*reportFile // of --report
	usage                 bool          // one of the files needs the usage
	phased                bool          // the answer has the phases
	more                  []string      // phases besides those of every scan
	pages                 bool          // a pager may show the text
	asked                 bool          // the answer was asked for: --quiet shortens it and doesn't suppress it

	stderr io.Writer
	bar    atomic.Pointer[progress.Display] // the one in use; nil for none
}

// say writes a line to stderr, through the bar if there is one. It may be called from any
// goroutine.
func (o *output) say(line string) {
	line = "regfsck: " + words.Clean(line)
	switch bar := o.bar.Load(); {
	case bar != nil:
		bar.Say(line)
	case !o.quiet:
		fmt.Fprintln(o.stderr, line)
	}
}

func (s *session) outputOf(c *cli.Context) (*output, error) { return outputFor(s, c, answerOf(c)) }

// outputFor is outputOf for an answer of that type.
func outputFor(s *session, c *cli.Context, answer report.Document) (*output, error) {
	color, err := oneOf(c, "color", colors)
	if err != nil {
		return nil, err
	}
	o := &output{
		json: c.Bool("json"), quiet: c.Bool("quiet"), progress: !c.Bool("no-progress") && !c.Bool("quiet"),
		text: s.text(color), stderr: s.stderr,
	}
	o.pages = !c.Bool("no-pager") && !changes(c)
	switch answer.(type) {
	case *report.Check, *report.Shard, *report.Plan, *report.Run:
		o.phased = true
	}
	o.text.Verbose, o.text.FullPaths = c.Bool("verbose"), c.Bool("full-paths")
	if n := c.String("workers"); n != "" {
		if o.workers, err = strconv.Atoi(n); err != nil || o.workers < 1 {
			return nil, failure.Misuse(seeHelp(c.Command.Name), "--workers is a number from 1, not %q", n)
		}
	}
	o.files, o.usage, err = reportFiles(c.StringSlice("report"), answer)
	return o, err
}

// open creates the files of --report, so that a run doesn't end with a report that can't be
// written.
func (o *output) open(t location.Location, follow []string) error {
	for _, f := range o.files {
		if err := f.Create(t, follow); err != nil {
			o.discard()
			return failure.Misuse("", "--report %w", err)
		}
	}
	return nil
}

// discard removes the files that were not written.
func (o *output) discard() {
	for _, f := range o.files {
		f.Discard()
	}
}

// longPhase is the shortest phase whose end is announced, if the answer doesn't list the
// phases.
const longPhase = time.Second

// progress returns the display of a run's phases: periodic if it was asked for, and once for
// each status signal.
func (s *session) progress(o *output, phases ...string) *progress.Display {
	columns, terminal := columns(&s.world, s.stderr)
	every := progress.LineEvery
	if terminal {
		every = progress.BarEvery
	}
	if !o.progress {
		every = 0
	}
	bar := progress.New(s.stderr, terminal, columns, every)
	stay := longPhase
	if o.phased {
		stay = 0
		o.text.PhasesShown = o.progress && terminal && o.text.Terminal
	}
	bar.Expect(stay, phases...)
	if o.progress {
		o.bar.Store(bar)
	}
	if len(standing.Signals) > 0 {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, standing.Signals...) // never undone: by default the signal ends the process
		bar.Answer(asked)
	}
	return bar
}

// deliver writes the answer to the files of --report and to stdout.
func (s *session) deliver(r report.Document, exit exitcode.Code, o *output) error {
	if err := keepReports(s, r, exit, o); err != nil {
		return err
	}
	return deliverAnswer(s, r, exit, o)
}

// keepReports writes the answer to the files of --report.
func keepReports(s *session, r report.Document, exit exitcode.Code, o *output) error {
	s.exit = exit
	for _, f := range o.files {
		if err := f.Write(f.form.Writer(r)); err != nil { // reportFiles has checked that there is a writer
			return failure.New(exit|exitcode.Incomplete, fmt.Errorf("--report %w", err), "")
		}
	}
	return nil
}

// keepAgain overwrites the files of --report with the changed answer.
func keepAgain(s *session, r report.Document, exit exitcode.Code, o *output) error {
	for _, f := range o.files {
		if err := f.Again(); err != nil {
			return failure.New(exit|exitcode.Incomplete, fmt.Errorf("--report %w", err), "")
		}
	}
	return keepReports(s, r, exit, o)
}

// deliverAnswer writes the answer to stdout.
func deliverAnswer(s *session, r report.Document, exit exitcode.Code, o *output) error {
	s.exit = exit
	switch {
	case o.json:
		return s.written(report.WriteJSON(s.stdout, r))
	case o.form != "":
		return s.written(formats.Renderer(o.form, r)(s.stdout))
	case o.quiet && exit == 0 && !o.asked && silent(r):
		return s.written(nil)
	case o.quiet:
		return s.written(r.Short(o.text).WriteText(s.stdout, o.text))
	}
	return pages(s, o.pages, func(w io.Writer) error { return r.View(o.text).WriteText(w, o.text) })
}

// changes reports whether a command may change a store, and so may ask for confirmation.
func changes(c *cli.Context) bool {
	name := c.Command.Name
	return name == "apply" || name == "purge" || name == "undo" && !c.Bool("list") || c.Bool("apply")
}

// pages writes an answer to stdout, through a pager if paged is set and stdout is a terminal.
// Commands that ask or that change something don't use the pager.
func pages(s *session, paged bool, write func(io.Writer) error) error {
	out, ok := s.stdout.(*os.File)
	if _, terminal := s.terminal(s.stdout); paged && ok && terminal {
		if command := pager.Command(s.environ()); command != "" {
			if p, err := pager.Start(command, out, s.environ()); err == nil {
				return s.written(backend.Join(write(p), p.Close()))
			}
		}
	}
	return s.written(write(s.stdout))
}

// silent reports whether --quiet suppresses an answer, so that a cron job sends no mail when
// all is well.
func silent(r report.Document) bool {
	switch r := r.(type) {
	case *report.Check: // --fail-on never suppresses damage
		return r.Result.Complete && !r.Result.Damaged() && r.Accepted.Expired() == 0
	case *report.Run, *report.Purge, *report.Export:
		return true
	case *report.Plan:
		return len(r.Plan.Steps) == 0
	}
	return false
}

// print writes an answer that is text alone.
func (s *session) print(text string) error {
	_, err := io.WriteString(s.stdout, text)
	return s.written(err)
}

// written records that there was an answer, and returns the failure of writing it.
func (s *session) written(err error) error {
	s.answered = true
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return err
	}
	return failure.New(s.exit|exitcode.Incomplete, fmt.Errorf("the answer could not be written to the end: %w", err), "")
}

// reportFile is a file of --report.
type reportFile struct {
	outside.File
	form formats.Format
}

// answerOf returns an empty answer of the type that a command gives.
func answerOf(c *cli.Context) report.Document {
	switch name := c.Command.Name; {
	case name == "check" && c.IsSet("shard"):
		return &report.Shard{}
	case name == "undo" && c.Bool("list"):
		return &report.Runs{}
	case c.Bool("apply"):
		return &report.Run{}
	case answers[name] != nil:
		return answers[name]
	}
	return &report.Plan{}
}

// answers are empty answers of the commands that don't plan a change.
var answers = map[string]report.Document{
	"check": &report.Check{}, "ls": &report.TagList{}, "why": &report.Why{}, "status": &report.Status{}, "diff": &report.Comparison{}, "export": &report.Export{},
	"apply": &report.Run{}, "undo": &report.Run{}, "purge": &report.Purge{},
	"show": &report.PastRun{}, // runShow calls outputFor when the file is read
}

// reportFiles returns the files of --report. It refuses paths whose extension names no format
// of the answer.
func reportFiles(paths []string, answer report.Document) (files []*reportFile, usage bool, err error) {
	for _, path := range paths {
		f, ok := formats.OfFile(path)
		if !ok || f.Writer(answer) == nil {
			endings := words.All(formats.OfDocument(answer), func(f formats.Format) string { return f.Ext })
			last := len(endings) - 1
			return nil, false, failure.Misuse("", "--report %s: the name's ending selects the report's format, and must be one of %s and %s", path, strings.Join(endings[:last], ", "), endings[last])
		}
		files, usage = append(files, &reportFile{outside.File{Path: path}, f}), usage || f.Usage
	}
	return files, usage, nil
}

// Command regfsck checks and repairs the storage of a Docker/CNCF Distribution
// registry. It is to a registry's files what e2fsck is to a disk.
//
// This package turns arguments into values, joins the phases, and maps the
// outcome to an exit code; it knows nothing of registries. Nothing here ends
// the process but main, and no command looks at anything but its session, so
// that tests run the whole program any number of times in one process.
//
// stdout holds the answer and nothing else: the text, or with --json the one
// document. Everything else, errors and progress, goes to stderr; what fails
// before there is an answer leaves stdout empty, but for the document of the error
// under --json.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/backend/drivers"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/catalog"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/heap"
	"regfsck/cmd/regfsck/interrupt"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/settings"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/retain"
	"regfsck/report"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

func main() { os.Exit(run(context.Background(), os.Args, system())) }

// The garbage that a small heap may hold, in percent of what is used, unless GOGC says
// otherwise: for half as much memory again a change has half the work of collecting.
const (
	garbage         = 100
	garbageOfChange = 200
)

// run carries out one command line, of which args[0] is the program, and
// returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	ctx, stops, stop := interrupt.Notify(ctx, stopSignals()...)
	defer stop()
	defer surviveBrokenPipes()()

	if w.getenv("GOGC") == "" {
		heap.Limit(garbage)
	}
	s := &session{world: w, stops: stops, json: asksJSON(args)}
	if len(args) < 2 { // help is shown, and a script that lost its arguments doesn't go on
		s.exit = exitcode.Usage
	}
	s.app, s.commands = newApp(s)
	args, err := arrange(s, args)
	if err == nil {
		err = s.app.RunContext(ctx, args)
	}
	return int(s.outcome(ctx, err))
}

// stopSignals are those that end a run at its next safe point. A terminal that is
// gone is one, but for a run that was started not to mind, as nohup does.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// surviveBrokenPipes makes writing to a closed pipe an error, where otherwise
// the process would be ended by the signal, until the returned function is called.
func surviveBrokenPipes() func() {
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	return func() { signal.Stop(pipes) }
}

// outcome says on stderr what went wrong, if anything, and returns the exit
// code.
func (s *session) outcome(ctx context.Context, err error) exitcode.Code {
	var f *failure.Error
	switch {
	case err == nil:
		return s.exit
	case errors.Is(err, syscall.EPIPE):
		return s.exit | exitcode.Incomplete
	case errors.As(err, &f):
	case ctx.Err() != nil:
		f = failure.New(exitcode.Cancelled, errors.New("cancelled; nothing was changed"), "")
	default:
		f = failure.New(exitcode.Usage, err, "")
	}
	if s.after != nil {
		f.Exit |= exitcode.Incomplete
	}
	hint := strings.TrimSuffix(settings.Origins(f.Error(), s.commands, func(flag string) (settings.Origin, bool) { return elsewhere(s.app, flag) })+f.Hint, "\n")
	if s.json && !s.answered {
		doc := &report.Failure{Version: version, Error: f.Error(), Hint: hint, After: s.after, Exit: f.Exit}
		if err := report.WriteJSON(s.stdout, doc); err != nil { // stderr has it all the same
			f.Exit |= exitcode.Incomplete
		}
	}
	s.say(f.Error())
	if hint != "" {
		fmt.Fprintln(s.stderr, hint)
	}
	if s.tidied > 0 {
		fmt.Fprintln(s.stderr, "Removed before that: "+words.Plural(s.tidied, "empty directory", "empty directories")+" that an interrupted run had left.")
	}
	return f.Exit
}

// asksJSON reports whether a command line asks for JSON, whatever else is wrong with it.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "-json")
}

// say writes a sentence to stderr.
func (s *session) say(sentence string) {
	lines := []string{"regfsck: " + words.Clean(sentence)}
	if columns, ok := columns(&s.world, s.stderr); ok && columns > 0 {
		lines = view.Fold(lines[0], columns)
	}
	for _, line := range lines {
		fmt.Fprintln(s.stderr, line)
	}
}

// version is the program's own.
const version = "0.1.0"

// world is all of its surroundings that the program looks at.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(name string) string
	environ        func() []string // as os.Environ
	settings       string          // the file of settings that is read where it is there and no other is named; "" for none
	drivers        []backend.Driver
	configs        []string                       // where STORE is sought when it is left out
	caches         func() (dir string, err error) // where users' programs keep what they can do without
	now            func() time.Time
	sleep          func(ctx context.Context, until time.Time) error
	terminal       func(io.Writer) (columns int, ok bool)
	asks           func() bool // somebody sits at the terminal who can be asked
	check          func(context.Context, backend.Reader, check.Options) (*check.Result, []graph.Phase, error)
	rules          []retain.Row                                          // of policies of retention
	disk           func(dir string) (disk.Space, error)                  // how full its filesystem is
	answers        func(context.Context, location.Server) registry.State // whether a registry is at work there, and takes pushes
}

// system is the world of a real process.
func system() world {
	return world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, environ: os.Environ, settings: usualSettings,
		drivers: drivers.All(), configs: location.Defaults(), caches: os.UserCacheDir, now: time.Now, sleep: sleep, terminal: terminal, asks: asks,
		check: check.Store, disk: disk.Of, answers: registry.Ask, rules: retain.Rows(),
	}
}

// session is one run of the program.
type session struct {
	world
	app      *cli.App
	commands catalog.Commands // those of the app that people call
	exit     exitcode.Code    // of a command that came to its end
	stops    *interrupt.Signals
	noCache  bool                // no manifest is taken from what was read before
	listings []string            // files of --listing
	json     bool                // errors are to be JSON on stdout, too
	answered bool                // something was written to stdout
	after    *report.HookFailure // of --after; nil where it didn't run or ended well
	tidied   int                 // empty directories that went before anything was looked at
}

// sleep returns at a time, or when ctx ends.
func sleep(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// terminal reports whether a writer is a terminal, and how wide.
func terminal(w io.Writer) (columns int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		columns = 0
	}
	return columns, true
}

// asks reports whether a question can be read and answered.
func asks() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// columns reports whether a writer is a terminal, and how wide: $COLUMNS goes first, as
// it does for other programs.
func columns(s *world, w io.Writer) (columns int, ok bool) {
	columns, ok = s.terminal(w)
	if n, err := strconv.Atoi(s.getenv("COLUMNS")); ok && err == nil && n > 0 {
		columns = n
	}
	return columns, ok
}

// text returns how text is to be written to stdout under --color.
func (s *session) text(color string) view.Options {
	columns, terminal := columns(&s.world, s.stdout)
	colored := terminal && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
	switch color {
	case "always":
		colored = true
	case "never":
		colored = false
	}
	return view.Options{Color: colored, Terminal: terminal, Width: columns}
}

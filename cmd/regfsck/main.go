// Command regfsck checks and repairs the storage of a Docker/CNCF Distribution
// registry. It is to a registry's files what e2fsck is to a disk.
//
// This package parses arguments, joins the phases, and maps the outcome to an exit code. It
// knows nothing of registries. Only main ends the process, and a command uses nothing but its
// session, so that tests run the whole program many times in one process.
//
// stdout holds only the answer: text, or one JSON document with --json. Errors and progress
// are written to stderr. If a run fails before there is an answer, stdout is empty; with
// --json it holds the document of the error.
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

// The garbage that a small heap may hold, in percent of its live bytes, unless GOGC is set:
// for half as much memory again, a change spends half the time on collection.
const (
	garbage         = 100
	garbageOfChange = 200
)

// run executes one command line, of which args[0] is the program, and returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	ctx, stops, stop := interrupt.Notify(ctx, stopSignals()...)
	defer stop()
	defer surviveBrokenPipes()()

	if w.getenv("GOGC") == "" {
		heap.Limit(garbage)
	}
	s := &session{world: w, stops: stops, json: asksJSON(args)}
	if len(args) < 2 { // a script without its arguments must fail
		s.exit = exitcode.Usage
	}
	s.app, s.commands = newApp(s)
	args, err := arrange(s, args)
	if err == nil {
		err = s.app.RunContext(ctx, args)
	}
	return int(s.outcome(ctx, err))
}

// stopSignals are the signals that end a run at its next safe point: the hangup of the
// terminal is one unless it was ignored at the start, as with nohup.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// surviveBrokenPipes makes a write to a closed pipe return an error instead of ending the
// process, until the returned function is called.
func surviveBrokenPipes() func() {
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	return func() { signal.Stop(pipes) }
}

// outcome prints err to stderr, if it isn't nil, and returns the exit code.
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
		if err := report.WriteJSON(s.stdout, doc); err != nil { // stderr has the error in any case
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

// asksJSON reports whether a command line has --json, even if it can't be parsed.
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

// version is the program's version.
const version = "0.1.0"

// world is the program's environment; tests replace it.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(name string) string
	environ        func() []string // as os.Environ
	settings       string          // the settings file that is read if none is named; "" for none
	drivers        []backend.Driver
	configs        []string                       // the config.yml files to try if STORE is not given
	caches         func() (dir string, err error) // the directory of users' caches
	now            func() time.Time
	sleep          func(ctx context.Context, until time.Time) error
	terminal       func(io.Writer) (columns int, ok bool)
	asks           func() bool // whether a question can be asked at the terminal
	check          func(context.Context, backend.Reader, check.Options) (*check.Result, []graph.Phase, error)
	rules          []retain.Row                                          // of retention policies
	disk           func(dir string) (disk.Space, error)                  // how full the filesystem of dir is
	answers        func(context.Context, location.Server) registry.State // whether a registry is running there, and accepts pushes
}

// system returns the environment of the process.
func system() world {
	return world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, environ: os.Environ, settings: usualSettings,
		drivers: drivers.All(), configs: location.Defaults(), caches: os.UserCacheDir, now: time.Now, sleep: backend.WaitUntil, terminal: terminal, asks: asks,
		check: check.Store, disk: disk.Of, answers: registry.Ask, rules: retain.Rows(),
	}
}

// session is one run of the program.
type session struct {
	world
	app      *cli.App
	commands catalog.Commands // without the hidden ones
	exit     exitcode.Code    // set by a command that succeeds
	stops    *interrupt.Signals
	noCache  bool                // don't use the manifest cache
	listings []string            // files of --listing
	json     bool                // print errors as JSON to stdout, too
	answered bool                // something was written to stdout
	after    *report.HookFailure // of --after; nil if it succeeded or did not run
	tidied   int                 // empty directories that were removed before the scan
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

// asks reports whether stdin and stderr are terminals, so that a question can be asked.
func asks() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

// columns reports whether w is a terminal, and its width: $COLUMNS if set, as in other
// programs.
func columns(s *world, w io.Writer) (columns int, ok bool) {
	columns, ok = s.terminal(w)
	if n, err := strconv.Atoi(s.getenv("COLUMNS")); ok && err == nil && n > 0 {
		columns = n
	}
	return columns, ok
}

// text returns the options of text on stdout under --color.
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

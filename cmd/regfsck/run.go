package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"regfsck/report"
)

// failure is an error with the exit code that it calls for and, perhaps, a hint
// at what to do.
type failure struct {
	exit report.Exit
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// misuse is a failure of the arguments or of what they name.
func misuse(hint, format string, values ...any) error {
	return &failure{report.Usage, fmt.Errorf(format, values...), hint}
}

// run carries out one command line, of which args[0] is the program, and
// returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	ctx, stop := signal.NotifyContext(ctx, stopSignals()...)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	defer surviveBrokenPipes()()

	s := &session{world: w, unhook: stop}
	app := newApp(s)
	args, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
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
func (s *session) outcome(ctx context.Context, err error) report.Exit {
	var f *failure
	switch {
	case err == nil:
		return s.exit
	case errors.Is(err, syscall.EPIPE):
		return s.exit | report.Incomplete
	case errors.As(err, &f):
	case ctx.Err() != nil:
		f = &failure{report.Cancelled, errors.New("cancelled; nothing was changed"), ""}
	default:
		f = &failure{exit: report.Usage, err: err}
	}
	s.say(f.Error())
	if f.hint != "" {
		fmt.Fprintln(s.stderr, f.hint)
	}
	if s.tidied > 0 {
		fmt.Fprintln(s.stderr, "Before that, "+report.Plural(s.tidied, "empty folder", "empty folders")+" had gone, which a run that was broken off had left.")
	}
	return f.exit
}

// say writes a sentence to stderr.
func (s *session) say(sentence string) {
	fmt.Fprintln(s.stderr, "regfsck: "+report.Clean(sentence))
}

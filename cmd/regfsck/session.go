package main

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"regfsck/backend"
	"regfsck/cmd/regfsck/target"
	"regfsck/graph"
	"regfsck/graph/retain"
	"regfsck/report"
)

// version is the program's own.
const version = "0.1.0"

// world is all of its surroundings that the program looks at.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(name string) string
	configs        []string                       // where STORE is sought when it is left out
	caches         func() (dir string, err error) // where users' programs keep what they can do without
	now            func() time.Time
	sleep          func(ctx context.Context, until time.Time) error
	terminal       func(io.Writer) (columns int, ok bool)
	asks           func() bool // somebody sits at the terminal who can be asked
	check          func(context.Context, backend.Reader, graph.Options) (*graph.Result, []graph.Phase, error)
	rules          []retain.Row                                  // of policies of retention
	answers        func(context.Context, target.Server) presence // whether a registry is at work there, and takes pushes
}

// system is the world of a real process.
func system() world {
	return world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		configs: target.Defaults(), caches: os.UserCacheDir, now: time.Now, sleep: sleep, terminal: terminal, asks: asks,
		check: graph.Check, answers: answers, rules: retain.Rows(),
	}
}

// session is one run of the program.
type session struct {
	world
	exit    report.Exit // of a command that came to its end
	unhook  func()      // from then on a signal ends the process at once
	noCache bool        // no manifest is taken from what was read before
	tidied  int         // empty directories that went before anything was looked at
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

// text returns how text is to be written to stdout under --color.
func (s *session) text(color string) report.TextOptions {
	columns, terminal := s.terminal(s.stdout)
	colored := terminal && s.getenv("NO_COLOR") == "" && s.getenv("TERM") != "dumb"
	switch color {
	case "always":
		colored = true
	case "never":
		colored = false
	}
	return report.TextOptions{Color: colored, Terminal: terminal, Width: columns}
}

// Package pager shows long answers in a pager, as git does.
package pager

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

// Variable is the environment variable that overrides PAGER for this program.
const Variable = "REGFSCK_PAGER"

// usual is the default pager.
const usual = "less"

// usually are variables that are set for the pager unless the user has: less exits if
// everything fits on the screen, leaves the text there, and shows colours; lv shows colours.
var usually = []string{"LESS=FRX", "LV=-c"}

// Command returns the pager's shell command; "" for none: if the variable is empty or "cat",
// if the terminal can't move its cursor, or if no pager is set and less isn't installed.
func Command(environ []string) string {
	set := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		set[name] = value
	}
	if set["TERM"] == "dumb" {
		return ""
	}
	for _, name := range []string{Variable, "PAGER"} {
		if command, ok := set[name]; ok {
			if command = strings.TrimSpace(command); command == "cat" {
				return ""
			}
			return command
		}
	}
	if _, err := exec.LookPath(usual); err != nil {
		return ""
	}
	return usual
}

// Pager writes to a running pager. If the pager can't be run, it writes to the terminal. If
// the user leaves the pager, the rest is discarded without an error.
type Pager struct {
	out   *os.File
	cmd   *exec.Cmd
	in    io.WriteCloser // nil once the pager has ended
	said  []byte         // what was written, while whole
	whole bool           // said is complete, in case the pager can't be run
	lost  bool           // the pager can't be run
	done  func()
}

// holds is more than a pipe's buffer: once so much was written, the pager is known to read.
const holds = 2 << 20

// Exit codes of a shell whose command can't be run, or doesn't exist.
const (
	cannotRun = 126
	notFound  = 127
)

// Start starts a pager on the terminal out. Until Close, an interrupt doesn't end this
// process.
func Start(command string, out *os.File, environ []string) (*Pager, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = environ
	for _, entry := range usually {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(environ, func(set string) bool { return strings.HasPrefix(set, name+"=") }) {
			cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], entry)
		}
	}
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // a second interrupt would end this process and leave the pager without its terminal
	if err := cmd.Start(); err != nil {
		signal.Stop(interrupts)
		return nil, err
	}
	return &Pager{out: out, cmd: cmd, in: in, whole: true, done: func() { signal.Stop(interrupts) }}, nil
}

// Write implements io.Writer. The error is out's if the pager can't be run.
func (p *Pager) Write(b []byte) (int, error) {
	switch {
	case p.lost:
		return p.out.Write(b)
	case p.in == nil:
		return len(b), nil
	}
	if p.whole {
		p.said = append(p.said, b...)
	}
	if len(p.said) > holds {
		p.said, p.whole = nil, false
	}
	if _, err := p.in.Write(b); err != nil {
		return len(b), p.end()
	}
	return len(b), nil
}

// Close waits until the pager has ended.
func (p *Pager) Close() error {
	if p.in == nil {
		return nil
	}
	return p.end()
}

// end waits for the pager. If it could not be run, end writes the text to out.
func (p *Pager) end() error {
	defer p.done()
	p.in.Close()
	p.in = nil
	err := p.cmd.Wait()
	exit, _ := errors.AsType[*exec.ExitError](err)
	if exit == nil || !p.whole || exit.ExitCode() != cannotRun && exit.ExitCode() != notFound {
		return nil
	}
	p.lost = true
	_, err = p.out.Write(p.said)
	return err
}

// Package pager shows long answers page by page on a terminal, as git does.
package pager

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

// Variable names the pager of this program; PAGER is that of all programs.
const Variable = "REGFSCK_PAGER"

// usual is the pager where nobody names one.
const usual = "less"

// usually are variables that the pager gets where they are unset: less ends by itself where
// all fits on the screen, leaves it there when it ends, and shows colours; lv shows colours.
var usually = []string{"LESS=FRX", "LV=-c"}

// Command returns the shell command that shows answers; "" for none: where that is said by
// "cat" or an empty variable, where the terminal can't move its cursor, or where nobody
// names a pager and less isn't there.
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

// Pager is a writer to a pager that is at work. Where the pager turns out not to exist it
// writes to where that was to write. A pager that is left early takes no more, which is no
// error: all that follows is discarded.
type Pager struct {
	out   *os.File
	cmd   *exec.Cmd
	in    io.WriteCloser // nil once the pager has ended
	said  []byte         // what was written so far
	whole bool           // said is all of it: the pager may not exist
	lost  bool           // it doesn't
	done  func()
}

// holds is more than a pipe takes from a writer before anybody reads: once so much was
// written the pager exists.
const holds = 2 << 20

// The exit codes of a shell whose command can't be run, or isn't there.
const (
	cannotRun = 126
	notFound  = 127
)

// Start starts a pager that shows, on the terminal out, what is written to it until Close.
// Until then an interrupt is the pager's alone.
func Start(command string, out *os.File, environ []string) (*Pager, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = environ
	for _, entry := range usually {
		name, _, _ := strings.Cut(entry, "=")
		if !hasVariable(environ, name) {
			cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], entry)
		}
	}
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // else a second one ends this process, and leaves the pager without its terminal
	if err := cmd.Start(); err != nil {
		signal.Stop(interrupts)
		return nil, err
	}
	return &Pager{out: out, cmd: cmd, in: in, whole: true, done: func() { signal.Stop(interrupts) }}, nil
}

func hasVariable(environ []string, name string) bool {
	for _, entry := range environ {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}

// Write is io.Writer's. The error is that of out where the pager doesn't exist.
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

// end waits for the pager. If it doesn't exist, what it was to show is written to out.
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

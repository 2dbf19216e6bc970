// Package hook runs the shell commands of users around a change of a store.
//
// A command runs in a session of its own, so that a Ctrl-C on the terminal reaches this
// program alone: the command may be what starts a registry again. Thus it has no terminal
// either, and what asks for a password there fails.
package hook

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

// shell runs the commands.
const shell = "/bin/sh"

// lingering is how long the output of a command is waited for that has ended: what it has
// started and left running may have the same output.
const lingering = time.Second

// maxEnd bounds the bytes that are kept of a command's output.
const maxEnd = 4 << 10

// Hook is a command that was started.
type Hook struct {
	cmd    *exec.Cmd
	output *os.File // where this program reads it
	out    io.Writer
	end    end
	read   chan struct{}
}

// Start starts a command. What it prints goes to out, which is also kept where out takes
// no more.
func Start(command string, environ []string, out io.Writer) (*Hook, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	h := &Hook{cmd: exec.Command(shell, "-c", command), output: r, out: out, read: make(chan struct{})}
	h.cmd.Env, h.cmd.Stdout, h.cmd.Stderr = environ, w, w
	apart(h.cmd)
	if err := h.cmd.Start(); err != nil {
		r.Close()
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("there is no " + shell + " that would run it")
		}
		return nil, err
	}
	go func() {
		defer close(h.read)
		for buf := make([]byte, 32<<10); ; {
			n, err := r.Read(buf)
			h.end.add(buf[:n])
			_, _ = out.Write(buf[:n]) // a terminal that is gone must not end the command
			if err != nil {
				return
			}
		}
	}()
	return h, nil
}

// Wait waits until the command has ended, and returns why it failed, if it did. What it
// left running goes on, and so does the output of that.
func (h *Hook) Wait() error {
	err := h.cmd.Wait()
	_ = h.output.SetReadDeadline(time.Now().Add(lingering))
	<-h.read
	relay(h.output, h.out)
	h.output.Close()
	return err
}

// ExitCode returns the exit code of a command that has ended; -1 where a signal ended it.
func (h *Hook) ExitCode() int { return h.cmd.ProcessState.ExitCode() }

// Output returns the end of what the command printed, in whole lines where there are
// several.
func (h *Hook) Output() string { return h.end.String() }

// Terminate asks the command, and all that it has started, to end.
func (h *Hook) Terminate() { terminate(h.cmd) }

// Kill ends the command, and all that it has started.
func (h *Hook) Kill() { kill(h.cmd) }

// relay lets what a command left running write on to out, by a process that does nothing
// else: without it the next line would end that with a broken pipe.
func relay(from *os.File, out io.Writer) {
	to, ok := out.(*os.File)
	if !ok {
		return
	}
	_ = from.SetReadDeadline(time.Time{})
	cmd := exec.Command(shell, "-c", "exec cat")
	cmd.Stdin, cmd.Stdout = from, to
	apart(cmd)
	if cmd.Start() == nil {
		_ = cmd.Process.Release()
	}
}

// end is the end of what was written.
type end struct {
	kept []byte
	cut  bool
}

func (e *end) add(p []byte) {
	e.kept = append(e.kept, p...)
	if over := len(e.kept) - maxEnd; over > 0 {
		e.kept, e.cut = append(e.kept[:0], e.kept[over:]...), true
	}
}

func (e *end) String() string {
	kept := e.kept
	if e.cut {
		if _, whole, found := bytes.Cut(kept, []byte("\n")); found && len(whole) > 0 {
			kept = whole
		}
		for len(kept) > 0 && !utf8.RuneStart(kept[0]) {
			kept = kept[1:]
		}
	}
	return strings.TrimRight(strings.ToValidUTF8(string(kept), "\ufffd"), "\n")
}

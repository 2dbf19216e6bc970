// Package hook runs users' shell commands before and after a change of a store.
//
// A command runs in a session of its own, so that Ctrl-C doesn't reach it: it may be what
// starts a registry again. So it has no terminal, and a prompt for a password there fails.
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

// lingering is how long Wait waits for the output to be closed once the command has ended: a
// process that it left running may hold it open.
const lingering = time.Second

// maxEnd is the most bytes of a command's output to keep.
const maxEnd = 4 << 10

// Hook is a command that was started.
type Hook struct {
	cmd    *exec.Cmd
	output *os.File // the reading end of the command's output
	out    io.Writer
	end    end
	read   chan struct{}
}

// Start starts a command. Its output is written to out and its end is kept, also if out
// fails.
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
			_, _ = out.Write(buf[:n]) // a closed terminal doesn't end the command
			if err != nil {
				return
			}
		}
	}()
	return h, nil
}

// Wait waits until the command has ended, and returns why it failed, or nil. Processes that
// it left running continue.
func (h *Hook) Wait() error {
	err := h.cmd.Wait()
	_ = h.output.SetReadDeadline(time.Now().Add(lingering))
	<-h.read
	relay(h.output, h.out)
	h.output.Close()
	return err
}

// ExitCode returns the exit code of a command that has ended; -1 if a signal ended it.
func (h *Hook) ExitCode() int { return h.cmd.ProcessState.ExitCode() }

// Output returns the last bytes of the output; if these are several lines, they are complete.
func (h *Hook) Output() string { return h.end.String() }

// Terminate sends SIGTERM to the command's process group.
func (h *Hook) Terminate() { terminate(h.cmd) }

// Kill sends SIGKILL to the command's process group.
func (h *Hook) Kill() { kill(h.cmd) }

// relay starts a process that copies the output of processes which the command left running,
// so that they don't get a broken pipe.
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

// end keeps the last bytes written.
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

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
)

// typed is input for a prompt.
type typed struct{ after, keys string }

// onTerminal starts a shell command on a terminal, for a minute at most. Its directory is dir,
// the tests' own if that is "".
func onTerminal(t *testing.T, environ []string, dir, command string) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, "script", "-qfec", command, "/dev/null")
	cmd.Dir, cmd.Env = dir, slices.Concat(environ, []string{"TERM=xterm", "LANG=C.UTF-8"})
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewReader(pipe)
}

// onATerminal runs a shell command on a terminal with so many rows, and returns what was
// shown and the exit code.
func onATerminal(t *testing.T, rows int, environ []string, command string, keys ...typed) (shown string, exit int) {
	t.Helper()
	cmd, in, from := onTerminal(t, slices.Concat(environ, []string{"HOME=" + t.TempDir()}), "", fmt.Sprintf("stty rows %d cols 100 -echo; %s", rows, command))
	var all strings.Builder
	for _, k := range keys {
		for at := all.Len(); !strings.Contains(all.String()[at:], k.after); {
			b, err := from.ReadByte()
			if err != nil {
				t.Fatalf("%s: %q was not said (%v) in\n%q", command, k.after, err, all.String())
			}
			all.WriteByte(b)
		}
		io.WriteString(in, k.keys)
	}
	if _, err := io.Copy(&all, from); err != nil {
		t.Fatal(err)
	}
	in.Close()
	cmd.Wait() // the exit code has the result
	return strings.ReplaceAll(all.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// TestPager: on a terminal, long answers are shown by less or another pager, with the
// command's exit code however the pager is left; never with a prompt, a change or a pipe, and
// never as JSON.
func TestPager(t *testing.T) {
	b := fixtures.Standard()
	for _, d := range fixtures.Damages() {
		if d.Disk == nil && (d.ID == "blob-missing" && d.Name == "a layer" || d.ID == "layer-link-missing" && d.Name == "of a config") {
			d.Apply(b)
		}
	}
	f := newWhole(t, b)
	if _, err := exec.LookPath("less"); err != nil {
		t.Fatalf("%v: make tools installs it", err)
	}
	const ending, marked = "Exit code 4: ", "P:"
	const waiting = `n=; trap 'n="$n once"; echo "GOT$n"' INT; echo READY; until [ "$n" = " once once" ]; do sleep 0.1; done; cat`
	environ := []string{"PATH=" + filepath.Dir(programPath(t)) + ":" + os.Getenv("PATH"), "REGFSCK_CONFIG=/dev/null"}
	mark := append(environ, "PAGER=sed s/^/"+marked+"/")
	check := "exec regfsck check " + f.store
	for _, c := range []struct {
		name, command string
		rows          int
		environ       []string
		keys          []typed
		whole, paged  bool // the end is shown; the pager is used
		exit          int
	}{
		{"what doesn't fit, left at once", check, 10, environ, []typed{{"\x1b[K", "q"}}, false, false, 4},
		{"what doesn't fit, read to its end", check, 10, environ, []typed{{"\x1b[K", "G"}, {ending, "q"}}, true, false, 4},
		{"interrupted while it is read", check, 10, append(environ, "PAGER="+waiting), []typed{{"READY", "\x03"}, {"GOT once", "\x03"}}, true, false, 4},
		{"what fits", check, 900, environ, nil, true, false, 4},
		{"--no-pager", check + " --no-pager", 10, environ, nil, true, false, 4},
		{"a setting", check, 10, append(environ, "REGFSCK_NO_PAGER=true"), nil, true, false, 4},
		{"a pager of one's own", check, 10, mark, nil, true, true, 4},
		{"the program's own pager", check, 10, append(mark, "REGFSCK_PAGER=cat"), nil, true, false, 4},
		{"a pager that isn't there", check, 10, append(environ, "PAGER=/nonexistent/pager"), nil, true, false, 4},
		{"one that reads nothing", check, 10, append(environ, "PAGER=false"), nil, false, false, 4},
		{"a pipe", check + " | cat; exit 4", 10, mark, nil, true, false, 4},
		{"JSON", check + " --json", 10, mark, nil, false, false, 4},
		{"--quiet", check + " --quiet", 10, mark, nil, false, false, 4},
		{"a plan", "regfsck fix " + f.store, 10, mark, nil, true, true, 4},
		{"help", "regfsck help recipes; exit 4", 10, mark, nil, true, true, 4},
		{"a finding", "regfsck explain; exit 4", 10, mark, nil, false, true, 4},
		{"short help", "regfsck fix --help; exit 4", 10, mark, nil, false, false, 4},
		{"a question", "regfsck fix " + f.store + " --apply", 10, mark, []typed{{"type the plan id", "no\n"}, {"type the plan id", "no\n"}, {"type the plan id", "no\n"}}, false, false, 64},
		{"a change", "regfsck fix " + f.store + " --apply --yes", 10, mark, nil, true, false, 5},
	} {
		shown, exit := onATerminal(t, c.rows, c.environ, c.command, c.keys...)
		if exit != c.exit || strings.Contains(shown, marked) != c.paged {
			t.Errorf("%s: exit %d\n%s", c.name, exit, shown)
		}
		if whole := strings.Contains(shown, "Exit code "); whole != c.whole {
			t.Errorf("%s: whole %t\n%s", c.name, whole, shown)
		}
	}
}

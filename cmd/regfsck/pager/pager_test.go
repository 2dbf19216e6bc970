package pager

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestChosenPager: REGFSCK_PAGER comes first, an empty one is none, and less is used only if
// it is installed.
func TestChosenPager(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "less"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, want string
		environ    []string
	}{
		{dir, "less", nil},
		{dir, "less", []string{"TERM=xterm", "PAGERS=x"}},
		{t.TempDir(), "", nil},
		{dir, "more -s", []string{"PAGER= more -s "}},
		{dir, "most", []string{"PAGER=more", Variable + "=most"}},
		{dir, "", []string{"PAGER=more", Variable + "="}},
		{dir, "", []string{"PAGER="}},
		{dir, "", []string{"PAGER=cat"}},
		{dir, "", []string{"PAGER=more", "TERM=dumb"}},
	} {
		t.Setenv("PATH", c.path)
		if is := Command(c.environ); is != c.want {
			t.Errorf("%q: %q, want %q", c.environ, is, c.want)
		}
	}
}

// shown starts a pager, writes lines to it, and returns its output.
func shown(t *testing.T, command string, environ []string, lines int) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := Start(command, out, environ)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		if n, err := fmt.Fprintln(p, "line", i); err != nil || n < 6 {
			t.Fatalf("%s: line %d: %d, %v", command, i, n, err)
		}
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPagers: a pager gets the whole answer; if it is missing or fails, nothing is lost; if
// it is left early, there is no error.
func TestPagers(t *testing.T) {
	const lines = 400_000 // more than the pager's writer holds
	all := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintln(&b, "line", i)
		}
		return b.String()
	}
	environ := []string{"PATH=" + os.Getenv("PATH")}
	for _, n := range []int{0, 3, 20_000, lines} {
		if text := shown(t, "cat", environ, n); text != all(n) {
			t.Errorf("%d lines went through, and %d bytes came out", n, len(text))
		}
		for _, missing := range []string{"/nonexistent/pager -x", "there-is-no-such-pager", "exec " + t.TempDir()} {
			if text := shown(t, missing, environ, n); text != all(n) {
				t.Errorf("%s: %d lines, and %d bytes came out", missing, n, len(text))
			}
		}
		if text := shown(t, "head -n 2", environ, n); text != all(min(n, 2)) {
			t.Errorf("%d lines: %q", n, text)
		}
		for _, early := range []string{"true", "false", "exit 3", "kill -9 $$"} {
			if text := shown(t, early, environ, n); text != "" {
				t.Errorf("%s: %q", early, text)
			}
		}
	}
	if text := shown(t, "cat >/dev/null; exit 127", environ, lines); text != "" {
		t.Errorf("a pager that had read all came out as %d bytes", len(text))
	}
}

// TestPagersShowColours: less and lv are set to show colours, unless the user has set them.
func TestPagersShowColours(t *testing.T) {
	for want, environ := range map[string][]string{"FRX -c\n": nil, "-S -c\n": {"LESS=-S"}, " -a\n": {"LESS=", "LV=-a"}} {
		environ = append(slices.Clip(environ), "PATH="+os.Getenv("PATH"))
		if text := shown(t, `cat >/dev/null; echo "$LESS $LV"`, environ, 1); text != want {
			t.Errorf("%q: %q", environ, text)
		}
	}
}

var _ io.WriteCloser = &Pager{}

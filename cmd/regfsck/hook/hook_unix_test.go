//go:build unix

package hook

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// output runs a command and returns the end that is kept, and all of its output.
func output(t *testing.T, command string) (end, all string) {
	t.Helper()
	var out strings.Builder
	h, err := Start(command, os.Environ(), &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(); err != nil {
		t.Error(err)
	}
	return h.Output(), out.String()
}

func TestTheEndOfTheOutput(t *testing.T) {
	if end, all := output(t, "echo a; echo b >&2"); end != "a\nb" || all != "a\nb\n" {
		t.Errorf("%q, %q", end, all)
	}
	end, all := output(t, "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
	if len(end) > maxEnd || len(end) < maxEnd/2 || !strings.HasPrefix(end, "line ") || !strings.HasSuffix(end, "\nline 1999") || strings.Count(all, "\n") != 2000 {
		t.Errorf("%d of %d bytes: %.20q", len(end), len(all), end)
	}
	end, _ = output(t, "i=0; while [ $i -lt 3000 ]; do printf 'ä€'; i=$((i+1)); done; printf '\\377'")
	if len(end) > maxEnd+4 || len(end) < maxEnd/2 || !utf8.ValidString(end) || !strings.HasSuffix(end, "ä€\ufffd") || strings.HasPrefix(end, "\ufffd") {
		t.Errorf("one line: %.20q", end)
	}
}

// TestACommandHasNoTerminal: a command has its own session and no input.
func TestACommandHasNoTerminal(t *testing.T) {
	end, _ := output(t, `read x; echo "$x"; (exec </dev/tty) 2>/dev/null && echo a terminal; ps -o pid=,sid= -p $$`)
	ids := strings.Fields(end)
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("%q", end)
	}
}

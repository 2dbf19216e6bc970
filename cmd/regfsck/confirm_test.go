package main

import (
	"io"
	"strings"
	"testing"
)

// TestPasswords: a password on the command line is refused; elsewhere it is accepted, and
// never printed.
func TestPasswords(t *testing.T) {
	f := newFix(t, littered())
	address := "redis://:hunter2@127.0.0.1:1/0" // no server there
	for _, c := range []struct {
		args, variable string
		exit           int
		want           string
	}{
		{"fix STORE --redis " + address, "", 16, "Put the address into the variable REGFSCK_REDIS"},
		{"fix STORE --redis nonsense", "", 16, "--redis is an address like"},
		{"fix STORE", "hunter2", 16, "--redis is set by REGFSCK_REDIS."},
		{"fix STORE", address, 0, ""},
		{"fix STORE --apply --yes", address, 8, "--redis: 127.0.0.1:1/0: "},
	} {
		f.env = map[string]string{"REGFSCK_REDIS": c.variable}
		before := f.content(t)
		exit := f.run(strings.Fields(c.args)...)
		if exit != c.exit || !strings.Contains(f.errs.String(), c.want) {
			t.Errorf("%s: exit %d, %s", c.args, exit, f.errs.String())
		}
		if strings.Contains(f.out.String()+f.errs.String(), "hunter2") {
			t.Errorf("%s: the password is repeated:\n%s%s", c.args, f.out.String(), f.errs.String())
		}
		f.untouched(t, c.args, before)
	}
}

func TestConfirmation(t *testing.T) {
	f := newFix(t, littered())
	id, before := f.plan(t).Plan, f.content(t)
	asked := func(typed string, args ...string) int {
		f.asks = func() bool { return true }
		f.stdin = strings.NewReader(typed)
		return f.run(append([]string{"fix", "STORE", "--apply"}, args...)...)
	}
	wrong := "yes\n" + id[:11] + "\n" + id + "x\n"
	for typed, times := range map[string]int{"": 1, "\n": 2, "yes\n": 2, id[:11] + "\n": 2, wrong: 3, wrong + id + "\n": 3} {
		if exit := asked(typed); exit != 64 || strings.Count(f.errs.String(), "type the plan id "+id) != times || !strings.Contains(f.errs.String(), "refused: that is not the plan id\nNothing was changed.\n") {
			t.Errorf("%q was typed: exit %d, %s", typed, exit, f.errs.String())
		}
		f.untouched(t, typed, before)
	}
	for _, flag := range []string{"--json", "--quiet"} {
		if exit := asked(id+"\n", flag); exit != 64 || !f.refuses(flag) {
			t.Errorf("%s: exit %d, %s: it asks about what wasn't shown", flag, exit, f.errs.String())
		}
		f.untouched(t, flag, before)
	}
	f.asks = func() bool { return false }
	f.stdin = io.LimitReader(nil, 0)
	if exit := f.run("fix", "STORE", "--apply"); exit != 64 || !strings.Contains(f.errs.String(), "--yes") {
		t.Errorf("off a terminal: exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "off a terminal", before)
	if exit := asked("yes\nno\n" + id + "\n"); exit != 0 || strings.Count(f.errs.String(), "type the plan id "+id) != tries || len(f.plan(t).Steps) > 0 {
		t.Errorf("the id was typed at the third time: exit %d, %s", exit, f.errs.String())
	}
	var runs struct{ Runs []struct{ ID string } }
	f.document(t, &runs, "undo", "STORE", "--list")
	f.asks = func() bool { return true }
	for typed, want := range map[string]int{"yes\n": 64, runs.Runs[0].ID + "\n": 0} {
		f.stdin = strings.NewReader(typed)
		if exit := f.run("purge", "STORE", runs.Runs[0].ID); exit != want {
			t.Errorf("purge, %q was typed: exit %d, %s", typed, exit, f.errs.String())
		}
	}
}

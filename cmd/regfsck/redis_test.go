package main

import (
	"strings"
	"testing"
)

// TestAPasswordIsNeverRepeated: on the command line it is refused, elsewhere it is taken,
// and nothing says it.
func TestAPasswordIsNeverRepeated(t *testing.T) {
	f := newFix(t, littered())
	address := "redis://:hunter2@127.0.0.1:1/0" // where nothing answers
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

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
)

// asked returns a world whose registry returns the states in turn, the last one repeatedly,
// and whose clock advances by sleeping.
func asked(t *testing.T, says ...registry.State) (f *fake, times *int) {
	f, times = newFake(t), new(int)
	clock := f.now()
	f.now = func() time.Time { return clock }
	f.sleep = func(_ context.Context, until time.Time) error {
		clock = until
		return nil
	}
	f.answers = func(_ context.Context, s location.Server) registry.State {
		if s.URL() != "http://r:5000/v2/" {
			t.Errorf("%s is asked", s.URL())
		}
		*times++
		return says[min(*times, len(says))-1]
	}
	return f, times
}

func TestWaitReadonly(t *testing.T) {
	for _, c := range []struct {
		says  []registry.State
		flags string
		exit  int
		times int
		want  string // on stdout, or on stderr
	}{
		{[]registry.State{registry.ReadOnly}, "", 0, 1, "The registry at r:5000 is read-only.\n"},
		{[]registry.State{registry.Writable, registry.Writable, registry.Absent, registry.Unclear, registry.ReadOnly}, "", 0, 5, "waiting: r:5000 takes pushes\nregfsck: waiting: r:5000 doesn't answer\nregfsck: waiting: r:5000 doesn't report"},
		{[]registry.State{registry.Writable}, "--timeout 10s", 64, 11, "r:5000 takes pushes, after 10s\n"},
		{[]registry.State{registry.Absent}, "--timeout 0s", 64, 1, "r:5000 doesn't answer, after 0s\n"},
		{[]registry.State{registry.Unclear}, "--timeout 1s", 64, 2, "r:5000 doesn't report which methods it allows, after 1s\n"},
		{[]registry.State{registry.Writable, registry.LoginWanted}, "", 8, 2, "r:5000 requires a login"},
	} {
		f, times := asked(t, c.says...)
		exit := f.run(append([]string{"wait-readonly", "r:5000"}, strings.Fields(c.flags)...)...)
		if exit != c.exit || *times != c.times || !strings.Contains(f.out.String()+f.errs.String(), c.want) || (exit == 0) != (f.out.Len() > 0) {
			t.Errorf("%v %s: exit %d, asked %d times\n%s%s", c.says, c.flags, exit, *times, f.out.String(), f.errs.String())
		}
	}
	f, _ := asked(t, registry.Writable, registry.ReadOnly)
	if exit := f.run("wait-readonly", "http://r:5000/", "--quiet"); exit != 0 || f.out.Len()+f.errs.Len() > 0 {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

func TestWaitReadonlyIsCancelled(t *testing.T) {
	f, _ := asked(t, registry.Writable)
	ctx, cancel := context.WithCancel(context.Background())
	f.sleep = func(context.Context, time.Time) error {
		cancel()
		return ctx.Err()
	}
	if exit := run(ctx, []string{"regfsck", "wait-readonly", "r:5000"}, f.world); exit != 32 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

func TestBadArgumentsOfWaitReadonly(t *testing.T) {
	f, _ := asked(t, registry.ReadOnly)
	for args, want := range map[string]string{
		"":                             "takes one ADDRESS",
		"a:1 b:2":                      "takes one ADDRESS",
		"r:5000 --timeout soon":        "--timeout is a duration",
		"registry":                     "names no port",
		"ftp://r:5000":                 "by http or https",
		"http://u:hunter2@r:5000":      "leave out the part before the @",
		"u:hunter2@r:5000":             "leave out the part before the @",
		"u:hunter2@r:5000:5000?hunter": "no address",
	} {
		exit := f.run(append([]string{"wait-readonly"}, strings.Fields(args)...)...)
		if exit != 16 || !strings.Contains(f.errs.String(), want) || strings.Contains(f.errs.String(), "hunter2") || f.out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

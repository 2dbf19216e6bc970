//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/cmd/regfsck/location"
)

// noted is a store with an orphan, and a file in which hooks note their variables.
func noted(t *testing.T) (f *fake, hook func(name string) string, notes func() map[string]map[string]string) {
	t.Helper()
	f = newFix(t, littered())
	dir := filepath.Join(f.dir, "notes")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	hook = func(name string) string {
		return "env -0 >" + dir + "/" + name + "; echo said by " + name
	}
	notes = func() map[string]map[string]string {
		all := map[string]map[string]string{}
		for _, name := range []string{"before", "after"} {
			body, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			all[name] = map[string]string{}
			for entry := range strings.SplitSeq(strings.TrimRight(string(body), "\x00"), "\x00") {
				key, value, _ := strings.Cut(entry, "=")
				if key, ok := strings.CutPrefix(key, hookPrefix); ok {
					all[name][key] = value
				}
			}
			os.Remove(filepath.Join(dir, name))
		}
		return all
	}
	return f, hook, notes
}

func TestHooksRunAroundAnApply(t *testing.T) {
	f, hook, notes := noted(t)
	args := []string{"fix", "STORE", "--before", hook("before"), "--after", hook("after")}
	if exit := f.run(args...); exit != 0 || len(notes()) > 0 {
		t.Fatalf("a dry run: exit %d, %s", exit, f.errs.String())
	}
	exit := f.run(append(args, "--apply", "--yes", "--json", "--report", "DIR/r.json", "--report", "DIR/r.prom")...)
	told := notes()
	before, after := told["before"], told["after"]
	if exit != 0 || len(told) != 2 || !strings.Contains(f.errs.String(), "said by before\nsaid by after\n") {
		t.Fatalf("exit %d, %v, %s", exit, told, f.errs.String())
	}
	for key, want := range map[string]string{"NAME": "before", "COMMAND": "fix", "STORE": f.store, "VERDICT": "planned", "STATE": f.store + "/.regfsck"} {
		if before[key] != want {
			t.Errorf("before: %s is %q, not %q", key, before[key], want)
		}
	}
	if before["PLAN"] == "" || before["STEPS"] == "0" || before["STEPS"] == "" || before["BYTES"] == "0" || before["BYTES"] == "" {
		t.Errorf("before: %v", before)
	}
	for key, want := range map[string]string{
		"NAME": "after", "VERDICT": "done", "EXIT": "0", "PLAN": before["PLAN"], "DONE": before["STEPS"], "SKIPPED": "0", "FAILED": "0",
		"FREED": "0", "REPORTS": f.dir + "/r.json\n" + f.dir + "/r.prom",
	} {
		if after[key] != want {
			t.Errorf("after: %s is %q, not %q", key, after[key], want)
		}
	}
	if after["RUN"] == "" || after["KEPT"] == "" || after["KEPT"] == "0" {
		t.Errorf("after: %v", after)
	}
	if exit := f.run(append(args, "--apply", "--yes")...); exit != 0 || len(notes()) > 0 {
		t.Errorf("nothing is left to do, and a hook ran: exit %d, %s", exit, f.errs.String())
	}
}

func TestAHookThatFails(t *testing.T) {
	f, hook, notes := noted(t)
	whole := f.content(t)
	exit := f.run("fix", "STORE", "--apply", "--yes", "--before", "exit 3", "--after", hook("after"))
	if exit != 64 || !strings.Contains(f.errs.String(), "refused: --before failed: exit status 3") || !strings.Contains(f.errs.String(), "Nothing was changed.") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if after := notes()["after"]; after["VERDICT"] != "unchanged" || after["EXIT"] != "64" {
		t.Errorf("after: %v", after)
	}
	f.untouched(t, "--before failed", whole)
	exit = f.run("fix", "STORE", "--apply", "--yes", "--before", "exit 3", "--after", "exit 4")
	if exit != 64|8 || !strings.Contains(f.errs.String(), "--after failed: exit status 4") {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	exit = f.run("fix", "STORE", "--apply", "--yes", "--before", "true", "--after", "kill -9 $$")
	if exit != 8 || !strings.Contains(f.errs.String(), "--after failed: signal: killed") || !strings.Contains(f.out.String(), "DONE: ") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
}

// TestBeforeMayStopTheRegistry: a registry that is at work refuses nothing where
// --before is to stop it, unless it still is at work then.
func TestBeforeMayStopTheRegistry(t *testing.T) {
	f, _, _ := noted(t)
	stopped := filepath.Join(f.dir, "stopped")
	f.answers = func(context.Context, location.Server) presence {
		if _, err := os.Stat(stopped); err == nil {
			return away
		}
		return writable
	}
	config := filepath.Join(f.dir, "config.yml")
	if err := os.WriteFile(config, []byte("version: 0.1\nstorage: {filesystem: {rootdirectory: "+f.store+"}}\nhttp: {addr: 'localhost:5000'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := f.content(t)
	for _, flags := range [][]string{nil, {"--before", "true"}} {
		if exit := f.run(append([]string{"fix", config, "--apply", "--yes"}, flags...)...); exit != 64 || !strings.Contains(f.errs.String(), "takes pushes") {
			t.Errorf("%q: exit %d, %s", flags, exit, f.errs.String())
		}
		f.untouched(t, strings.Join(flags, " "), whole)
	}
	if exit := f.run("fix", config, "--apply", "--yes", "--before", "touch "+stopped, "--after", "rm "+stopped); exit != 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	if _, err := os.Stat(stopped); err == nil {
		t.Error("the registry wasn't started again")
	}
}

// TestARunThatIsStoppedRunsAfter: a signal while --before runs ends it and changes
// nothing, and --after still runs.
func TestARunThatIsStoppedRunsAfter(t *testing.T) {
	f, hook, notes := noted(t)
	whole := f.content(t)
	ctx, cancel := context.WithCancel(context.Background())
	started, writes := io.Pipe()
	f.stderr = io.MultiWriter(&f.errs, writes)
	go func() {
		seen := []byte{}
		for some := make([]byte, 100); !bytes.Contains(seen, []byte("waiting")); {
			n, err := started.Read(some)
			if err != nil {
				return
			}
			seen = append(seen, some[:n]...)
		}
		cancel()
		io.Copy(io.Discard, started)
	}()
	exit := run(ctx, []string{"regfsck", "fix", f.store, "--apply", "--yes", "--before", "echo waiting; exec sleep 60", "--after", hook("after")}, f.world)
	writes.Close()
	if exit != 32 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "it was stopped", whole)
	if after := notes()["after"]; after["VERDICT"] != "unchanged" || after["EXIT"] != "32" {
		t.Errorf("after: %v", after)
	}
}

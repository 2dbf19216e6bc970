//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend/disk"
	"regfsck/cmd/regfsck/location"
	"regfsck/cmd/regfsck/registry"
	"regfsck/cmd/regfsck/settings"
	"regfsck/fixtures/s3test"
	"regfsck/report"
)

// noted returns a store with an orphan, a hook that records its variables in a file, and a
// function that reads them.
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
				if key, ok := strings.CutPrefix(key, settings.HookPrefix); ok {
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

// TestAfterAPanic: --after runs after a panic, with the verdict stopped.
func TestAfterAPanic(t *testing.T) {
	f, hook, notes := noted(t)
	whole := f.content(t)
	looks := 0
	f.disk = func(string) (disk.Space, error) {
		if looks++; looks > 1 {
			panic("the disk")
		}
		return disk.Space{Used: 1, Free: 1}, nil
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		f.run("fix", "STORE", "--apply", "--yes", "--after", hook("after"))
	}()
	if after := notes()["after"]; after["VERDICT"] != "stopped" || after["EXIT"] != "8" {
		t.Errorf("after: %v", after)
	}
	if maps.Equal(f.content(t), whole) {
		t.Error("nothing was changed")
	}
}

// TestBeforeMayStopTheRegistry: with --before, a running registry is refused only after that
// has run.
func TestBeforeMayStopTheRegistry(t *testing.T) {
	f, _, _ := noted(t)
	stopped := filepath.Join(f.dir, "stopped")
	f.answers = func(context.Context, location.Server) registry.State {
		if _, err := os.Stat(stopped); err == nil {
			return registry.Absent
		}
		return registry.Writable
	}
	config := filepath.Join(f.dir, "config.yml")
	write(t, config, "version: 0.1\nstorage: {filesystem: {rootdirectory: "+f.store+"}}\nhttp: {addr: 'localhost:5000'}\n")
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

// handshake is a directory of named pipes with which a test and a shell command wait for each
// other: "echo >NAME" in a command ends arrives(NAME), and lets(NAME) ends "read x <NAME".
type handshake struct {
	t   *testing.T
	dir string
}

func newHandshake(t *testing.T, names ...string) handshake {
	t.Helper()
	h := handshake{t, t.TempDir()}
	for _, name := range names {
		if err := syscall.Mkfifo(h.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h handshake) path(name string) string { return filepath.Join(h.dir, name) }

func (h handshake) arrives(name string) string { return content(h.t, h.path(name)) }

func (h handshake) lets(name string) {
	h.t.Helper()
	f, err := os.OpenFile(h.path(name), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("go\n")
		f.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// hooked is the program in its own process group, as a terminal starts it: Ctrl-C signals the
// whole group.
type hooked struct {
	t    *testing.T
	cmd  *exec.Cmd
	pipe *os.File
	errs *bufio.Reader // of stderr
	said strings.Builder
	out  bytes.Buffer
}

func startHooked(t *testing.T, args ...string) *hooked {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p := &hooked{t: t, pipe: r, errs: bufio.NewReader(r)}
	p.cmd = exec.Command(programPath(t), args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = &p.out, w, &syscall.SysProcAttr{Setpgid: true}
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// interrupt sends a Ctrl-C and waits for a line with these words.
func (p *hooked) interrupt(words string) {
	p.t.Helper()
	p.signal(syscall.SIGINT)
	p.says(words)
}

func (p *hooked) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		p.t.Fatal(err)
	}
}

// says waits for a line of stderr with these words.
func (p *hooked) says(words string) {
	p.t.Helper()
	for {
		line, err := p.errs.ReadString('\n')
		p.said.WriteString(line)
		if strings.Contains(line, words) {
			return
		}
		if err != nil {
			p.t.Fatalf("it never said %q: %s", words, p.said.String())
		}
	}
}

// ends waits for the end of the program, and returns its exit code.
func (p *hooked) ends() int {
	p.t.Helper()
	rest, err := io.ReadAll(p.errs)
	p.said.Write(rest)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); p.cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// TestInterruptsWhileBeforeRuns: the first two Ctrl-C don't end a command; then nothing is
// changed, and --after runs.
func TestInterruptsWhileBeforeRuns(t *testing.T) {
	f, hook, notes := noted(t)
	whole := f.content(t)
	h := newHandshake(t, "ready", "go")
	p := startHooked(t, "fix", f.store, "--apply", "--yes", "--grace", "0s",
		"--before", hook("before")+"; echo >"+h.path("ready")+"; read x <"+h.path("go")+"; echo came to its end", "--after", hook("after"))
	h.arrives("ready")
	p.interrupt("waiting until --before has ended; then nothing is changed, and --after runs; Ctrl-C 2 more times ends it")
	p.interrupt("Ctrl-C 1 more time ends it")
	h.lets("go")
	if exit := p.ends(); exit != 32 || !strings.Contains(p.said.String(), "came to its end\nsaid by after\n") {
		t.Errorf("exit %d, %s", exit, p.said.String())
	}
	f.untouched(t, "it was stopped", whole)
	if after := notes()["after"]; after["VERDICT"] != "unchanged" || after["EXIT"] != "32" {
		t.Errorf("after: %v", after)
	}
}

// TestTheThirdInterruptEndsBefore: the third Ctrl-C ends --before and its processes, and
// --after still runs.
func TestTheThirdInterruptEndsBefore(t *testing.T) {
	f, hook, notes := noted(t)
	whole := f.content(t)
	h := newHandshake(t, "ready", "never")
	p := startHooked(t, "fix", f.store, "--apply", "--yes", "--grace", "0s",
		"--before", "(echo >"+h.path("ready")+"; read x <"+h.path("never")+"); echo it went on", "--after", hook("after"))
	h.arrives("ready")
	p.interrupt("2 more times")
	p.interrupt("1 more time")
	p.interrupt("--before was sent SIGTERM")
	if exit := p.ends(); exit != 32 || strings.Contains(p.said.String(), "it went on") {
		t.Errorf("exit %d, %s", exit, p.said.String())
	}
	f.untouched(t, "it was stopped", whole)
	if after := notes()["after"]; after["VERDICT"] != "unchanged" {
		t.Errorf("after: %v", after)
	}
}

// TestTheFourthInterruptKillsAfter: a fourth Ctrl-C kills a command that ignores SIGTERM, and
// the answer has its exit.
func TestTheFourthInterruptKillsAfter(t *testing.T) {
	f, _, _ := noted(t)
	h := newHandshake(t, "ready", "never")
	p := startHooked(t, "fix", f.store, "--apply", "--yes", "--json", "--grace", "0s",
		"--after", "trap '' TERM; echo >"+h.path("ready")+"; while :; do read x <"+h.path("never")+"; done")
	h.arrives("ready")
	p.interrupt("waiting until --after has ended; Ctrl-C 2 more times ends it")
	p.interrupt("1 more time")
	p.interrupt("was sent SIGTERM")
	p.interrupt("--after is killed")
	exit := p.ends()
	var doc struct {
		After *report.HookFailure
		Exit  struct{ Code int }
	}
	if err := json.Unmarshal(p.out.Bytes(), &doc); err != nil || exit != 8 || doc.Exit.Code != exit || doc.After == nil || *doc.After != (report.HookFailure{Exit: -1, Error: "signal: killed"}) {
		t.Errorf("exit %d, %v, %+v, %s%s", exit, err, doc, p.out.String(), p.said.String())
	}
}

// stuck returns a proxy of a server that blocks the first removal and reports it.
func stuck(t *testing.T, s *s3test.Server) (proxy *s3test.Proxy, arrived <-chan bool) {
	proxy = s3test.Front(t, s, s3test.Settings{})
	come, wake := make(chan bool), make(chan bool)
	t.Cleanup(func() { close(wake) })
	ofRegistry := func(r *s3test.Request) bool { return bytes.Contains(r.Body, []byte("docker/registry/v2")) }
	proxy.Inject(s3test.Fault{Match: s3test.All(s3test.Of(s3test.DeleteObjects), ofRegistry), Times: 1, Do: s3test.EditBody(func([]byte) []byte {
		come <- true
		<-wake
		return nil
	})})
	return proxy, come
}

// TestTheSecondInterruptOfAChange: it ends the change at once, and then --after runs without
// signals. The same command completes the change.
func TestTheSecondInterruptOfAChange(t *testing.T) {
	f, s, made := change(t, rotten(), s3test.Enabled)
	before := objects(t, made)
	proxy, arrived := stuck(t, s)
	h := newHandshake(t, "ready", "go")
	notes := h.path("notes")
	state := filepath.Join(f.dir, "of-both")
	flags := []string{"--yes", "--state", state, "--s3-endpoint", proxy.Endpoint}
	p := startHooked(t, slices.Concat([]string{"fix", f.store, "--apply"}, flags,
		[]string{"--before", "true", "--after", "env >" + notes + "; echo >" + h.path("ready") + "; read x <" + h.path("go") + "; echo came to its end; exit 3"})...)
	<-arrived
	p.interrupt("a second Ctrl-C stops at once, loses nothing either, and runs --after")
	p.interrupt("--after runs now")
	h.arrives("ready")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGTERM)
	h.lets("go")
	if exit := p.ends(); exit != 32|8 || !strings.HasSuffix(p.said.String(), "came to its end\nregfsck: --after failed: exit status 3\n") {
		t.Errorf("exit %d, %s%s", exit, p.out.String(), p.said.String())
	}
	if told := content(t, notes); !strings.Contains(told, settings.HookPrefix+"VERDICT=stopped\n") || !strings.Contains(told, settings.HookPrefix+"EXIT=40\n") || !strings.Contains(told, settings.HookPrefix+"NAME=after\n") {
		t.Error(told)
	}
	var lease struct{ Run string }
	body, _ := made.Get(t, "some/path/.regfsck/lock")
	if err := json.Unmarshal(body, &lease); err != nil {
		t.Fatal(err)
	}
	if exit := f.run(append([]string{"fix", "STORE", "--apply", "--break-lease", lease.Run}, flags...)...); exit&^5 != 0 {
		t.Errorf("again: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	for range 2 { // once for each part of the change
		if exit := f.run("undo", "STORE", "--state", state, "--s3-endpoint", proxy.Endpoint); exit != 0 {
			t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
		}
	}
	sameObjects(t, "undone", before, objects(t, made))
}

// TestAnInterruptedChangeWithoutAfter: a second signal ends the change at once.
func TestAnInterruptedChangeWithoutAfter(t *testing.T) {
	f, s, _ := change(t, rotten(), s3test.Enabled)
	proxy, arrived := stuck(t, s)
	p := startHooked(t, "fix", f.store, "--apply", "--s3-endpoint", proxy.Endpoint, "--yes", "--state", filepath.Join(f.dir, "of-both"), "--before", "true")
	<-arrived
	p.interrupt("a second Ctrl-C stops at once, and nothing is lost either")
	p.signal(syscall.SIGINT)
	p.ends()
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v", status)
	}
}

// TestAFailingAfterIsInTheAnswer: the failure is on stdout and in the reports, which --after
// could read before, and in the exit code.
func TestAFailingAfterIsInTheAnswer(t *testing.T) {
	f, _, _ := noted(t)
	seen := filepath.Join(f.dir, "seen")
	type answer struct {
		Schema string
		After  *report.HookFailure
		Exit   struct{ Code int }
	}
	read := func(body []byte) (a answer) {
		t.Helper()
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return a
	}
	after := "cp \"$" + settings.HookPrefix + "REPORTS\" " + seen + "; echo first; echo last >&2; exit 4"
	exit := f.run("fix", "STORE", "--apply", "--yes", "--json", "--report", "DIR/r.json", "--after", after)
	want := report.HookFailure{Exit: 4, Error: "exit status 4", Output: "first\nlast"}
	for name, a := range map[string]answer{"stdout": read(f.out.Bytes()), "r.json": read([]byte(content(t, filepath.Join(f.dir, "r.json"))))} {
		if exit != 8 || a.Exit.Code != exit || a.After == nil || *a.After != want {
			t.Errorf("%s: exit %d, %+v", name, exit, a)
		}
	}
	if a := read([]byte(content(t, seen))); a.Exit.Code != 0 || a.After != nil {
		t.Errorf("what --after has seen: %+v", a)
	}
	if exit := f.run("show", "DIR/r.json"); !strings.Contains(f.out.String(), "--after failed: exit status 4.") {
		t.Errorf("shown: exit %d, %s", exit, f.out.String())
	}

	f, _, _ = noted(t)
	exit = f.run("fix", "STORE", "--apply", "--yes", "--after", after)
	if text := f.out.String(); exit != 8 || !strings.Contains(text, "--after failed: exit status 4.") || !strings.Contains(text, "Exit code 8:") {
		t.Errorf("exit %d, %s", exit, text)
	}

	f, _, _ = noted(t)
	exit = f.run("fix", "STORE", "--apply", "--yes", "--json", "--before", "false", "--after", "echo first; echo last; exit 4")
	if a := read(f.out.Bytes()); a.Schema != report.FailureSchema || exit != 64|8 || a.Exit.Code != exit || a.After == nil || *a.After != want {
		t.Errorf("nothing was changed: exit %d, %s", exit, f.out.String())
	}
	exit = f.run("fix", "STORE", "--apply", "--yes", "--json", "--report", "DIR/r.json", "--after", "true")
	if exit != 0 || bytes.Contains(f.out.Bytes(), []byte(`"after":`)) {
		t.Errorf("it ended well: exit %d, %s", exit, f.out.String())
	}
}

// TestAHookOutlivesItsOutput: a closed terminal or pipe doesn't end a command.
func TestAHookOutlivesItsOutput(t *testing.T) {
	f, _, notes := noted(t)
	h := newHandshake(t, "ready", "go")
	p := startHooked(t, "fix", f.store, "--apply", "--yes", "--grace", "0s", "--before", "echo >"+h.path("ready")+"; read x <"+h.path("go"),
		"--after", "for i in 1 2 3 4 5 6 7 8 9; do echo line || exit 1; env >&2 || exit 1; done; env -0 >"+filepath.Join(f.dir, "notes", "after"))
	h.arrives("ready")
	p.pipe.Close()
	h.lets("go")
	if err := p.cmd.Wait(); p.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if after := notes()["after"]; after["VERDICT"] != "done" {
		t.Errorf("%v, after: %v", p.cmd.ProcessState, after)
	}
}

// TestBackgroundProcessesOfAHook: a registry that --after started in the background, and its
// output, continue after regfsck has ended.
func TestBackgroundProcessesOfAHook(t *testing.T) {
	f, _, _ := noted(t)
	h := newHandshake(t, "go")
	p := startHooked(t, "fix", f.store, "--apply", "--yes", "--grace", "0s",
		"--after", "(read x <"+h.path("go")+"; echo first; echo second; echo third) & echo started")
	p.says("started")
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v, %s", err, p.said.String())
	}
	h.lets("go")
	p.says("first")
	p.says("second")
	p.says("third")
}

//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/fixtures/s3test"
)

// start runs the program in its own process.
func start(t *testing.T, args ...string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	said = &bytes.Buffer{}
	cmd = exec.Command(programPath(t), args...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, said
}

// stop sends SIGSTOP and waits until the process has stopped.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var status syscall.WaitStatus
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", err, status)
	}
}

// TestARunThatWasStopped: a run is stopped, and another one resumes it with the same journal.
// Continued, the first one ends without another write to the bucket or journal.
func TestARunThatWasStopped(t *testing.T) {
	f, s, made := change(t, rotten(), s3test.Enabled)
	before := objects(t, made)
	state := filepath.Join(f.dir, "of-both")
	proxy := s3test.Front(t, s, s3test.Settings{})
	ofRegistry := func(r *s3test.Request) bool { return bytes.Contains(r.Body, []byte("docker/registry/v2")) }
	arrived, wake := make(chan bool), make(chan bool)
	proxy.Inject(s3test.Fault{Match: s3test.All(s3test.Of(s3test.DeleteObjects), ofRegistry), Times: 1, Do: s3test.EditBody(func(b []byte) []byte {
		arrived <- true
		<-wake
		return b
	})})
	flags := []string{"--yes", "--state", state, "--s3-endpoint", proxy.Endpoint}
	first, said := start(t, append([]string{"fix", f.store, "--apply"}, flags...)...)
	<-arrived
	stop(t, first)
	close(wake)

	var lease struct{ Run string }
	body, _ := made.Get(t, "some/path/.regfsck/lock")
	if err := json.Unmarshal(body, &lease); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(state, "runs", lease.Run)
	journal := filepath.Join(dir, "journal.jsonl")
	begun := content(t, journal)
	takeUp := append([]string{"apply", filepath.Join(dir, "plan.jsonl"), "STORE", "--break-lease", lease.Run}, flags...)
	if exit := f.run(takeUp...); exit != 64 || !strings.Contains(f.errs.String(), "suspended (Ctrl-Z)") {
		t.Errorf("on the same machine: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	if is := content(t, journal); is != begun {
		t.Errorf("who was refused wrote %q", is[min(len(is), len(begun)):])
	}

	// A lock on this machine doesn't hold for copies of the directory.
	write(t, journal+".copy", begun)
	if err := os.Rename(journal+".copy", journal); err != nil {
		t.Fatal(err)
	}
	if exit := f.run(append([]string{"apply", filepath.Join(dir, "plan.jsonl"), "STORE"}, flags...)...); exit&^5 != 0 {
		t.Errorf("taken up: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	ended, after := content(t, journal), objects(t, made)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); first.ProcessState.ExitCode()&8 == 0 || !strings.Contains(said.String(), "nothing more is changed") {
		t.Errorf("woken: %v, %s", err, said)
	}
	if is := content(t, journal); is != ended || !strings.HasPrefix(is, begun) {
		t.Errorf("the journal had %d bytes when the first stopped, %d when the second ended, and has %d", len(begun), len(ended), len(is))
	}
	sameObjects(t, "woken", after, objects(t, made))
	if exit := f.run("undo", "STORE", lease.Run, "--state", state, "--s3-endpoint", proxy.Endpoint); exit != 0 || !strings.Contains(f.out.String(), "UNDONE") {
		t.Errorf("undo: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sameObjects(t, "undone", before, objects(t, made))
}

// content returns the content of a file.
func content(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

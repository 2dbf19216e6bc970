package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/report/progress"
)

func TestJSONIsAllOfStdout(t *testing.T) {
	f := newFake(t, anError)
	for _, flags := range [][]string{{"--json"}, {"--json", "--quiet"}, {"--json", "--color=always"}, {"--json", "--report", "DIR/r.json"}} {
		if got := f.run(append([]string{"check", "STORE"}, flags...)...); got != 4 {
			t.Errorf("%q: exit %d, %s", flags, got, f.errs.String())
		}
		var doc struct {
			Schema, Target, Started string
			Exit                    struct{ Code int }
			Cost                    struct {
				Links int `json:"links_read"`
			}
		}
		if err := json.Unmarshal(f.out.Bytes(), &doc); err != nil {
			t.Fatalf("%q: %v in\n%s", flags, err, f.out.String())
		}
		if doc.Schema != "regfsck.check/1" || doc.Target != f.store || doc.Exit.Code != 4 || doc.Cost.Links != 4 || doc.Started == "" {
			t.Errorf("%q: %+v", flags, doc)
		}
	}
}

func TestQuiet(t *testing.T) {
	f := newFake(t, anError)
	if got := f.run("check", "--quiet", "STORE"); got != 4 || strings.Count(f.out.String(), "\n") != 1 || !strings.HasPrefix(f.out.String(), "DAMAGED: ") {
		t.Errorf("exit %d, %q", got, f.out.String())
	}
	if f.errs.Len() > 0 {
		t.Errorf("stderr holds %q", f.errs.String())
	}
}

// TestQuietWithoutFindings: if all is well, --quiet prints nothing; plans with steps and
// lists are printed.
func TestQuietWithoutFindings(t *testing.T) {
	f := newFix(t, littered())
	for args, want := range map[string]bool{
		"check STORE": false, "check STORE --fail-on garbage": true, "fix STORE": true, "ls STORE": true,
	} {
		f.run(append(strings.Fields(args), "--quiet", "--grace", "0")...)
		if said := f.out.Len() > 0; said != want || f.errs.Len() > 0 {
			t.Errorf("%s: %q, %q", args, f.out.String(), f.errs.String())
		}
	}
	for _, args := range []string{"fix STORE --apply --yes", "fix STORE", "purge STORE --all --yes"} {
		if exit := f.run(append(strings.Fields(args), "--quiet")...); exit != 0 || f.out.Len()+f.errs.Len() > 0 {
			t.Errorf("%s: exit %d, %q, %q", args, exit, f.out.String(), f.errs.String())
		}
	}
}

func TestProgress(t *testing.T) {
	for flag, want := range map[string]bool{"--thorough": true, "--no-progress": false, "--quiet": false} {
		f := newFake(t)
		f.terminal = func(io.Writer) (int, bool) { return 80, true }
		shown, whole := make(chan struct{}, 1), f.check
		f.stderr = writerFunc(func(p []byte) (int, error) {
			select {
			case shown <- struct{}{}:
			default:
			}
			return len(p), nil
		})
		f.check = func(ctx context.Context, r backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			o.Progress.Phase("links")
			o.Progress.Total(10, "links")
			if want {
				<-shown
				return whole(ctx, r, o)
			}
			select {
			case <-shown:
				t.Errorf("%s: progress is shown", flag)
			case <-time.After(3 * progress.BarEvery):
			}
			return whole(ctx, r, o)
		}
		f.run("check", "STORE", flag)
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		env      map[string]string
		flag     string
		want     bool
	}{
		{false, nil, "auto", false}, {true, nil, "auto", true}, {true, nil, "never", false}, {false, nil, "always", true},
		{true, map[string]string{"NO_COLOR": "1"}, "auto", false}, {true, map[string]string{"NO_COLOR": "1"}, "always", true},
		{true, map[string]string{"TERM": "dumb"}, "auto", false}, {true, map[string]string{"NO_COLOR": ""}, "auto", true},
	} {
		f := newFake(t, anError)
		f.env = c.env
		f.terminal = func(io.Writer) (int, bool) { return 80, c.terminal }
		f.run("check", "STORE", "--no-progress", "--color", c.flag)
		if got := strings.Contains(f.out.String(), "\x1b["); got != c.want {
			t.Errorf("%+v: colour is %v", c, got)
		}
	}
}

func TestReportFile(t *testing.T) {
	f := newFake(t, anError)
	path := f.dir + "/r.json"
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.run("check", "STORE", "--report", "DIR/r.json", "--report=DIR/with,comma.json"); got != 4 {
		t.Fatalf("exit %d, %s", got, f.errs.String())
	}
	if !strings.HasPrefix(f.out.String(), "regfsck check  ") {
		t.Errorf("the text isn't written to stdout: %.60q", f.out.String())
	}
	first, err := os.ReadFile(path)
	if err != nil || !json.Valid(first) {
		t.Fatalf("%v, %s", err, first)
	}
	second, err := os.ReadFile(f.dir + "/with,comma.json")
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v: two files of one report differ", err)
	}
	if files, _ := os.ReadDir(f.dir); len(files) != 2 {
		t.Errorf("%v: more than the reports is left", files)
	}
}

func TestReportIsNotWrittenThroughALinkIntoTheStore(t *testing.T) {
	f := newFake(t)
	if err := os.Symlink(f.store+"/docker", f.dir+"/harmless"); err != nil {
		t.Fatal(err)
	}
	if got := f.run("check", "STORE", "--report", "DIR/harmless/r.json"); got != 16 || !strings.Contains(f.errs.String(), "inside the store") {
		t.Errorf("exit %d, %s", got, f.errs.String())
	}
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

func TestStdoutThatFails(t *testing.T) {
	f := newFake(t)
	for _, args := range [][]string{{"check", "STORE"}, {"check", "STORE", "--json"}, {"explain"}} {
		f.stdout = refusing{syscall.EPIPE}
		if got := f.run(args...); got != 8 || f.errs.Len() > 0 {
			t.Errorf("%q into a closed pipe: exit %d, %q", args, got, f.errs.String())
		}
		f.stdout = refusing{syscall.ENOSPC}
		if got := f.run(args...); got != 8 || !strings.Contains(f.errs.String(), "no space left") {
			t.Errorf("%q onto a full disk: exit %d, %q", args, got, f.errs.String())
		}
	}
}

// TestStdoutThatIsAClosedPipe: a closed pipe doesn't end the process.
func TestStdoutThatIsAClosedPipe(t *testing.T) {
	f := newFake(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	f.stdout = w
	if got := f.run("check", "STORE"); got != 8 || f.errs.Len() > 0 {
		t.Errorf("exit %d, %q", got, f.errs.String())
	}
}

// TestPhasesOfAnApplyAreNumbered: the phases of an apply are numbered separately from those
// of its plan.
func TestPhasesOfAnApplyAreNumbered(t *testing.T) {
	f := newFix(t, littered())
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	exit := f.run("fix", "STORE", "--apply", "--yes")
	for _, want := range []string{"1 of 3  links again ", "2 of 3  judge ", "3 of 3  apply "} {
		if exit != 0 || !strings.Contains(f.errs.String(), want) {
			t.Errorf("exit %d, no %q in %q", exit, want, f.errs.String())
		}
	}
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// TestSignalsThatAreIgnored: a run under nohup isn't ended by SIGHUP.
func TestSignalsThatAreIgnored(t *testing.T) {
	if slices.Contains(stopSignals(), os.Signal(syscall.SIGHUP)) == signal.Ignored(syscall.SIGHUP) {
		t.Errorf("as the tests were started SIGHUP is ignored: %v, and heeded all the same, or neither", signal.Ignored(syscall.SIGHUP))
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if slices.Contains(stopSignals(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP is heeded though it is ignored")
	}
}

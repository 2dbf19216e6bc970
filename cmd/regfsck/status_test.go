package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"regfsck/cmd/regfsck/outside"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// statusSaid is a part of the document of status.
type statusSaid struct {
	State string
	Last  *struct {
		Target, Verdict, Sentence, Finished string
		Complete, Interrupted               bool
		Exit                                struct{ Code int }
	} `json:"last_check"`
	Problem string `json:"last_check_problem"`
	Changed string `json:"changed_by"`
	Kept    struct {
		Runs  int
		Bytes int64
		Asked bool
	}
	Runs []struct {
		ID   string
		Kept int64 `json:"kept_bytes"`
	}
}

// status returns the document of status and its exit code.
func (f *fake) status(t *testing.T, args ...string) (said statusSaid, exit int) {
	t.Helper()
	exit = f.run(slices.Concat([]string{"status", "STORE"}, args, []string{"--json"})...)
	if err := json.Unmarshal(f.out.Bytes(), &said); err != nil {
		t.Fatalf("%q: exit %d, %v, %s", args, exit, err, f.errs.String())
	}
	return said, exit
}

// recordIn returns the only record in a state directory that has nothing else of a check.
func recordIn(t *testing.T, state string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "last-check*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	return found[0]
}

// TestStatusReportsTheLastCheck: a check is recorded only if requested or if the state
// directory exists; then status has its verdict, without reading the store.
func TestStatusReportsTheLastCheck(t *testing.T) {
	f := newFix(t, rotten())
	state := filepath.Join(f.store, outside.StateName)
	f.run("check", "STORE", "--no-progress")
	if _, err := os.Lstat(state); err == nil {
		t.Error("a check has made a state directory")
	}
	if said, exit := f.status(t); exit != 0 || said.Last != nil || said.Problem != "" {
		t.Errorf("exit %d, %+v", exit, said)
	}
	f.run("status", "STORE")
	if !strings.Contains(f.out.String(), "No check is recorded in") || !strings.Contains(f.out.String(), "regfsck check "+f.store+" --state "+state) {
		t.Errorf("%s", f.out.String())
	}
	if _, err := os.Lstat(state); err == nil {
		t.Error("status has made a state directory")
	}
	for _, args := range [][]string{{"--state", state}, nil, {"--verify", "all", "--thorough"}, {"--fail-on", "never"}} {
		exit := f.run(slices.Concat([]string{"check", "STORE", "--quiet"}, args)...)
		sentence := strings.TrimSpace(f.out.String())
		said, is := f.status(t)
		if is != 0 || said.Last == nil || said.Last.Sentence != sentence || said.Last.Exit.Code != exit || !said.Last.Complete || said.Last.Target != f.store {
			t.Errorf("%q: check ended with %d: %s\nstatus with %d: %+v", args, exit, sentence, is, said)
		}
		recordIn(t, state)
	}
	whole := f.content(t)
	for _, width := range []int{0, 80, 120} {
		f.terminal = func(io.Writer) (int, bool) { return width, width > 0 }
		if exit := f.run("status", "STORE"); exit != 0 || !strings.Contains(f.out.String(), ": 3 of 2") && !strings.Contains(f.out.String(), "can't be pulled") {
			t.Errorf("exit %d\n%s", exit, f.out.String())
		}
		if len(f.seen) > 0 {
			t.Error("the store was read")
		}
	}
	f.terminal = func(io.Writer) (int, bool) { return 0, false }
	f.untouched(t, "status", whole)
	if err := os.Rename(filepath.Join(f.store, "docker"), filepath.Join(f.dir, "docker")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"blobs", "repositories"} {
		if err := os.MkdirAll(filepath.Join(f.store, "docker/registry/v2", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if said, exit := f.status(t); exit != 0 || said.Last == nil || said.Last.Verdict != "damaged" {
		t.Errorf("exit %d, %+v", exit, said)
	}
	for args, want := range map[string]string{"status": "no STORE was given", "status STORE more": "one STORE", "status STORE --report DIR/x.csv": "one of .json, .md and .html", "status STORE --verbose": "no flag"} {
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestIncompleteChecksInStatus: status reports an incomplete check as such.
func TestIncompleteChecksInStatus(t *testing.T) {
	f := newFake(t, aFault, anError)
	if exit := f.run("check", "STORE", "--state", "DIR/state"); exit != 12 {
		t.Fatalf("exit %d, %s", exit, f.errs.String())
	}
	said, exit := f.status(t, "--state", "DIR/state")
	if exit != 0 || said.Last == nil || said.Last.Complete || said.Last.Exit.Code != 12 {
		t.Errorf("exit %d, %+v", exit, said)
	}
	f.run("status", "STORE", "--state", "DIR/state")
	if text := f.out.String(); !strings.Contains(text, "DAMAGED and INCOMPLETE: ") || !strings.Contains(text, "INCOMPLETE: something could not be read, so there may be more.") {
		t.Errorf("%s", text)
	}
}

// TestStoresHaveRecordsOfTheirOwn: records of two stores in one state directory are never
// confused, even if renamed.
func TestStoresHaveRecordsOfTheirOwn(t *testing.T) {
	a, b := newFix(t, rotten()), newFix(t, fixtures.Standard())
	state := filepath.Join(a.dir, "state")
	a.run("check", "STORE", "--state", state)
	mine := recordIn(t, state)
	if said, _ := b.status(t, "--state", state); said.Last != nil || said.Problem != "" {
		t.Errorf("of a store that was never checked: %+v", said)
	}
	b.run("check", "STORE", "--state", state)
	first, _ := a.status(t, "--state", state)
	second, _ := b.status(t, "--state", state)
	if first.Last == nil || second.Last == nil || first.Last.Verdict != "damaged" || second.Last.Verdict != "clean" {
		t.Errorf("%+v\n%+v", first.Last, second.Last)
	}
	all, _ := filepath.Glob(filepath.Join(state, "last-check*"))
	for _, other := range all {
		if other != mine {
			write(t, other, read(t, mine))
		}
	}
	if said, exit := b.status(t, "--state", state); exit != 8 || said.Last != nil || !strings.Contains(said.Problem, "it is about another store, "+a.store) {
		t.Errorf("exit %d, %+v", exit, said)
	}
}

// TestInvalidRecords changes each byte of a record, and cuts it at each.
func TestInvalidRecords(t *testing.T) {
	f := newFix(t, rotten())
	f.run("check", "STORE", "--state", "DIR/state")
	path := recordIn(t, filepath.Join(f.dir, "state"))
	whole := read(t, path)
	tryOut := func(text, want string) {
		t.Helper()
		write(t, path, text)
		if said, exit := f.status(t, "--state", "DIR/state"); exit != 8 || said.Last != nil || !strings.Contains(said.Problem, want) {
			t.Errorf("exit %d, %+v with\n%s", exit, said, text)
		}
	}
	for n := range len(whole) {
		if n%7 == 0 || n > len(whole)-5 {
			tryOut(whole[:n], "edited, or is cut short")
			tryOut(whole[:n]+string(whole[n]^1)+whole[n+1:], "edited, or is cut short")
		}
	}
	tryOut(whole+"x", "edited, or is cut short")
	tryOut(strings.Repeat(whole, 100), "edited, or is cut short")
	if exit := f.run("status", "STORE", "--state", "DIR/state"); exit != 8 || !strings.Contains(f.out.String(), "is not used: it was edited, or is cut short. It is:\n    "+path) || strings.Contains(f.out.String(), "DAMAGED") {
		t.Errorf("exit %d\n%s", exit, f.out.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", path); err != nil {
		t.Fatal(err)
	}
	if said, exit := f.status(t, "--state", "DIR/state"); exit != 8 || !strings.Contains(said.Problem, "symbolic link") {
		t.Errorf("exit %d, %+v", exit, said)
	}
	f.run("check", "STORE", "--state", "DIR/state")
	if said, exit := f.status(t, "--state", "DIR/state"); exit != 0 || said.Last == nil {
		t.Errorf("after another check: exit %d, %+v", exit, said)
	}
}

// TestARecordThatCantBeWritten: a check reports that its requested record could not be
// written; the rest of its answer is unchanged.
func TestARecordThatCantBeWritten(t *testing.T) {
	f := newFix(t, fixtures.Standard())
	state := filepath.Join(f.store, outside.StateName)
	elsewhere := t.TempDir()
	for _, break_ := range []func() error{
		func() error { return os.WriteFile(state, nil, 0o600) },
		func() error { return os.Symlink(elsewhere, state) },
	} {
		if err := break_(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args []string
			exit int
		}{{nil, 0}, {[]string{"--state", state}, 8}} {
			exit := f.run(append([]string{"check", "STORE"}, c.args...)...)
			if text := strings.Join(strings.Fields(f.out.String()), " "); exit != c.exit || !strings.Contains(text, "What this check found is not recorded for regfsck status: ") || !strings.Contains(text, "CLEAN: ") {
				t.Errorf("%q: exit %d\n%s%s", c.args, exit, f.out.String(), f.errs.String())
			}
		}
		if err := os.Remove(state); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("something was written behind a link: %v %v", left, err)
	}
	if exit := f.run("check", "STORE", "--state", "DIR/none/state"); exit != 16 || len(f.seen) > 0 {
		t.Errorf("exit %d, %s", exit, f.errs.String())
	}
}

// TestConcurrentChecksLeaveAWholeRecord runs concurrent checks of a store while status reads.
func TestConcurrentChecksLeaveAWholeRecord(t *testing.T) {
	f := newFix(t, fixtures.Standard())
	f.run("check", "STORE", "--state", "DIR/state")
	var checks sync.WaitGroup
	ended := make(chan struct{})
	for range 6 {
		checks.Go(func() {
			for range 5 {
				w := f.world
				w.stdout, w.stderr = io.Discard, io.Discard
				if exit := run(context.Background(), []string{"regfsck", "check", f.store, "--state", filepath.Join(f.dir, "state"), "--no-progress"}, w); exit != 0 {
					t.Errorf("exit %d", exit)
				}
			}
		})
	}
	go func() { checks.Wait(); close(ended) }()
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		default:
		}
		w := f.world
		var out strings.Builder
		w.stdout = &out
		if exit := run(context.Background(), []string{"regfsck", "status", f.store, "--state", filepath.Join(f.dir, "state")}, w); exit != 0 || !strings.Contains(out.String(), "CLEAN: ") {
			t.Errorf("exit %d\n%s", exit, out.String())
		}
	}
	recordIn(t, filepath.Join(f.dir, "state"))
}

// TestStatusOfRuns: status has what each run keeps, and which changed the store since the
// check; on disk, and in a bucket without requests.
func TestStatusOfRuns(t *testing.T) {
	onDisk := newFix(t, twoImages())
	inBucket, _, _ := change(t, twoImages(), s3test.Enabled)
	for _, f := range []*fake{onDisk, inBucket} {
		var first, second carried
		f.document(t, &first, "rm", "STORE", "app", "--apply", "--yes")
		f.run("check", "STORE")
		if said, exit := f.status(t); exit != 0 || said.Last == nil || said.Last.Verdict != "clean" || said.Changed != "" || said.Kept.Bytes != first.Kept || said.Kept.Runs != 1 || said.Kept.Asked != (f == onDisk) {
			t.Errorf("exit %d, %+v; kept %d", exit, said, first.Kept)
		}
		f.document(t, &second, "rm", "STORE", "web:v1", "--apply", "--yes")
		if f == inBucket {
			t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1") // requests would fail
		}
		said, exit := f.status(t)
		if exit != 0 || said.Last == nil || len(said.Runs) != 2 || said.Kept.Bytes != first.Kept+second.Kept || said.Runs[0].Kept != second.Kept || said.Changed != second.Run {
			t.Errorf("exit %d, %+v; kept %d and %d", exit, said, first.Kept, second.Kept)
		}
	}
	f := onDisk
	f.run("purge", "STORE", "--all", "--yes")
	f.run("status", "STORE")
	if text := f.out.String(); !strings.Contains(text, "2 runs; none of them keeps anything") {
		t.Errorf("%s", text)
	}
}

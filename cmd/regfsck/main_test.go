package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/disk"
	"regfsck/backend/drivers"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/help"
	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/retain"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// TestMain runs the program if the binary of the tests was started by the program's name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "regfsck" {
		main()
	}
	os.Exit(fixtures.Run(m))
}

// programPath returns the path of a file named regfsck that is the program.
func programPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "regfsck")
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// fake is a world with an empty store whose checks return a given result.
type fake struct {
	world
	out, errs bytes.Buffer
	env       map[string]string
	seen      []check.Options // of the checks
	slept     []time.Time     // the ends of the waits
	t         testing.TB
	store     string
	dir       string // for files
	cache     string // the user's cache directory
}

func newFake(t testing.TB, findings ...finding.Finding) *fake {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, env: map[string]string{}, store: filepath.Join(dir, "store"), dir: filepath.Join(dir, "files"), cache: filepath.Join(dir, "cache")}
	for _, d := range []string{f.store + "/docker/registry/v2/blobs", f.store + "/docker/registry/v2/repositories", f.dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &check.Result{Complete: true, Findings: slices.Values(findings), Broken: slices.Values([]finding.BrokenTag(nil)), Unknown: slices.Values([]finding.BrokenTag(nil))}
	for _, found := range findings {
		r.Counts[found.Kind].Count++
		r.Complete = r.Complete && found.Kind != finding.StoreUnreadable
	}
	f.world = world{
		stdout: &f.out, stderr: &f.errs,
		getenv: func(name string) string {
			if name == "GOGC" { // not set, a run would limit the garbage of all tests after it
				return "800"
			}
			return f.env[name]
		},
		environ: func() (all []string) {
			for name, value := range f.env {
				all = append(all, name+"="+value)
			}
			return all
		},
		caches: func() (string, error) { return f.cache, nil },
		now:    func() time.Time { return fixtures.Epoch },
		sleep: func(_ context.Context, until time.Time) error {
			f.slept = append(f.slept, until)
			return nil
		},
		terminal: func(io.Writer) (int, bool) { return 0, false },
		disk:     func(string) (disk.Space, error) { return disk.Space{}, errors.ErrUnsupported },
		rules:    retain.Rows(),
		drivers:  drivers.All(),
		check: func(_ context.Context, _ backend.Reader, o check.Options) (*check.Result, []graph.Phase, error) {
			f.seen = append(f.seen, o)
			return r, []graph.Phase{{Name: "blobs", Count: 3, Unit: "blobs"}, {Name: "links", Count: 4, Unit: "links"}}, nil
		},
	}
	return f
}

// run runs the program; STORE is the store, DIR a directory for files.
func (f *fake) run(args ...string) int {
	f.out.Reset()
	f.errs.Reset()
	f.seen = nil
	all := []string{"regfsck"}
	for _, a := range args {
		all = append(all, strings.NewReplacer("STORE", f.store, "DIR", f.dir).Replace(a))
	}
	exit := run(context.Background(), all, f.world)
	if can := help.ExitsOf(all[min(1, len(all)-1)]); exitcode.Code(exit)&^can != 0 {
		f.t.Errorf("%q: exit %d, of which the help says nothing", args, exit)
	}
	if slices.Contains(args, "--json") && f.out.Len() > 0 {
		validated(f.t, args, f.out.Bytes())
	}
	return exit
}

// refuses reports whether a failed command has no answer: stdout is empty or, with --json,
// has the document of the error.
func (f *fake) refuses(args ...string) bool {
	if !slices.Contains(args, "--json") {
		return f.out.Len() == 0
	}
	var said struct {
		Schema, Error, Hint string
		Exit                struct{ Code int }
	}
	err := json.Unmarshal(f.out.Bytes(), &said)
	sentence, hint, _ := strings.Cut(strings.TrimPrefix(f.errs.String(), "regfsck: "), "\n")
	return err == nil && said.Schema == report.FailureSchema && words.Clean(said.Error) == sentence && said.Hint == strings.TrimSuffix(hint, "\n") && said.Exit.Code > 0
}

var (
	anError   = finding.Finding{Kind: finding.BlobMissing, Path: "p", Cure: finding.CureNone}
	aWarning  = finding.Finding{Kind: finding.ForeignFile, Path: "p", Cure: finding.CureNone}
	aLeftover = finding.Finding{Kind: finding.BlobOrphan, Path: "p", Cure: finding.CureRemove}
	aFault    = finding.Finding{Kind: finding.StoreUnreadable, Path: "p", Cure: finding.CureNone}
)

func TestBadArguments(t *testing.T) {
	f := newFake(t)
	write(t, f.dir+"/taken.json", "")
	if err := os.Mkdir(f.dir+"/directory.json", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string // on stderr
	}{
		{[]string{"chek", "STORE"}, `there is no command "chek"; did you mean check?`},
		{[]string{"mend", "STORE"}, `there is no command "mend"`},
		{[]string{"--json", "check"}, "no flag --json before a command"},
		{[]string{"check", "STORE", "--jason"}, "there is no flag --jason; did you mean --json?"},
		{[]string{"check", "STORE", "--zzzzzzzz=1"}, "there is no flag --zzzzzzzz\n"},
		{[]string{"check", "-x", "STORE"}, "there is no flag -x"},
		{[]string{"check", "STORE", "--grace"}, "--grace needs a value"},
		{[]string{"check", "STORE", "--grace", "5"}, `--grace is a duration like 30m, 1h or 7d, not "5"`},
		{[]string{"check", "STORE", "--grace=m"}, "--grace is a duration"},
		{[]string{"check", "STORE", "--grace=-1h"}, "--grace is a duration"},
		{[]string{"check", "STORE", "--grace=999999999w"}, "--grace is a duration"},
		{[]string{"check", "STORE", "--uploads-older-than="}, "--uploads-older-than is a duration"},
		{[]string{"check", "STORE", "--verify", "some"}, "--verify is manifests, all, or a share"},
		{[]string{"check", "STORE", "--verify", "101%"}, "--verify is"},
		{[]string{"check", "STORE", "--verify", "0%"}, "--verify is"},
		{[]string{"check", "STORE", "--verify", "NaN%"}, "--verify is"},
		{[]string{"check", "STORE", "--verify", "50"}, "--verify is"},
		{[]string{"check", "STORE", "--fail-on", "fatal"}, `--fail-on is error, warning, garbage or never, not "fatal"`},
		{[]string{"check", "STORE", "--color=blue"}, "--color is auto, always or never"},
		{[]string{"check", "STORE", "--workers", "0"}, "--workers is a number from 1"},
		{[]string{"check", "STORE", "--workers", "many"}, "--workers is a number from 1"},
		{[]string{"check", "STORE", "--json=maybe"}, "--json takes no value"},
		{[]string{"check", "STORE", "STORE"}, "one STORE is checked at a time"},
		{[]string{"check", ""}, "STORE is empty"},
		{[]string{"check"}, "no STORE was given"},
		{[]string{"check", "STORE/nope"}, "there is no such file or directory"},
		{[]string{"check", "DIR/directory.json"}, "empty directory"},
		{[]string{"check", "DIR/taken.json"}, "empty file"},
		{[]string{"check", "s3://"}, "names no bucket"},
		{[]string{"check", "STORE", "--s3-region", "x"}, "--s3-region is about buckets"},
		{[]string{"check", "STORE", "--no-cache"}, "--no-cache is about buckets"},
		{[]string{"undo", "STORE", "--no-cache"}, "there is no flag --no-cache"},
		{[]string{"check", "s3://b", "--s3-rate", "none"}, "--s3-rate is a number"},
		{[]string{"check", "STORE", "--follow", "/nope"}, "/nope"},
		{[]string{"check", "STORE", "--report", "DIR/r.xlsx"}, "one of .json, .csv, .md, .html, .prom and .junit.xml"},
		{[]string{"check", "STORE", "--report", "DIR/json"}, "one of .json, "},
		{[]string{"check", "STORE", "--report", "DIR/nope/r.json"}, "can't be written: no such file or directory"},
		{[]string{"check", "STORE", "--report", "DIR/directory.json"}, "something that is no file"},
		{[]string{"check", "STORE", "--report", "STORE/r.json"}, "inside the store"},
		{[]string{"check", "STORE", "--report", "STORE/docker/registry/v2/blobs/r.json"}, "inside the store"},
		{[]string{"check", "STORE/docker/registry/v2", "--report", "DIR/ok.json", "--report", "STORE/r.json"}, "inside the store"},
		{[]string{"fix", "STORE", "--from-rate", "fast"}, "--from-rate is a number of bytes"},
		{[]string{"explain", "blob-orphn"}, `there is no finding "blob-orphn"; did you mean blob-orphan?`},
		{[]string{"explain", "a", "b"}, "explain takes one ID"},
		{[]string{"explain", "--json"}, "there is no flag --json"},
	} {
		const want = 16
		for _, more := range [][]string{nil, {"--json"}} {
			if more != nil && (len(c.args) == 0 || c.args[0] != "check") {
				continue
			}
			args := slices.Concat(c.args[:min(1, len(c.args))], more, c.args[min(1, len(c.args)):])
			if got := f.run(args...); got != want || !strings.Contains(f.errs.String(), c.want) {
				t.Errorf("%q: exit %d, %q; want %d, %q", args, got, f.errs.String(), want, c.want)
			}
			if !f.refuses(args...) {
				t.Errorf("%q: stdout holds %q", args, f.out.String())
			}
			if len(f.seen) > 0 {
				t.Errorf("%q: the store was read", args)
			}
		}
	}
	files, err := os.ReadDir(f.dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v: something was left in the directory of the reports", files, err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{"check ", "explain ", "Exit codes", "\n  64 ", "recipes "}},
		{[]string{"-h"}, []string{"Exit codes"}},
		{[]string{"check", "--help"}, []string{"--uploads-older-than DURATION", "--delete-untagged", "(default 1h)", "Exit codes", "config.yml"}},
		{[]string{"check", "STORE", "-h"}, []string{"Exit codes"}},
		{[]string{"explain", "--help"}, []string{"[ID]"}},
		{[]string{"--version"}, []string{"regfsck version " + version}},
	} {
		if got := f.run(c.args...); got != 0 || f.errs.Len() > 0 {
			t.Errorf("%q: exit %d, %q", c.args, got, f.errs.String())
		}
		for _, w := range c.want {
			if !strings.Contains(f.out.String(), w) {
				t.Errorf("%q lacks %q:\n%s", c.args, w, f.out.String())
			}
		}
	}
}

func TestExplain(t *testing.T) {
	f := newFake(t)
	for id := range finding.All {
		if got := f.run("explain", id.String()); got != 0 || !strings.HasPrefix(f.out.String(), id.String()) {
			t.Errorf("%s: exit %d, %.60q", id, got, f.out.String())
		}
	}
	if got := f.run("explain"); got != 0 || !strings.Contains(f.out.String(), "signature-legacy") {
		t.Errorf("exit %d, %s", got, f.out.String())
	}
	f.run("explain", "--color=always", "blob-orphan")
	if !strings.Contains(f.out.String(), "\x1b[") {
		t.Error("no colour, where always was asked for")
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		findings []finding.Finding
		failOn   string
		want     int
	}{
		{nil, "garbage", 0},
		{[]finding.Finding{anError}, "error", 4},
		{[]finding.Finding{anError}, "never", 0},
		{[]finding.Finding{aWarning}, "error", 0},
		{[]finding.Finding{aWarning}, "warning", 4},
		{[]finding.Finding{aLeftover}, "warning", 0},
		{[]finding.Finding{aLeftover}, "garbage", 4},
		{[]finding.Finding{aFault}, "never", 8},
		{[]finding.Finding{aFault, anError}, "error", 12},
		{[]finding.Finding{aFault, anError}, "never", 8},
	} {
		f := newFake(t, c.findings...)
		if got := f.run("check", "STORE", "--fail-on", c.failOn); got != c.want {
			t.Errorf("%v --fail-on %s: exit %d, want %d", c.findings, c.failOn, got, c.want)
		}
	}
}

func TestErrorsOfACheck(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("list blobs: input/output error"), 8},
		{os.ErrNotExist, 16},
	} {
		f := newFake(t)
		f.check = func(context.Context, backend.Reader, check.Options) (*check.Result, []graph.Phase, error) {
			return nil, nil, c.err
		}
		got := f.run("check", "STORE", "--json", "--report", "DIR/r.json")
		if got != c.want || !f.refuses("--json") || !strings.Contains(f.errs.String(), c.err.Error()) {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", c.err, got, f.out.String(), f.errs.String())
		}
		if files, _ := os.ReadDir(f.dir); len(files) > 0 {
			t.Errorf("%v: %v is left", c.err, files)
		}
	}
}

// newWhole returns a world a year after the builder's store was written to STORE; its checks
// are real.
func newWhole(t *testing.T, b *fixtures.Builder) *fake {
	t.Helper()
	f := newFake(t)
	f.check = check.Store
	f.now = func() time.Time { return fixtures.Epoch.AddDate(1, 0, 0) }
	f.rewrite(t, b)
	return f
}

// rewrite makes STORE the builder's store. Only other files are removed first, since removing
// takes ten times as long as writing.
func (f *fake) rewrite(t *testing.T, b *fixtures.Builder) {
	t.Helper()
	err := filepath.WalkDir(f.store, func(path string, e fs.DirEntry, err error) error {
		key, _ := filepath.Rel(f.store, path)
		_, file := b.File(key)
		if err != nil || key == "." || b.Has(key) && (e.IsDir() && !file || e.Type().IsRegular() && file) {
			return err
		}
		if err := os.RemoveAll(path); err != nil || !e.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteDir(f.store); err != nil {
		t.Fatal(err)
	}
}

// answer is a part of the document of a check.
type answer struct {
	Complete bool
	Verdict  string
	Totals   struct {
		Repositories, Tags, Revisions, Blobs int
		TagsBroken                           int `json:"tags_broken"`
		TagsUnknown                          int `json:"tags_unknown"`
	}
	Broken   []struct{ Ref string } `json:"broken_tags"`
	Findings []found
	Exit     struct {
		Code int
		Bits []string
	}
}

// found is a finding in a document.
type found struct {
	ID, Path, Repository, Tag, Digest, Detail, Cure string
	Affects                                         []string
}

// judge runs a check with --json and returns its document.
func (f *fake) judge(t *testing.T, flags ...string) (a answer) {
	t.Helper()
	exit := f.run(slices.Concat([]string{"check", "STORE", "--json", "--no-progress"}, flags)...)
	if err := json.Unmarshal(f.out.Bytes(), &a); err != nil {
		t.Fatalf("check %q: exit %d, %v in\n%s\n%s", flags, exit, err, f.out.String(), f.errs.String())
	}
	if a.Exit.Code != exit {
		t.Errorf("check %q: the document says exit %d, and it was %d", flags, a.Exit.Code, exit)
	}
	if f.errs.Len() > 0 {
		t.Errorf("check %q: stderr holds %q", flags, f.errs.String())
	}
	return a
}

// lines returns the findings without texts, sorted.
func (a answer) lines() []string {
	all := []string{}
	for _, x := range a.Findings {
		all = append(all, line(x.ID, x.Path, x.Repository, x.Tag, x.Digest, x.Affects))
	}
	slices.Sort(all)
	return all
}

// told returns the lines of a damage's findings, sorted.
func told(found []fixtures.Found) []string {
	all := []string{}
	for _, x := range found {
		all = append(all, line(x.ID, x.Path, x.Repository, x.Tag, x.Digest, x.Affects))
	}
	slices.Sort(all)
	return all
}

func line(id, path, repository, tag, digest string, affects []string) string {
	return strings.Join([]string{id, path, repository, tag, digest, strings.Join(affects, ",")}, " | ")
}

// flagsFor returns the flags with which a check finds a damage.
func flagsFor(d fixtures.Damage) []string {
	flags := []string{}
	if d.Thorough {
		flags = append(flags, "--thorough")
	}
	if d.Verify {
		flags = append(flags, "--verify", "all")
	}
	if d.Untagged {
		flags = append(flags, "--untagged")
	}
	return flags
}

// aside returns a new empty directory beside STORE.
func (f *fake) aside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(f.store), "aside")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// snapshot returns a snapshot of a directory.
func snapshot(t *testing.T, dir string) fixtures.Picture {
	t.Helper()
	p, err := fixtures.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// damaged returns the standard store with the first damage of each id, in this order.
func damaged(ids ...string) *fixtures.Builder {
	b := fixtures.Standard()
	all := fixtures.Damages()
	for _, id := range ids {
		all[slices.IndexFunc(all, func(d fixtures.Damage) bool { return d.ID == id })].Apply(b)
	}
	return b
}

// TestExitCodesOfRealStores checks each kind of store with every value of --fail-on.
func TestExitCodesOfRealStores(t *testing.T) {
	f := newWhole(t, fixtures.New(1))
	failOns := []string{"error", "warning", "garbage", "never"}
	for _, c := range []struct {
		name    string
		damages []string
		unread  bool
		codes   [4]int // by failOns
		bits    [4]string
		verdict string // the beginning of the verdict
	}{
		{"clean", nil, false, [4]int{0, 0, 0, 0}, [4]string{}, "CLEAN: "},
		{"garbage", []string{"blob-orphan"}, false, [4]int{0, 0, 4, 0}, [4]string{2: "damage-left"}, "CLEAN: "},
		{"warnings", []string{"foreign-file", "name-invalid"}, false, [4]int{0, 4, 4, 0}, [4]string{1: "damage-left", 2: "damage-left"}, "CLEAN: "},
		{"damaged", []string{"blob-missing"}, false, [4]int{4, 4, 4, 0}, [4]string{"damage-left", "damage-left", "damage-left"}, "DAMAGED: "},
		{"incomplete", nil, true, [4]int{8, 8, 8, 8}, [4]string{"incomplete", "incomplete", "incomplete", "incomplete"}, "INCOMPLETE: "},
		{
			"incomplete, garbage", []string{"folder-empty"}, true, [4]int{8, 8, 12, 8},
			[4]string{"incomplete", "incomplete", "damage-left incomplete", "incomplete"}, "INCOMPLETE: ",
		},
		{
			"incomplete, damaged", []string{"blob-missing"}, true, [4]int{12, 12, 12, 8},
			[4]string{"damage-left incomplete", "damage-left incomplete", "damage-left incomplete", "incomplete"}, "DAMAGED and INCOMPLETE: ",
		},
	} {
		f.rewrite(t, damaged(c.damages...))
		if c.unread {
			if err := fixtures.Damages()[0].Disk(f.store, f.aside(t)); err != nil {
				t.Fatal(err)
			}
		}
		for i, failOn := range failOns {
			a := f.judge(t, "--fail-on", failOn)
			if a.Exit.Code != c.codes[i] || strings.Join(a.Exit.Bits, " ") != c.bits[i] {
				t.Errorf("%s, --fail-on %s: exit %+v, want %d %s", c.name, failOn, a.Exit, c.codes[i], c.bits[i])
			}
			if damage := slices.Contains(c.damages, "blob-missing"); a.Complete == c.unread || (a.Verdict == "damaged") != damage {
				t.Errorf("%s, --fail-on %s: complete is %v, the verdict %s", c.name, failOn, a.Complete, a.Verdict)
			}
			exit, well := f.run("check", "STORE", "--fail-on", failOn, "--quiet"), c.codes[i] == 0 && a.Verdict != "damaged"
			if exit != c.codes[i] || well != (f.out.Len() == 0) || !well && !strings.HasPrefix(f.out.String(), c.verdict) {
				t.Errorf("%s, --fail-on %s, --quiet: exit %d, %s", c.name, failOn, exit, f.out.String())
			}
		}
	}
}

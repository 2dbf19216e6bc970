package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// TestPruneKeepsWhatIsInUse plans with a list, from a file and from stdin, by flags and by a
// policy, and carries it out: nothing in the list is removed.
func TestPruneKeepsWhatIsInUse(t *testing.T) {
	b, app := aged()
	f := newFix(t, b)
	list := filepath.Join(f.dir, "prod.txt")
	body := "reg.example.com/team/app:v1\ndocker-pullable://reg.example.com/team/app@" + app[3].Digest.String() + "\nquay.io/else/where:1\n"
	write(t, list, body)
	if err := os.Chtimes(list, time.Time{}, f.now()); err != nil {
		t.Fatal(err)
	}
	p := f.prune(t, "--keep-list", "DIR/prod.txt")
	want := map[string]string{
		"team/app:v1":     "keep-list " + list + " (reg.example.com/team/app:v1)",
		"team/app:v3":     "keep-list " + list + " (reg.example.com/team/app@" + app[3].Digest.String() + ")",
		"team/app:v4":     "not kept by keep-list " + list,
		"team/app:latest": "latest",
		"team/app:v5":     "newest",
		"other:v1":        "not kept by keep-list " + list,
	}
	for name, why := range want {
		if v := p.of(t, name); strings.Trim(v.reason(), "; ") != why || v.Keep == strings.HasPrefix(why, "not") {
			t.Errorf("%s: %+v, want %s", name, v, why)
		}
	}
	note := list + " names 2 images of the store, 1 image of other hosts (quay.io)"
	if len(p.Notes) == 0 || p.Notes[len(p.Notes)-1] != note {
		t.Errorf("%q, not %q", p.Notes, note)
	}
	write(t, filepath.Join(f.dir, "policy.yml"), "version: 1\nrules: [{keep-list: "+list+"}]\n")
	if byFile := f.prune(t, "--policy", "DIR/policy.yml"); byFile.Plan != p.Plan {
		t.Errorf("by a policy file it is %s", byFile.Plan)
	}
	f.stdin = strings.NewReader(body)
	if fromStdin := f.prune(t, "--keep-list", "-"); strings.Join(fromStdin.going(), " ") != strings.Join(p.going(), " ") {
		t.Errorf("from stdin %q goes", fromStdin.going())
	}
	if both := f.prune(t, "--keep-list", "DIR/prod.txt", "--keep-tags", "^v4"); !both.of(t, "team/app:v4").Keep || !both.of(t, "team/app:v3").Keep {
		t.Errorf("%q goes", both.going())
	}
	var a applied
	if exit := f.document(t, &a, "prune", "STORE", "--keep-list", "DIR/prod.txt", "--apply", "--yes"); exit != 0 || a.Plan != p.Plan || a.Totals.Done != len(p.Steps) {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	if exit := f.run("check", "STORE", "--fail-on", "garbage"); exit != 0 {
		t.Errorf("the check afterwards says %d:\n%s", exit, f.out.String())
	}
}

// TestListsThatStopAPrune: an empty or old list, or one of another registry, is refused.
func TestListsThatStopAPrune(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	before := f.content(t)
	list := func(name, body string, age time.Duration) {
		write(t, filepath.Join(f.dir, name), body)
		if err := os.Chtimes(filepath.Join(f.dir, name), time.Time{}, f.now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	list("empty", "# none today\n", 0)
	list("error", "error: You must be logged in to the server (Unauthorized)\n", 0)
	list("others", "quay.io/a/b:1 docker.io/library/redis:7", 0)
	list("old", "reg.io/team/app:v1", 25*time.Hour)
	list("good", "reg.io/team/app:v1", 23*time.Hour)
	list("evil", "quay.io/\x1b[31m:1 quay.io/x:1\x1b[2J", 0)
	for flags, want := range map[string]string{
		"--keep-list DIR/empty":                       "DIR/empty: it names no image",
		"--keep-list DIR/error":                       "DIR/error: it names no image",
		"--keep-list DIR/others":                      "DIR/others: nothing of the store is named in it",
		"--keep-list DIR/evil":                        "nothing of the store is named in it",
		"--keep-list DIR/good --keep-list DIR/others": "DIR/others: nothing of the store is named in it",
		"--keep-list DIR/old":                         "is older than 1d",
		"--keep-list DIR/good --keep-list-age 22h":    "is older than 22h",
		"--keep-list DIR/none":                        "no such file",
		"--keep-list DIR":                             "directory",
		"--keep-list -":                               "-: it names no image",
		"--keep-last 1 --keep-list-age 1d":            "is the allowed age of a list",
	} {
		f.stdin = strings.NewReader("")
		for _, apply := range []string{"", " --apply --yes"} {
			want := strings.ReplaceAll(want, "DIR", f.dir)
			if exit := f.run(strings.Fields("prune STORE " + flags + apply)...); exit != 16 || !strings.Contains(f.errs.String(), want) || strings.Contains(f.errs.String(), "\x1b") {
				t.Errorf("%s%s: exit %d, %s%s", flags, apply, exit, f.out.String(), f.errs.String())
			}
		}
	}
	f.untouched(t, "refused", before)
	for _, flags := range []string{"--keep-list DIR/good", "--keep-list DIR/old --keep-list-age 2d"} {
		if p := f.prune(t, strings.Fields(flags)...); !p.of(t, "team/app:v1").Keep || p.of(t, "team/app:v3").Keep {
			t.Errorf("%s: %q goes", flags, p.going())
		}
	}
}

// access returns an access log with lines every 12 hours for some days until end, with pulls
// some hours before end.
func access(end time.Time, days int, pulls map[string]int) string {
	var b strings.Builder
	line := func(hours int, path string) {
		fmt.Fprintf(&b, "10.0.0.1 - - [%s] \"GET /v2/%s HTTP/1.1\" 200 10 \"-\" \"x\"\n", end.Add(-time.Duration(hours)*time.Hour).Format("02/Jan/2006:15:04:05 -0700"), path)
	}
	for i := 0; i <= 2*days; i++ {
		line(12*i, "")
	}
	for ref, hours := range pulls {
		line(hours, ref)
	}
	return b.String()
}

// TestPruneKeepsWhatIsPulled plans with rotated logs, one of them compressed, by flags and by
// a policy, and carries it out.
func TestPruneKeepsWhatIsPulled(t *testing.T) {
	b, app := aged()
	f := newFix(t, b)
	now := f.now()
	write(t, f.dir+"/access.log", access(now, 20, map[string]int{"team/app/manifests/v1": 30, "team/app/manifests/" + app[3].Digest.String(): 200, "team/app/manifests/gone": 1}))
	var old bytes.Buffer
	z := gzip.NewWriter(&old)
	io.WriteString(z, access(now.AddDate(0, 0, -20), 80, map[string]int{"team/app/manifests/v0": 24 * 75, "team/app/manifests/v4": 24 * 20}))
	z.Close()
	write(t, f.dir+"/access.log.1.gz", old.String())
	p := f.prune(t, "--keep-pulled-within", "90d", "--pulled-log", "DIR/access.log*")
	for name, why := range map[string]string{
		"team/app:v0":     "not kept by keep-pulled-within 90d (pulled ",
		"team/app:v1":     "keep-pulled-within 90d (pulled ",
		"team/app:v2":     "not kept by keep-pulled-within 90d (pushed ",
		"team/app:v3":     "keep-pulled-within 90d (pulled ",
		"team/app:v4":     "keep-pulled-within 90d (pulled ",
		"team/app:v5":     "newest",
		"team/app:latest": "latest",
		"other:v0":        "not kept by keep-pulled-within 90d (pushed ",
	} {
		if v := p.of(t, name); !strings.HasPrefix(v.reason(), why) || v.Keep == strings.HasPrefix(why, "not") {
			t.Errorf("%s: %+v, want %s", name, v, why)
		}
	}
	if note := f.dir + "/access.log* has pulls of 3 tags and of 1 digest of the store"; !slices.Contains(p.Notes, note) {
		t.Errorf("%q, not %q", p.Notes, note)
	}
	write(t, f.dir+"/policy.yml", "version: 1\nrules: [{keep-pulled-within: 90d, pulled-log: ["+f.dir+"/access.log, "+f.dir+"/access.log.1.gz]}]\n")
	if byFile := f.prune(t, "--policy", "DIR/policy.yml"); !slices.Equal(byFile.going(), p.going()) {
		t.Errorf("by a policy file %q goes, not %q", byFile.going(), p.going())
	}
	before := f.content(t)
	var a applied
	if exit := f.document(t, &a, "prune", "STORE", "--keep-pulled-within", "90d", "--pulled-log", "DIR/access.log*", "--apply", "--yes"); exit != 0 || a.Totals.Done != len(p.Steps) {
		t.Errorf("exit %d, %+v, %s", exit, a, f.errs.String())
	}
	if exit := f.run("undo", "STORE"); exit != 0 {
		t.Errorf("undo: %d, %s", exit, f.errs.String())
	}
	f.untouched(t, "undone", before)
}

// TestLogsThatStopAPrune: a log that is incomplete or of another registry is refused.
func TestLogsThatStopAPrune(t *testing.T) {
	b, _ := aged()
	f := newFix(t, b)
	before := f.content(t)
	now := f.now()
	pulls := map[string]int{"team/app/manifests/v1": 30}
	write(t, f.dir+"/good", access(now, 91, pulls))
	write(t, f.dir+"/short", access(now, 80, pulls))
	write(t, f.dir+"/early", access(now.AddDate(0, 0, -2), 91, pulls))
	write(t, f.dir+"/holed.1", access(now, 40, pulls))
	write(t, f.dir+"/holed.2", access(now.AddDate(0, 0, -42), 60, pulls))
	write(t, f.dir+"/other", access(now, 91, map[string]int{"x/manifests/v1": 30, "team/app/manifests/v77": 30}))
	write(t, f.dir+"/rubbish", "\x1b[2J {\"log\":\"{\"}\n")
	write(t, f.dir+"/failed", strings.ReplaceAll(access(now, 91, pulls), `" 200 `, `" 401 `))
	write(t, f.dir+"/x.zst", "\x28\xb5\x2f\xfdx")
	write(t, f.dir+"/cut.gz", "\x1f\x8b\x08")
	write(t, f.dir+"/empty", "")
	for flags, want := range map[string]string{
		"--pulled-log DIR/short":                         "DIR/short: from ",
		"--pulled-log DIR/early":                         "it has no request that succeeded",
		"--pulled-log DIR/holed.*":                       "it has no request that succeeded",
		"--pulled-log DIR/rubbish":                       "no line in it is a request",
		"--pulled-log DIR/good --pulled-log DIR/rubbish": "DIR/rubbish: no line in it is a request",
		"--pulled-log DIR/failed":                        "it has no request that succeeded",
		"--pulled-log DIR/good --pulled-log DIR/x.zst":   "DIR/x.zst: it is compressed with zstd",
		"--pulled-log DIR/empty":                         "it has no request that succeeded",
		"--pulled-log DIR/other":                         "another registry's",
		"--pulled-log DIR/cut.gz":                        "EOF",
		"--pulled-log DIR/none*":                         "no such file",
		"--pulled-log DIR":                               "directory",
		"--keep-last 1":                                  "needs an access log",
		"--pulled-log DIR/short --pulled-log-gap 9d":     "it has no request that succeeded",
	} {
		for _, apply := range []string{"", " --apply --yes"} {
			want := strings.ReplaceAll(want, "DIR", f.dir)
			if exit := f.run(strings.Fields("prune STORE --keep-pulled-within 90d " + flags + apply)...); exit != 16 || !strings.Contains(f.errs.String(), want) || strings.Contains(f.errs.String(), "\x1b") {
				t.Errorf("%s%s: exit %d, %s%s", flags, apply, exit, f.out.String(), f.errs.String())
			}
		}
	}
	f.untouched(t, "refused", before)
	for _, flags := range []string{"--pulled-log DIR/good", "--pulled-log DIR/short --pulled-log-gap 11d", "--pulled-log DIR/short --pulled-log DIR/good", "--pulled-log DIR/holed.1 --pulled-log DIR/holed.2 --pulled-log-gap 3d"} {
		if p := f.prune(t, strings.Fields("--keep-pulled-within 90d "+flags)...); !p.of(t, "team/app:v1").Keep || p.of(t, "team/app:v3").Keep {
			t.Errorf("%s: %q goes", flags, p.going())
		}
	}
}

// TestPruneOfABucketKeepsWhatIsInUse does the same in a bucket.
func TestPruneOfABucketKeepsWhatIsInUse(t *testing.T) {
	b, app := aged()
	f, _, made := change(t, b, s3test.Enabled)
	f.now = func() time.Time { return time.Now().AddDate(0, 0, 1) }
	directory := newFix(t, fixtures.New(1))
	directory.store, directory.now = made.Dir+"/some/path", f.now
	body := "x.io/team/app@" + app[0].Digest.String() + " x.io/other:v1"
	f.stdin, directory.stdin = strings.NewReader(body), strings.NewReader(body)
	inBucket, inDir := f.prune(t, "--keep-list", "-"), directory.prune(t, "--keep-list", "-")
	write(t, f.dir+"/log", access(f.now(), 31, map[string]int{"team/app/manifests/v1": 9}))
	flags := []string{"--keep-pulled-within", "30d", "--pulled-log", f.dir + "/log"}
	if b, d := f.prune(t, flags...), directory.prune(t, flags...); b.Plan != d.Plan || !b.of(t, "team/app:v1").Keep || b.of(t, "team/app:v0").Keep {
		t.Errorf("by a log %s and %s; %q goes", b.Plan, d.Plan, b.going())
	}
	if inBucket.Plan != inDir.Plan || !inBucket.of(t, "team/app:v0").Keep || !inBucket.of(t, "other:v1").Keep || inBucket.of(t, "team/app:v1").Keep {
		t.Errorf("%s and %s; %q goes", inBucket.Plan, inDir.Plan, inBucket.going())
	}
}

// TestSavedPlansWithLists: a saved plan expires when its lists and logs do.
func TestSavedPlansWithLists(t *testing.T) {
	b, app := aged()
	f := newFix(t, b)
	list, logs, saved := filepath.Join(f.dir, "prod.txt"), filepath.Join(f.dir, "access.log"), filepath.Join(f.dir, "plan")
	clock := f.now()
	f.now = func() time.Time { return clock }
	began := clock
	write(t, list, "reg.example.com/team/app:v1\n")
	if err := os.Chtimes(list, time.Time{}, began.Add(-20*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for day := range 10 {
		fmt.Fprintf(&lines, "x - - [%s] \"GET /v2/team/app/manifests/%s HTTP/1.1\" 200 1\n", began.AddDate(0, 0, -day).Format("02/Jan/2006:15:04:05 -0700"), app[1].Digest)
	}
	write(t, logs, lines.String())
	before := f.content(t)
	for _, c := range []struct {
		flags string
		hours int // how long the plan is valid
	}{
		{"--keep-list DIR/prod.txt", 4},
		{"--keep-list DIR/prod.txt --keep-list-age 30h", 10},
		{"--keep-pulled-within 7d --pulled-log DIR/access.log", 24},
		{"--keep-pulled-within 7d --pulled-log DIR/access.log --keep-list DIR/prod.txt", 4},
		{"--keep-last 1", 9999},
	} {
		clock = began
		if exit := f.run(append([]string{"prune", "STORE", "--max-delete", "100%", "--save-plan", saved}, strings.Fields(c.flags)...)...); exit != 0 {
			t.Fatalf("%s: exit %d, %s", c.flags, exit, f.errs.String())
		}
		clock = began.Add(time.Duration(c.hours)*time.Hour + time.Minute)
		if exit := f.run("apply", saved, "--yes", "--max-delete", "100%"); c.hours < 9999 && (exit != 64 || !strings.Contains(f.errs.String(), "too old since "+began.Add(time.Duration(c.hours)*time.Hour).UTC().Format("2006-01-02 15:04"))) {
			t.Errorf("%s: exit %d, %s", c.flags, exit, f.errs.String())
		}
		if c.hours < 9999 {
			f.untouched(t, c.flags, before)
		}
		clock = began.Add(time.Duration(c.hours)*time.Hour - time.Minute)
		if exit := f.run("apply", saved, "--yes", "--max-delete", "100%"); c.hours < 9999 && exit != 0 {
			t.Errorf("%s, in time: exit %d, %s", c.flags, exit, f.errs.String())
		}
		if exit := f.run("undo", "STORE"); exit != 0 {
			t.Fatalf("undo: exit %d, %s", exit, f.errs.String())
		}
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"regfsck/fixtures"
	"regfsck/graph"
	"regfsck/graph/check"
	"regfsck/walker/layout"
)

func TestFlagsAnywhere(t *testing.T) {
	f := newFake(t)
	for _, args := range [][]string{
		{"check", "--grace", "2h", "--untagged", "--workers=3", "STORE"},
		{"check", "STORE", "--grace", "2h", "--untagged", "--workers=3"},
		{"check", "--grace=2h", "STORE", "--delete-untagged", "--workers", "3"},
		{"check", "-grace", "2h", "STORE", "-untagged", "-workers=3"},
		{"check", "--untagged", "--workers=3", "--grace=1h", "--grace=2h", "--", "STORE"},
	} {
		if got := f.run(args...); got != 0 {
			t.Errorf("%q: exit %d, %s", args, got, f.errs.String())
			continue
		}
		o := f.seen[0]
		if o.Grace != 2*time.Hour || !o.Untagged || o.Workers != 3 {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestFlagsEndAtTwoDashes(t *testing.T) {
	f := newFake(t)
	t.Chdir(f.dir)
	for _, name := range []string{"--json", "help", "-"} {
		if err := os.MkdirAll(filepath.Join(name, "docker/registry/v2/blobs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := f.run("check", "--", name); got != 0 || !strings.HasPrefix(f.out.String(), "regfsck check  "+f.dir+"/"+name) {
			t.Errorf("a directory named %s: exit %d, %s%s", name, got, f.out.String(), f.errs.String())
		}
	}
}

func TestDefaultsOfCheck(t *testing.T) {
	f := newFake(t)
	f.run("check", "STORE")
	o := f.seen[0]
	if o.Wait == nil || o.Past == nil || !o.Partial {
		t.Error("nothing is waited for, the store's own past isn't asked, or an interrupted check says nothing")
	}
	o.Progress, o.Now, o.Wait, o.Past, o.Partial = nil, time.Time{}, nil, nil, false
	want := check.Options{Options: graph.Options{Grace: time.Hour, UploadsOlderThan: 7 * 24 * time.Hour}}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestOptionsReachTheCheck(t *testing.T) {
	f := newFake(t)
	config := filepath.Join(f.dir, "config.yml")
	content := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + f.store + "}}\nproxy: {remoteurl: https://registry.example}\n"
	write(t, config, content)
	f.configs = []string{config}
	if got := f.run("check", "--thorough", "--uploads-older-than", "2w", "--verify", "12.5%", "--grace", "0"); got != 0 {
		t.Fatalf("exit %d, %s", got, f.errs.String())
	}
	o := f.seen[0]
	if o.Wait == nil || o.Past == nil || !o.Partial {
		t.Error("nothing is waited for, the store's own past isn't asked, or an interrupted check says nothing")
	}
	o.Progress, o.Now, o.Wait, o.Past, o.Partial = nil, time.Time{}, nil, nil, false
	want := check.Options{Options: graph.Options{UploadsOlderThan: 14 * 24 * time.Hour, Thorough: true, Cache: true, Verify: graph.Verify{Percent: 12.5}}}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
	f.run("check", "STORE", "--verify=all")
	if !f.seen[0].Verify.All {
		t.Error("--verify all is not heeded")
	}
}

func TestNextCommandFindsTheSame(t *testing.T) {
	f := newFake(t, aFault)
	f.run("check", "STORE", "--untagged", "--grace=7d", "--verify", "5%", "--no-progress")
	if want := "regfsck check " + f.store + " --grace 7d --untagged --verify 5%"; !strings.Contains(f.out.String(), want) {
		t.Errorf("%q is not in\n%s", want, f.out.String())
	}
}

// TestBadInput: for arguments that can't be checked there is one sentence, no answer, and no
// access to the store.
func TestBadInput(t *testing.T) {
	f := newWhole(t, small())
	config := func(name, storage string) {
		write(t, filepath.Join(f.dir, name), "version: 0.1\nstorage:\n"+strings.ReplaceAll(storage, "STORE", f.store))
	}
	config("unknown.yml", "  floppy: {}\n")
	config("two.yml", "  filesystem: {rootdirectory: STORE}\n  s3: {bucket: b, secretkey: hush}\n")
	config("s3.yml", "  s3: {bucket: b, secretkey: hush}\n")
	config("none.yml", "  delete: {enabled: true}\n")
	config("nowhere.yml", "  filesystem: {rootdirectory: STORE/nowhere}\n")
	write(t, filepath.Join(f.dir, "list.yml"), "- version\n- storage\n")
	write(t, filepath.Join(f.dir, "letter.txt"), "Dear registry,\n")
	write(t, filepath.Join(f.dir, "nothing"), "")
	write(t, filepath.Join(f.dir, "home/letter.txt"), "no registry's")
	write(t, filepath.Join(f.dir, "hollow/docker/registry/v2/letter.txt"), "no registry's")
	for _, dir := range []string{"empty", "unborn/docker/registry/v2", "bare/blobs", "bare/repositories"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, filepath.Dir(f.store))
	for _, c := range []struct{ args, want string }{
		{"check DIR/nowhere", "DIR/nowhere: there is no such file or directory"},
		{"check DIR/nothing/x", "DIR/nothing/x"},
		{"check DIR/empty", "DIR/empty is an empty directory"},
		{"check DIR/home", "DIR/home holds no directory docker/registry/v2"},
		{"check DIR/hollow", "neither blobs nor repositories"},
		{"check DIR/unborn", "DIR/unborn/docker/registry/v2 is empty"},
		{"check DIR/bare/blobs", "a part of a registry's storage"},
		{"check STORE/docker/registry/v2/blobs", "a part of a registry's storage"},
		{"check DIR/letter.txt", "neither a directory nor a registry's configuration"},
		{"check DIR/list.yml", "neither a directory nor a registry's configuration"},
		{"check DIR/nothing", "DIR/nothing is an empty file"},
		{"check /dev/null", "/dev/null is neither a directory nor a file"},
		{"check DIR/unknown.yml", `DIR/unknown.yml, line 3: storage driver "floppy"`},
		{"check DIR/two.yml", "two storage drivers: filesystem (line 3) and s3 (line 4)"},
		{"check DIR/s3.yml", "storage driver s3: accesskey and secretkey"},
		{"check DIR/none.yml", "names no driver"},
		{"check DIR/nowhere.yml", "STORE/nowhere: there is no such file or directory"},
		{"check s3://user:hush@bucket/prefix", "keys don't belong into an address"},
		{"check https://registry.example", "an address s3://bucket/prefix"},
		{"check STORE STORE", "is checked at a time, and 2 were given"},
		{"check STORE --loud", "there is no flag --loud"},
		{"check STORE --verify most", "--verify is manifests, all, or a share"},
		{"check STORE --follow STORE/nowhere", "follow nowhere: no such file or directory"},
		{"check STORE --report STORE/r.json", "inside the store"},
		{"explain blob-lost", `there is no finding "blob-lost"`},
		{"mend STORE", `there is no command "mend"`},
	} {
		for _, flag := range []string{"", " --json", " --quiet"} {
			if flag != "" && !strings.HasPrefix(c.args, "check") {
				continue
			}
			exit := f.run(strings.Fields(c.args + flag)...)
			want := strings.NewReplacer("STORE", f.store, "DIR", f.dir).Replace(c.want)
			sentence, hint, _ := strings.Cut(f.errs.String(), "\n")
			if exit != 16 || !strings.HasPrefix(sentence, "regfsck: ") || !strings.Contains(sentence, want) {
				t.Errorf("%s%s: exit %d, %q, want %q", c.args, flag, exit, f.errs.String(), want)
			}
			if strings.Count(hint, "\n") > 1 || strings.Contains(f.errs.String(), "hush") {
				t.Errorf("%s%s: said too much: %s", c.args, flag, f.errs.String())
			}
			if !f.refuses(strings.Fields(c.args + flag)...) {
				t.Errorf("%s%s: stdout holds %q", c.args, flag, f.out.String())
			}
		}
	}
	if diff := before.Diff(snapshot(t, filepath.Dir(f.store))); len(diff) > 0 {
		t.Errorf("changed\n%s", strings.Join(diff, "\n"))
	}
}

// write writes a file, and creates its directories.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSuggestedCommands: suggested commands repeat all flags that decide the result; none
// removes more than was requested.
func TestSuggestedCommands(t *testing.T) {
	b := rotten()
	for i := range 12 { // enough that lists are cut
		body := []byte{byte(i), 1, 2, 3}
		b.PutAt(layout.BlobKey(layout.Sum(body)), body, fixtures.Epoch)
		b.Put(fmt.Sprintf("docker/registry/v2/blobs/stray%02d", i), body)
	}
	f := newFix(t, b)
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	f.plan(t, "--save-plan", "DIR/p")
	for _, c := range []struct {
		args string
		want []string
		not  []string
	}{
		{"check STORE --fail-on warning --thorough --workers 3 --no-progress", []string{
			"regfsck check STORE --workers 3 --thorough --fail-on warning --json",
			"regfsck check STORE --workers 3 --thorough --fail-on warning --report regfsck.json",
			"regfsck fix STORE --workers 3 --thorough ",
		}, nil},
		{"check STORE --fail-on never --verify 5%", []string{"regfsck check STORE --verify 5% --fail-on never --json", "regfsck fix STORE "}, []string{"fix STORE --"}},
		{"fix STORE --also tag-dangling --max-delete 100% --grace 0", []string{
			"regfsck fix STORE --grace 0 --also tag-dangling --max-delete 100% --apply ", "applies this plan",
		}, nil},
		{"fix STORE --max-delete 0%", []string{
			"--apply would be refused", "regfsck fix STORE --max-delete 0% --apply ", "applies this plan, once nothing refuses it",
		}, []string{"exactly this"}},
		{"prune STORE --keep-last 1 --max-delete 100%", []string{"regfsck prune STORE --keep-last 1 --max-delete 100% --apply"}, []string{"regfsck rm"}},
		{"apply DIR/p --max-delete 0% --yes --verbose", []string{"they are in DIR/p"}, []string{"regfsck rm", "regfsck fix", "regfsck apply STORE --"}},
	} {
		f.run(append(strings.Fields(c.args), "--color", "never")...)
		// Line breaks depend on the length of the temporary directory's path.
		text := strings.Join(strings.Fields(strings.NewReplacer(f.store, "STORE", f.dir, "DIR").Replace(f.out.String())), " ") + " "
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s%s", c.args, want, f.out.String(), f.errs.String())
			}
		}
		for _, not := range c.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q in\n%s", c.args, not, text)
			}
		}
	}
}

// TestCommandsOfALongList: if a list of broken tags is cut, the suggested commands exit with
// the same code.
func TestCommandsOfALongList(t *testing.T) {
	b := fixtures.New(1)
	for i := range 15 {
		m := b.Image("app", fmt.Sprintf("v%02d", i), fixtures.Image{})
		b.Unlink(layout.BlobKey(m.Blobs[1].Digest))
	}
	f := newFix(t, b)
	f.terminal = func(io.Writer) (int, bool) { return 80, true }
	f.run("check", "STORE", "--fail-on", "warning", "--color", "never")
	text, commands := f.out.String(), 0
	if !strings.Contains(text, "… and 5 more") {
		t.Errorf("nothing is cut in\n%s", text)
	}
	for line := range strings.Lines(text) {
		_, command, ok := strings.Cut(line, "regfsck check ")
		if ok && !strings.HasPrefix(command, " ") { // as in the title
			if commands++; !strings.Contains(command, " --fail-on warning") {
				t.Errorf("without --fail-on: %s", line)
			}
		}
	}
	if commands < 2 {
		t.Errorf("%d commands lead on in\n%s", commands, text)
	}
}

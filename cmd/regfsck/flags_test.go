package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"regfsck/graph"
)

func TestFlagsStandAnywhere(t *testing.T) {
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
			t.Errorf("a folder named %s: exit %d, %s%s", name, got, f.out.String(), f.errs.String())
		}
	}
}

func TestDefaultsOfCheck(t *testing.T) {
	f := newFake(t)
	f.run("check", "STORE")
	o := f.seen[0]
	if o.Wait == nil {
		t.Error("nothing is waited for")
	}
	o.Progress, o.Now, o.Wait = nil, time.Time{}, nil
	want := graph.Options{Grace: time.Hour, UploadsOlderThan: 7 * 24 * time.Hour}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestOptionsReachTheCheck(t *testing.T) {
	f := newFake(t)
	config := filepath.Join(f.dir, "config.yml")
	content := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + f.store + "}}\nproxy: {remoteurl: https://registry.example}\n"
	if err := os.WriteFile(config, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f.configs = []string{config}
	if got := f.run("check", "--thorough", "--uploads-older-than", "2w", "--verify", "12.5%", "--grace", "0"); got != 0 {
		t.Fatalf("exit %d, %s", got, f.errs.String())
	}
	o := f.seen[0]
	if o.Wait == nil {
		t.Error("nothing is waited for")
	}
	o.Progress, o.Now, o.Wait = nil, time.Time{}, nil
	want := graph.Options{UploadsOlderThan: 14 * 24 * time.Hour, Thorough: true, Cache: true, Verify: graph.Verify{Percent: 12.5}}
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

func TestSpans(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "2w": 336 * time.Hour,
		"1w2d3h": 219 * time.Hour, "1.5d": 36 * time.Hour,
	} {
		if got, err := span(s); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "7", "1x", "-1d", "1..5d", "7 d", "9999999999999999999d", "h7"} {
		if got, err := span(s); err == nil {
			t.Errorf("%q was taken for %v", s, got)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"grace", "json", "report", "untagged"}
	for word, want := range map[string]string{"grase": "grace", "jsn": "json", "reprot": "report", "untag": "", "untaged": "untagged", "x": "", "": ""} {
		if got := nearest(word, names); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

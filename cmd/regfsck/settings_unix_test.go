//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSettingsOfOthersAreRefused: only the owner may be able to write a settings file, since
// it can name commands.
func TestSettingsOfOthersAreRefused(t *testing.T) {
	f := newFake(t)
	f.settings = f.settingsFile("grace: 2h\n")
	dir := filepath.Dir(f.settings)
	for _, c := range []struct {
		file, dir os.FileMode
		uid       int // -1 for the process's
		want      string
	}{
		{0o644, 0o755, -1, ""},
		{0o400, 0o700, -1, ""},
		{0o644, 0o777 | os.ModeSticky, -1, ""},
		{0o664, 0o755, -1, "can be changed by group "},
		{0o646, 0o755, -1, "can be changed by everybody"},
		{0o644, 0o757, -1, "its directory " + dir + " can be changed by everybody"},
		{0o644, 0o775, -1, "its directory " + dir + " can be changed by group "},
		{0o644, 0o755, 12345, "can be changed by user 12345"},
	} {
		if c.uid >= 0 && os.Geteuid() != 0 {
			continue // only root can give files away
		}
		if err := os.Chown(f.settings, c.uid, -1); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]os.FileMode{f.settings: c.file, dir: c.dir} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		exit := f.run("check", "STORE")
		if c.want == "" && exit != 0 || c.want != "" && (exit != 16 || !strings.Contains(f.errs.String(), c.want)) {
			t.Errorf("%v in %v of %d: exit %d, %s", c.file, c.dir, c.uid, exit, f.errs.String())
		}
	}
}

// TestReadablePasswords: commands that use a password warn if everybody can read the file;
// the password isn't printed.
func TestReadablePasswords(t *testing.T) {
	f := newFake(t)
	for _, c := range []struct {
		body string
		mode os.FileMode
		args string
		told bool
	}{
		{"redis: redis://:hush@h:6379/0\n", 0o644, "fix STORE", true},
		{"grace: 2h\nfix: {redis: redis://u:hush@h:6379/0}\n", 0o604, "fix STORE", true},
		{"redis: redis://:hush@h:6379/0\n", 0o640, "fix STORE", false},
		{"redis: redis://:hush@h:6379/0\n", 0o644, "check STORE", false},
		{"redis: redis://h:6379/0\n", 0o644, "fix STORE", false},
	} {
		f.settings = f.settingsFile(c.body)
		if err := os.Chmod(f.settings, c.mode); err != nil {
			t.Fatal(err)
		}
		exit := f.run(strings.Fields(c.args)...)
		told := strings.Contains(f.errs.String(), ": --redis holds a password, and everybody on this machine can read it there (chmod o-r)")
		if exit != 0 || told != c.told || strings.Contains(f.errs.String()+f.out.String(), "hush") {
			t.Errorf("%q, %v, %s: exit %d, %s%s", c.body, c.mode, c.args, exit, f.out.String(), f.errs.String())
		}
	}
}

// TestSettingsThatAreNoFile: a directory or pipe at the default path is an error without
// delay.
func TestSettingsThatAreNoFile(t *testing.T) {
	f := newFake(t)
	pipe := filepath.Join(f.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{f.dir, pipe, "/dev/zero"} {
		f.settings = path
		if exit := f.run("check", "STORE"); exit != 16 || !strings.Contains(f.errs.String(), "--config "+path+" is no file\n--config /dev/null does without it.") {
			t.Errorf("%s: exit %d, %s", path, exit, f.errs.String())
		}
	}
}

// TestSettingsBehindALinkOfOthersAreRefused: a symbolic link or directory on the path that
// another user can change is refused.
func TestSettingsBehindALinkOfOthersAreRefused(t *testing.T) {
	f := newFake(t)
	file := f.settingsFile("grace: 2h\n")
	mkdir := func(mode os.FileMode, path ...string) string {
		t.Helper()
		dir := filepath.Join(append([]string{f.dir}, path...)...)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	link := func(to, dir string) string {
		t.Helper()
		at := filepath.Join(dir, "link.yml")
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	open := mkdir(0o777, "open")
	under := filepath.Join(mkdir(0o755, "open", "under"), "regfsck.yml")
	write(t, under, "")
	turned := link(file, open)
	for path, want := range map[string]string{
		link(file, mkdir(0o755, "own")):               "",
		link("../regfsck.yml", mkdir(0o755, "short")): "",
		turned:                              "its directory " + open + " can be changed by everybody",
		link(turned, mkdir(0o755, "twice")): "its directory " + open + " can be changed by everybody",
		under:                               "its directory " + open + " can be changed by everybody",
		link(file, mkdir(0o777|os.ModeSticky, "sticky")): "is a symbolic link in a directory that can be changed by everybody",
	} {
		f.settings = path
		if exit := f.run("check", "STORE"); want == "" && exit != 0 || want != "" && (exit != 16 || !strings.Contains(f.errs.String(), want)) {
			t.Errorf("%s: exit %d, %s, want %q", path, exit, f.errs.String(), want)
		}
	}
}

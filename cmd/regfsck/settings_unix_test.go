//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettingsOfOthersAreRefused: a file of settings can name commands, so nobody else
// may be able to write it.
func TestSettingsOfOthersAreRefused(t *testing.T) {
	f := newFake(t)
	f.settings = f.settingsFile("grace: 2h\n")
	dir := filepath.Dir(f.settings)
	for _, c := range []struct {
		file, dir os.FileMode
		uid       int // of the file, -1 for its own
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
			continue // nobody else can give a file away
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

//go:build unix

package apply

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
)

// What is kept and isn't what was taken away any more is named, stays where it is
// kept, and doesn't come back in place of nothing. Of a link or a
// blob that was written over the journal has all that it held.
func TestAnUndoLeavesWhatWasAlteredWhereItIsKept(t *testing.T) {
	for name, alter := range map[string]func(body []byte) []byte{
		"cut to nothing":  func([]byte) []byte { return nil },
		"longer":          func(b []byte) []byte { return append(b, '\n') },
		"the same length": func(b []byte) []byte { return bytes.Repeat([]byte{'0'}, len(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, root, state := onDisk(t, messy(), false)
			before := filesOf(t, root)
			out := mustFix(t, w, state, messyPolicy())
			fixed, altered, overwritten := filesOf(t, root), 0, 0
			for path, body := range filesOf(t, filepath.Join(runDir(state, out.Run), "kept")) {
				is := alter([]byte(body))
				if len(is) == len(body) && filepath.Base(path) != "link" { // nobody knows what a blob held
					continue
				}
				altered++
				if _, stands := fixed[strings.ReplaceAll(path, "%2F", "/")]; stands {
					overwritten++
				}
				if err := os.WriteFile(filepath.Join(runDir(state, out.Run), "kept", path), is, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			back, err := Undo(context.Background(), w, state, "")
			if err != nil {
				t.Fatal(err)
			}
			after := filesOf(t, root)
			for _, l := range back.NotDone {
				if !strings.Contains(l.Reason, backend.ErrAltered.Error()) || l.Failed {
					t.Errorf("%s: %s", l.Step.Key, l.Reason)
				}
				if _, ok := after[l.Step.Key]; ok {
					t.Errorf("%s is named, and came back", l.Step.Key)
				}
				delete(before, l.Step.Key)
			}
			if altered < 5 || overwritten == 0 || len(back.NotDone) != altered-overwritten {
				t.Errorf("%d were altered, %d are named", altered, len(back.NotDone))
			}
			for key, body := range before {
				if after[key] != body {
					t.Errorf("%s came back as %q, was %q", key, after[key], body)
				}
			}
			if left := filesOf(t, filepath.Join(runDir(state, out.Run), "kept")); len(left) != altered {
				t.Errorf("%d files were altered, and %d are kept", altered, len(left))
			}
		})
	}
}

// filesOf are all files below a directory, by their paths from there.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(dir, path)
		all[rel] = string(body)
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

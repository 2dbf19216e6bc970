package backend

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJoin: several errors become one line with each clause once, and errors.Is finds them.
func TestJoin(t *testing.T) {
	one, two := errors.New("no\n  way"), errors.New("closed")
	for _, test := range []struct {
		errs []error
		want string
	}{
		{[]error{two, one, two}, "closed; no way"},
		{[]error{nil, Join(two, one), one}, "closed; no way"},
		{[]error{nil, two, nil}, "closed"},
	} {
		if err := Join(test.errs...); err.Error() != test.want || !errors.Is(err, two) {
			t.Errorf("%q, want %q", err, test.want)
		}
	}
	if err := Join(nil, nil); err != nil {
		t.Error(err)
	}
	if !errors.Is(Join(one, fs.ErrNotExist), fs.ErrNotExist) {
		t.Error("a joined error isn't found")
	}
}

// TestNoErrorsJoin: product code doesn't use errors.Join, whose line breaks reports would
// escape.
func TestNoErrorsJoin(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != ".." {
			if _, apart := os.Stat(filepath.Join(path, "go.mod")); e.Name() == "fixtures" || apart == nil { // a module of its own
				return fs.SkipDir
			}
		}
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if strings.Contains(string(source), "errors.Join(") {
			t.Errorf("%s: use backend.Join", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

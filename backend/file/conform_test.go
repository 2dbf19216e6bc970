package file

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/storetest"
)

// maker makes a keeper.
type maker = func(config, *counters) (system, error)

// eachKeeper runs test once for each keeper that this system can run.
func eachKeeper(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("system", func(t *testing.T) { test(t, opening(newSystem)) })
	t.Run("portable", func(t *testing.T) { test(t, opening(newPortable)) })
	for name, maker := range variants {
		t.Run(name, func(t *testing.T) { test(t, opening(maker)) })
	}
}

// opener opens a store and closes it when the test is over.
type opener func(t *testing.T, root string, o Options) *Reader

func opening(m maker) opener {
	return func(t *testing.T, root string, o Options) *Reader {
		t.Helper()
		s, err := open(root, o, m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

func TestConforms(t *testing.T) {
	root := t.TempDir()
	made := map[string]string{} // all keepers read the same folders
	for name, o := range map[string]Options{"": {}, "one worker": {Workers: 1}} {
		t.Run(name, func(t *testing.T) {
			eachKeeper(t, func(t *testing.T, open opener) {
				storetest.TestReader(t, storetest.Reader{Fill: func(t *testing.T, files map[string]string, folders []string) backend.Reader {
					what := fmt.Sprint(files, folders)
					if made[what] == "" {
						made[what] = filepath.Join(root, fmt.Sprint(len(made)))
						fill(t, made[what], files, folders)
					}
					return open(t, made[what], o)
				}})
			})
		})
	}
}

// fill writes files and empty folders below root.
func fill(t *testing.T, root string, files map[string]string, folders []string) {
	t.Helper()
	mkdir(t, root, "")
	for _, key := range folders {
		mkdir(t, root, key)
	}
	made := map[string]bool{}
	for key, body := range files {
		if dir := filepath.Dir(key); !made[dir] {
			mkdir(t, root, dir)
			made[dir] = true
		}
		write(t, root, key, body)
	}
}

func mkdir(t *testing.T, root, key string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, key), 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, root, key, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, key), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

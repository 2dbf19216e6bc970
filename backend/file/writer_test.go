//go:build unix

package file

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/fixtures/storetest"
)

var _ interface {
	backend.Store
	backend.Keeper
	backend.Locker
} = (*Store)(nil)

// writing are the ways in which a Store is tested: where its state is, relative
// to the root, and what it has to do without.
var writing = map[string]struct {
	state  string
	change func(*Store)
}{
	"inside":     {".regfsck", func(*Store) {}},
	"outside":    {"../state", func(*Store) {}},
	"one worker": {"../state", func(w *Store) { w.workers = 1 }},
	"without rename": {".regfsck", func(w *Store) {
		w.move = func(from dir, name string, to dir, as string) error { return moveByLink(linkNew, from, name, to, as) }
	}},
	"without links": {".regfsck", func(w *Store) {
		w.link = func(dir, string, dir, string) error { return syscall.EPERM }
		w.move = func(from dir, name string, to dir, as string) error { return moveByLink(w.link, from, name, to, as) }
	}},
}

func TestWriterConforms(t *testing.T) {
	for name, way := range writing {
		t.Run(name, func(t *testing.T) {
			k := writerKeeper(func(t *testing.T, root string) *Store {
				w := openStore(t, root, Options{}, filepath.Join(root, way.state))
				way.change(w)
				return w
			})
			k.Gap = name == "without links"
			storetest.TestStore(t, k)
		})
	}
}

func writerKeeper(open func(t *testing.T, root string) *Store) storetest.Store {
	roots := map[backend.Store]string{}
	again := func(t *testing.T, root string) backend.Store {
		w := open(t, root)
		roots[w] = root
		return w
	}
	return storetest.Store{
		Fill: func(t *testing.T, files map[string]string, folders []string) backend.Store {
			root := filepath.Join(t.TempDir(), "root")
			fill(t, root, files, folders)
			disguise(t, root, files, folders)
			return again(t, root)
		},
		Again: func(t *testing.T, s backend.Store) backend.Store { return again(t, roots[s]) },
		Look:  func(t *testing.T, s backend.Store, key string) (int64, string) { return look(t, roots[s], key) },
	}
}

func openStore(t *testing.T, root string, o Options, state string) *Store {
	t.Helper()
	w, err := OpenStore(root, o, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// look returns the time of a file or folder, and its mode, owner and group.
func look(t *testing.T, root, key string) (int64, string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(root, key), &st); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return st.Mtim.Nano(), fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
}

// disguise gives what was filled odd times and modes and, where the test may,
// owners and groups that differ.
func disguise(t *testing.T, root string, files map[string]string, folders []string) {
	t.Helper()
	paths := map[string]bool{}
	for key := range files {
		for ; key != "." && key != "/"; key = filepath.Dir(key) {
			paths[key] = true
		}
	}
	for _, key := range folders {
		paths[key] = true
	}
	n := 0
	for key := range paths {
		n++
		path := filepath.Join(root, key)
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		mode := []os.FileMode{0o600, 0o640, 0o644, 0o444, 0o660}[n%5]
		if info.IsDir() {
			mode = []os.FileMode{0o700, 0o750, 0o755, 0o770 | os.ModeSetgid}[n%4]
		}
		if os.Geteuid() == 0 {
			if err := os.Lchown(path, 1000+n%7, 2000+n%5); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for key := range paths {
		at := syscall.NsecToTimespec(1_500_000_000_123_456_789 + int64(len(key))*1_000_000_007)
		if err := syscall.UtimesNano(filepath.Join(root, key), []syscall.Timespec{at, at}); err != nil {
			t.Fatal(err)
		}
	}
}

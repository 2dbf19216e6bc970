package location

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"regfsck/walker/layout"
)

// asNobody calls f as a user without files, on a thread that ends afterwards: only the
// thread's filesystem user changes.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		var err error
		if os.Geteuid() == 0 {
			err = syscall.Setfsuid(65534)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNoPermission(t *testing.T) {
	base := real(t)
	for dir := base; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ closed, want string }{
		{"", "no permission"}, {"docker", "no permission"}, {layout.Root, "no permission"},
		{layout.Root + "/blobs", ""}, {layout.Root + "/repositories", ""},
	} {
		dir := mkdir(t, base, strings.ReplaceAll("store-"+c.closed, "/", "-"))
		mkdir(t, dir, layout.Root, "blobs")
		mkdir(t, dir, layout.Root, "repositories")
		if err := os.Chmod(filepath.Join(dir, c.closed), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, c.closed), 0o755) })
		asNobody(t, func() {
			_, err := Resolve(dir, env(nil))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%q is closed: %v", c.closed, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%q is closed: %v, want %q", c.closed, err, c.want)
			}
		})
	}
	config := write(t, "version: 0.1\n")
	for _, path := range []string{filepath.Dir(config), config} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		asNobody(t, func() {
			if _, err := Resolve(config, env(nil)); err == nil || !strings.Contains(err.Error(), "no permission") {
				t.Errorf("%s is closed: %v", path, err)
			}
		})
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

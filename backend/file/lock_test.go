//go:build unix

package file

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// childRoot is the environment variable with the store for a test that another test
// started in a new process.
const childRoot = "REGFSCK_TEST_ROOT"

// start runs one test of this binary as another process, and returns when that
// has written a line.
func start(t *testing.T, test, root string) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe, "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childRoot+"="+root)
	cmd.Stderr = os.Stderr
	in, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out = bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the other process said %q (%v)", line, err)
	}
	return cmd, in, out
}

// ready signals the starting process to continue.
func ready(t *testing.T) {
	t.Helper()
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		t.Fatal(err)
	}
}

// TestLockHeld is run by the other process: it holds the lock until its input ends, or
// it is killed.
func TestLockHeld(t *testing.T) {
	root := os.Getenv(childRoot)
	if root == "" {
		return
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	unlock, err := w.Lock(context.Background(), backend.Run{ID: "held-by-another"})
	if err != nil {
		t.Fatal(err)
	}
	ready(t)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// If the root can't be locked, the file in the state directory excludes runs with the same
// state directory.
func TestLockState(t *testing.T) {
	root := t.TempDir()
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	mkdir(t, root, ".regfsck")
	write(t, root, ".regfsck/lock", "another-run\n")
	f, err := os.Open(filepath.Join(root, ".regfsck/lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := flock(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	_, err = w.Lock(context.Background(), keeping)
	if !errors.Is(err, backend.ErrLocked) || !strings.Contains(err.Error(), "another-run") {
		t.Errorf("Lock: %v, want ErrLocked that names the run", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	unlock, err := w.Lock(context.Background(), keeping)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// A lock excludes other processes with any state directory, until its holder ends or is
// killed.
func TestLockProcesses(t *testing.T) {
	root := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "state")
	for _, end := range []func(cmd *exec.Cmd, in io.Closer) error{
		func(cmd *exec.Cmd, in io.Closer) error { return errors.Join(in.Close(), cmd.Wait()) },
		func(cmd *exec.Cmd, in io.Closer) error {
			err := cmd.Process.Kill()
			if cmd.Wait() == nil {
				return errors.New("it was killed and ended well")
			}
			return err
		},
	} {
		cmd, in, _ := start(t, "TestLockHeld", root)
		for state, name := range map[string]string{filepath.Join(root, ".regfsck"): "held-by-another", elsewhere: "another state directory"} {
			w := openStore(t, root, Options{}, state)
			_, err := w.Lock(context.Background(), keeping)
			if !errors.Is(err, backend.ErrLocked) || !strings.Contains(err.Error(), name) {
				t.Errorf("Lock with state %s: %v", state, err)
			}
		}
		if err := end(cmd, in); err != nil {
			t.Fatal(err)
		}
		for _, state := range []string{filepath.Join(root, ".regfsck"), elsewhere} {
			unlock, err := openStore(t, root, Options{}, state).Lock(context.Background(), keeping)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(unlock(), unlock()); err != nil {
				t.Error(err)
			}
		}
	}
}

// A lock is held until unlock. After another run has locked meanwhile it isn't held any
// more, even if that run has ended, and unlock doesn't change the other run's lock.
func TestLockTakenAway(t *testing.T) {
	for name, take := range map[string]func(lock string) error{
		"removed": os.Remove,
		"another's in its place": func(lock string) error {
			return errors.Join(os.Remove(lock), os.WriteFile(lock, []byte("another-run\n"), 0o600))
		},
		"the directory moved":   func(lock string) error { return os.Rename(filepath.Dir(lock), filepath.Dir(lock)+"-old") },
		"given back by another": func(lock string) error { return os.Truncate(lock, 0) },
		"of the same run, later": func(lock string) error {
			return os.WriteFile(lock, []byte(keeping.ID+"\nanother lock\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
			var held backend.Locker = w
			if err := held.Held(t.Context()); err != nil {
				t.Errorf("a store that isn't locked: %v", err)
			}
			unlock, err := w.Lock(t.Context(), keeping)
			if err != nil {
				t.Fatal(err)
			}
			if err := held.Held(t.Context()); err != nil {
				t.Errorf("before: %v", err)
			}
			lock := filepath.Join(root, ".regfsck", lockName)
			if err := take(lock); err != nil {
				t.Fatal(err)
			}
			was, _ := os.ReadFile(lock)
			if err := held.Held(t.Context()); !errors.Is(err, errTaken) || !strings.Contains(err.Error(), lock) {
				t.Errorf("Held: %v", err)
			}
			if err := unlock(); !errors.Is(err, errTaken) {
				t.Errorf("unlock: %v", err)
			}
			if is, _ := os.ReadFile(lock); string(is) != string(was) {
				t.Errorf("the lock says %q, and said %q", is, was)
			}
			if again, err := w.Lock(t.Context(), keeping); err != nil || held.Held(t.Context()) != nil {
				t.Errorf("locked anew: %v", err)
			} else if err := again(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A state directory outside the store belongs to the store that locked it first, until the
// user changes that. One inside a store belongs to that store, also after it was moved.
func TestAStateDirectoryIsOneStores(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	for _, root := range []string{"a", "b"} {
		fill(t, filepath.Join(dir, root), map[string]string{"a/file": root}, nil)
	}
	lock := func(root, state string) error {
		w := openStore(t, filepath.Join(dir, root), Options{}, state)
		claimed := w.Claimed()
		unlock, err := w.Lock(context.Background(), keeping)
		if err == nil {
			err = unlock()
		}
		if errors.Is(err, backend.ErrOther) != errors.Is(claimed, backend.ErrOther) {
			t.Errorf("%s: Lock: %v, Check: %v", root, err, claimed)
		}
		return err
	}
	for range 2 {
		if err := lock("a", state); err != nil {
			t.Fatal(err)
		}
		if err := lock("b", state); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "a")) {
			t.Errorf("another store's: %v", err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(state, "*")); err != nil || len(names) != 2 {
		t.Errorf("%v, %v: want only the lock and the name", names, err)
	}
	if err := os.Remove(filepath.Join(state, "store")); err != nil {
		t.Fatal(err)
	}
	if err := lock("b", state); err != nil {
		t.Errorf("claim of another store: %v", err)
	}
	if err := lock("a", state); !errors.Is(err, backend.ErrOther) {
		t.Errorf("assigned to another store: %v", err)
	}
	if err := os.WriteFile(filepath.Join(state, "store"), []byte(filepath.Join(dir, "a")+"\n"+filepath.Join(dir, "b")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lock("a", state), lock("b", state)); err != nil {
		t.Errorf("of a store that has had two names: %v", err)
	}
	if err := lock("b", filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Errorf("not claimed yet: %v", err)
	}
	if err := lock("a", filepath.Join(dir, "a/.regfsck")); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "b")) {
		t.Errorf("claimed by another: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Fatal(err)
	}
	if err := lock("a", filepath.Join(dir, "a/.regfsck")); err != nil {
		t.Fatal(err)
	}
	if err := lock("b", filepath.Join(dir, "a/.regfsck")); !errors.Is(err, backend.ErrOther) || !strings.Contains(err.Error(), filepath.Join(dir, "a")) {
		t.Errorf("in another store: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := lock("moved", filepath.Join(dir, "moved/.regfsck")); err != nil {
		t.Errorf("moved with its store: %v", err)
	}
}

// Everything in the state directory belongs to the store's owner, who can use it after a run
// of root.
func TestTheStateIsTheOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can change owners
	}
	for _, state := range []string{".regfsck", "../state"} {
		root := filepath.Join(t.TempDir(), "root")
		fill(t, root, map[string]string{"a/file": "x"}, nil)
		if err := os.Chown(root, 1234, 2345); err != nil {
			t.Fatal(err)
		}
		w := openStore(t, root, Options{}, filepath.Join(root, state))
		unlock, err := w.Lock(context.Background(), keeping)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(runDir(t, w, keeping), "journal"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.SetOwner(f), f.Close(), removeOne(w, keeping, "a/file"), unlock()); err != nil {
			t.Fatal(err)
		}
		for key := range picture(t, w.state) {
			var st unix.Stat_t
			err := unix.Lstat(filepath.Join(w.state, key), &st)
			if kept := strings.Contains(key, "/kept/%/"); err != nil || !kept && (st.Uid != 1234 || st.Gid != 2345) {
				t.Errorf("%s: %d:%d, %v", key, st.Uid, st.Gid, err)
			}
		}
	}
}

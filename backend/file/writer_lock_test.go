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

	"regfsck/backend"
)

// childRoot is the variable that tells a test of this binary, started by
// another, which store it is to work on.
const childRoot = "REGFSCK_TEST_ROOT"

// start runs one test of this binary as another process, and returns once that
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

// ready tells the starting process to go on.
func ready(t *testing.T) {
	t.Helper()
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		t.Fatal(err)
	}
}

// TestLockHeld is what the other process does: it holds the lock until it is
// told to end, or killed.
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

// Where the root can't be locked, the file in the state folder excludes those
// who share that.
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

// A lock excludes other processes, whatever their state folder is, until its
// holder ends: by itself or not.
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
		for state, name := range map[string]string{filepath.Join(root, ".regfsck"): "held-by-another", elsewhere: "another state folder"} {
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

// A lock is held until it is given back. One that was taken away is lost for good,
// also where whoever had it meanwhile has ended, and is left to whose it is.
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
			var held backend.Holder = w
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

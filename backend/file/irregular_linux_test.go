package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"regfsck/backend"
)

// Opening a pipe without a writer blocks.
func TestPipesAndSockets(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/good/link": "g", "dir/bad/other": "o"}, []string{"dir/worse"})
	for _, key := range []string{"dir/pipe", "dir/bad/link", "pipe"} {
		if err := syscall.Mkfifo(filepath.Join(root, key), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root) // a socket's path must be short
	l, err := net.Listen("unix", "dir/worse/link")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bad := map[string]error{
		"dir/pipe": backend.ErrIrregular, "dir/bad/link": backend.ErrIrregular,
		"pipe": backend.ErrIrregular, "dir/worse/link": backend.ErrIrregular,
	}
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		listAll(t, s, "", "dir", "").mustBe(t, "dir/bad/other dir/good/link", bad)
		for _, leaf := range []backend.Hint{{Name: "link"}, {Name: "link", Read: 1, Siblings: backend.SiblingsAll}} {
			listWith(t, s, "", expecting(leaf, "dir")).mustBe(t, "dir/bad/other dir/good/link", bad)
		}
		for key := range bad {
			mustFail(t, s, key, backend.ErrIrregular, key)
		}
	})
}

// usualTags expects the usual content in each directory of tags.
func usualTags(dir string) backend.Hint {
	switch _, name := backend.SplitKey(dir); name {
	case "tags":
		return backend.Hint{Usual: backend.Usual{File: "current/link", Directory: "index/sha256", Entry: "link"}, Content: "child:", Read: 9}
	case "sha256":
		return backend.Hint{Name: "link", Read: 9, Content: "child:"}
	}
	return backend.Hint{}
}

// Pipes and symbolic links in the place of usual files and directories are faults.
func TestIrregularUsual(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{
		"tags/a/index/sha256/1/link": "x", "tags/b/current/link": "child:1", "tags/c/current/link": "child:1", "tags/d/index/sha256/1/link": "y",
		"tags/e/current/link": "", "tags/e/index/sha256/1/link": "z", "tags/f/current/link": "child:2", "tags/f/index/sha256/1/link": "z",
		"tags/g/current/link": "child:2", "tags/g/index/sha256/1/link": "z",
	}, []string{"tags/a/current", "tags/b/index/sha256/1", "tags/c/index", "tags/d/current"})
	for _, key := range []string{"tags/a/current/link", "tags/b/index/sha256/1/link"} {
		if err := syscall.Mkfifo(filepath.Join(root, key), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for key, to := range map[string]string{"tags/c/index/sha256": "tags/d/index/sha256", "tags/d/current/link": "tags/c/current/link",
		"tags/e/index/sha512": "tags/d/index/sha256", "tags/f/index/sha256/2": "tags/d/index/sha256/1",
		"tags/g/index/sha512": "tags/d/index/sha256"} { // e, f and g: the current link doesn't name what is there
		if err := os.Symlink(filepath.Join(root, to), filepath.Join(root, key)); err != nil {
			t.Fatal(err)
		}
	}
	bad := map[string]error{
		"tags/a/current/link": backend.ErrIrregular, "tags/b/index/sha256/1/link": backend.ErrIrregular,
		"tags/c/index/sha256": backend.ErrSymlink, "tags/d/current/link": backend.ErrSymlink,
		"tags/e/index/sha512": backend.ErrSymlink, "tags/f/index/sha256/2": backend.ErrSymlink, "tags/g/index/sha512": backend.ErrSymlink,
	}
	eachDriver(t, func(t *testing.T, open opener) {
		listWith(t, open(t, root, Options{}), "", usualTags).mustBe(t, "tags/a/index/sha256/1/link tags/b/current/link tags/c/current/link tags/d/index/sha256/1/link "+
			"tags/e/current/link tags/e/index/sha256/1/link tags/f/current/link tags/f/index/sha256/1/link tags/g/current/link tags/g/index/sha256/1/link", bad)
	})
}

// TestUsualBodies: each link of a tag has its own content, also if a batch becomes full between
// the two. Two files, the first and the last of the directory, make the number of items odd.
func TestUsualBodies(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"tags/first": ""}, nil)
	want := map[string]string{"tags/first": "", "tags/last": ""}
	for i := range 1000 {
		tag := map[string]string{
			fmt.Sprintf("tags/%d/current/link", i):              fmt.Sprintf("child:%03d", i),
			fmt.Sprintf("tags/%d/index/sha256/%03d/link", i, i): fmt.Sprintf("entry:%03d", i),
		}
		fill(t, root, tag, nil)
		maps.Copy(want, tag)
	}
	write(t, root, "tags/last", "")
	for _, o := range []Options{{}, {Workers: 1}} {
		s := opening(newSystem)(t, root, o)
		got := listWith(t, s, "", usualTags)
		if !s.system.(*linux).plain() { // current links are then not read
			maps.DeleteFunc(want, func(key, _ string) bool { return strings.HasSuffix(key, "/current/link") })
			maps.DeleteFunc(got.items, func(key, _ string) bool { return strings.HasSuffix(key, "/current/link") })
		}
		for key, body := range want {
			if got.items[key] != body {
				t.Errorf("%s holds %q, want %q", key, got.items[key], body)
			}
		}
		if len(got.items) != len(want) || len(got.faults) > 0 {
			t.Errorf("%d items, want %d, faults %v", len(got.items), len(want), got.faults)
		}
	}
}

// A file that is used as a directory is another error than a missing directory.
func TestFileAsDirectory(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/file": "x"}, nil)
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		for _, key := range []string{"dir/file/x", "dir/file/x/y"} {
			_, err := s.Stat(context.Background(), key)
			mustNameFile(t, err)
			_, err = s.Open(context.Background(), key)
			mustNameFile(t, err)
			mustNameFile(t, s.List(context.Background(), key, expecting(backend.Hint{}), nil))
		}
		mustNameFile(t, s.List(context.Background(), "dir/file", expecting(backend.Hint{}), nil))
	})
}

func mustNameFile(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), " dir/file: ") ||
		!strings.Contains(err.Error(), "not a") {
		t.Errorf("a file as a directory: %v", err)
	}
}

// Keys that are too long for one system call, and names that aren't text.
func TestLongKeysAndRawNames(t *testing.T) {
	base := t.TempDir()
	root, err := os.OpenRoot(base)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	long := strings.Repeat(strings.Repeat("n", 200)+"/", 30)
	for _, dir := range []string{long + "dir/child", "raw/\xff\xfe"} {
		if err := errors.Join(root.MkdirAll(dir, 0o755), root.WriteFile(dir+"/link", []byte("L"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range variants {
		t.Run(name, func(t *testing.T) {
			s := opening(m)(t, base, Options{})
			got := listAll(t, s, "", long+"dir", "raw")
			got.mustBe(t, long+"dir/child/link raw/\xff\xfe/link", nil)
			if got.items["raw/\xff\xfe/link"] != "L" {
				t.Errorf("listed %q", got.items)
			}
			mustRead(t, s, long+"dir/child/link", "L")
			mustRead(t, s, "raw/\xff\xfe/link", "L")
			listAll(t, s, long+"dir", long+"dir").mustBe(t, long+"dir/child/link", nil)
		})
	}
}

const nobody = 65534

// TestPermission needs an unprivileged user. Root starts the test again as one.
func TestPermission(t *testing.T) {
	if os.Geteuid() != 0 {
		permission(t)
		fmt.Println("permissions were tried")
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestPermission$", "-test.count=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "permissions were tried") {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}

func permission(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{
		"dir/good/link": "g", "dir/shut/link": "s", "dir/unreadable/link": "u", "dir/unlisted/other": "o",
		"dir/unlisted2/link": "seen", "closed/file": "c", "blind/file": "b", "open/file": "f",
	}, nil)
	for key, mode := range map[string]fs.FileMode{
		"dir/shut": 0, "dir/unreadable/link": 0, "dir/unlisted": 0o300, "dir/unlisted2": 0o300, "closed": 0, "blind": 0o400, "open/file": 0,
	} {
		path := filepath.Join(root, key)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
	}
	denied := fs.ErrPermission
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		got := listAll(t, s, "", "dir")
		got.mustBe(t, "dir/good/link dir/unlisted2/link open/file", map[string]error{
			"dir/shut": denied, "dir/unreadable/link": denied, "dir/unlisted": denied, "closed": denied, "blind/file": denied,
		})
		got = listWith(t, s, "", expecting(backend.Hint{Name: "link"}, "dir"))
		got.mustBe(t, "dir/good/link dir/unlisted2/link dir/unreadable/link open/file", map[string]error{
			"dir/shut": denied, "dir/unlisted": denied, "closed": denied, "blind/file": denied,
		})
		listAll(t, s, "closed").mustBe(t, "", map[string]error{"closed": denied})
		for _, key := range []string{"closed/file", "closed/missing", "blind/file", "open/file", "dir/unreadable/link"} {
			_, err := s.Open(context.Background(), key)
			if !errors.Is(err, denied) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open(%q): %v", key, err)
			}
		}
		mustRead(t, s, "dir/unlisted2/link", "seen")
	})
	foreignFiles(t)
}

// foreignFiles reads files of another user, where O_NOATIME isn't allowed.
func foreignFiles(t *testing.T) {
	s := opening(newSystem)(t, "/", Options{})
	got := listAll(t, s, "proc/self/attr")
	if want := (map[string]error{"proc": backend.ErrMount}); len(got.items) > 0 || !errors.Is(got.faults["proc"], want["proc"]) {
		t.Errorf("listed %v, faults %v; want %v", got.items, got.faults, want)
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/etc/passwd", &st); err != nil || st.Uid == nobody {
		t.Fatalf("/etc/passwd belongs to %d (%v)", st.Uid, err)
	}
	body, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, s, "etc/passwd", string(body))
	got = listWith(t, s, "etc", expecting(backend.Hint{Name: "link"}))
	if _, ok := got.items["etc/passwd"]; !ok {
		t.Errorf("etc/passwd is not listed; faults %v", got.faults)
	}
}

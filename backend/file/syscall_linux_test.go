//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
	"regfsck/fixtures"
)

// A leaf costs one system call if only its size is needed, and four if it is read; a
// directory costs four.
func TestSystemCalls(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	const leaves = 600
	for i := range leaves {
		files[fmt.Sprintf("dir/%064x/link", i)] = "0123456789"
	}
	fill(t, root, files, nil)
	for read, each := range map[int]int64{0: 1, 10: 4, 5: 4, 71: 4} {
		s := opening(newSystem)(t, root, Options{})
		got := listWith(t, s, "", expecting(backend.Hint{Name: "link", Read: read}, "dir"))
		if len(got.items) != leaves {
			t.Fatalf("%d leaves listed", len(got.items))
		}
		c := s.Cost()
		if least, most := leaves*each, leaves*each+2*4; c.Calls < least || c.Calls > most {
			t.Errorf("reading %d bytes: %d system calls for %d leaves, want %d to %d", read, c.Calls, leaves, least, most)
		}
		want := backend.Cost{List: 2, Head: leaves, Calls: c.Calls}
		if read > 0 {
			want = backend.Cost{List: 2, Get: leaves, Calls: c.Calls, BytesRead: int64(leaves * min(read, 10))}
		}
		if c != want {
			t.Errorf("reading %d bytes cost %+v, want %+v", read, c, want)
		}
		mustRead(t, s, fmt.Sprintf("dir/%064x/link", 1), "0123456789")
		if now := s.Cost(); now.Calls != c.Calls || now.Get != c.Get+1 || now.Head != c.Head+1 || now.BytesRead != c.BytesRead+10 {
			t.Errorf("Open and Stat made %+v of %+v", now, c)
		}
	}
}

// Calls are raw only on a local file system, and only while they are quick. After each slow
// raw call it takes longer until calls are raw again.
func TestSampler(t *testing.T) {
	s := sampler{local: true}
	begin := func() (n int) {
		for ; !s.raw; n++ {
			s.sample(slow - 1)
		}
		return n
	}
	first := begin()
	s.sample(slow)
	if s.raw {
		t.Error("a slow call didn't end it")
	}
	for range 3 * settled {
		s.sample(slow)
	}
	if second := begin(); first != settled || second != 2*first {
		t.Errorf("it began after %d quick samples, then after %d; want %d and %d", first, second, settled, 2*settled)
	}
	remote := sampler{}
	for range 10 * settled {
		remote.sample(0)
	}
	if remote.raw {
		t.Error("it began on a file system that may be remote")
	}
}

// If a directory has the usual content, its links cost as much as a leaf, and four looks
// at link counts. No directory is opened.
func TestUsualOpensNoDirectory(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	const tags = 100
	for i := range tags {
		files[fmt.Sprintf("tags/%d/current/link", i)] = "child:1"
		files[fmt.Sprintf("tags/%d/index/sha256/1/link", i)] = "child:1"
	}
	fill(t, root, files, nil)
	s := opening(newSystem)(t, root, Options{})
	got := listWith(t, s, "", usualTags)
	c := s.Cost()
	if plain := s.system.(*linux).plain(); plain && (c.List != 2 || c.Calls > tags*(4+2*4)+2*4) || !plain && c.List < tags {
		t.Errorf("plain %v: %d directories were opened, with %d system calls", plain, c.List, c.Calls)
	}
	if len(got.items) != 2*tags {
		t.Errorf("%d items, want %d", len(got.items), 2*tags)
	}
}

// TestUsualDuringAPush: a tag that is pushed while it is listed loses no entry of its history.
func TestUsualDuringAPush(t *testing.T) {
	root, pushed := t.TempDir(), ""
	fill(t, root, map[string]string{
		"tags/a/current/link": "child:1", "tags/a/index/sha256/1/link": "child:1", "tags/b/current/link": "child:1", "tags/b/index/sha256/1/link": "child:1",
	}, nil)
	got := seen{map[string]string{}, map[string]error{}}
	err := opening(newSystem)(t, root, Options{}).List(t.Context(), "", usualTags, func(b backend.Batch) error {
		if got.add(t, b); pushed == "" && strings.HasSuffix(b.Dir, "sha256") { // the other tag is next
			pushed = map[bool]string{true: "tags/a", false: "tags/b"}[strings.HasPrefix(b.Dir, "tags/b")]
			fill(t, root, map[string]string{pushed + "/index/sha256/2/link": "child:2", pushed + "/current/link": "child:2"}, nil)
		}
		return nil
	})
	if _, ok := got.items[pushed+"/index/sha256/1/link"]; err != nil || !ok {
		t.Errorf("%v: %q was pushed, and there is %v", err, pushed, got.items)
	}
}

// A sound filesystem never lists a name that doesn't exist, so the test adds existing names
// to those that are missing.
func TestListedAndMissing(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/there/file": "x", "dir/file": "y"}, nil)
	for _, rounds := range []int{maxRechecks - 1, maxRechecks} {
		s := opening(newSystem)(t, root, Options{})
		l := s.system.(*linux)
		got := seen{map[string]string{}, map[string]error{}}
		n := &listing{linux: l, ctx: context.Background(), expect: expecting(backend.Hint{}), running: 1}
		n.each = func(b backend.Batch) error { got.add(t, b); return nil }
		n.work.L = &n.mu
		w := n.newWorker()
		fd, pe := l.openKey(&w.k, "dir", unix.O_RDONLY|unix.O_DIRECTORY)
		if pe != nil {
			t.Fatal(pe)
		}
		f := w.newDirectory(fd, task{key: "dir"})
		f.missing, f.rounds = []string{"there", "file", "gone"}, rounds
		w.release(f)
		w.run()
		if rounds < maxRechecks {
			got.mustBe(t, "dir/file dir/there/file", nil)
		} else {
			got.mustBe(t, "", map[string]error{"dir/there": backend.ErrListed, "dir/file": backend.ErrListed})
		}
	}
}

// The same by key, as is done if too many descriptors are open.
func TestMissingByKeyEnds(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/there/file": "x"}, nil)
	s := opening(variant(func(l *linux) { l.maxOpen = 0 }))(t, root, Options{})
	for rounds := range maxRechecks + 2 {
		got := seen{map[string]string{}, map[string]error{}}
		n := &listing{linux: s.system.(*linux), ctx: context.Background(), expect: expecting(backend.Hint{}), running: 1}
		n.each = func(b backend.Batch) error { got.add(t, b); return nil }
		n.work.L = &n.mu
		w := n.newWorker()
		w.missingTask(task{key: "dir/there", rounds: rounds})
		w.missingTask(task{key: "dir/gone", rounds: rounds})
		w.missingTask(task{key: "gone/gone", rounds: rounds})
		w.pushChildren()
		w.run()
		if rounds < maxRechecks {
			got.mustBe(t, "dir/there/file", nil)
		} else {
			got.mustBe(t, "", map[string]error{"dir/there": backend.ErrListed})
		}
	}
}

func TestReaderAfterClose(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"file": "x"}, nil)
	eachDriver(t, func(t *testing.T, open opener) {
		f, err := open(t, root, Options{}).Open(context.Background(), "file")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("close after close: %v", err)
		}
	})
}

// Reading changes neither bytes nor times, not even access times.
func TestNothingChanges(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/a/link": "a", "dir/b/other": "b", "file": "f"}, []string{"empty"})
	old := syscall.Timespec{Sec: 1_000_000_000}
	paths := setTimes(t, root, old)
	before, err := fixtures.Snapshot(root)
	if err != nil {
		t.Fatal(err)
	}
	setTimes(t, root, old)
	s := opening(newSystem)(t, root, Options{})
	listAll(t, s, "", "dir")
	mustRead(t, s, "file", "f")
	mustRead(t, s, "dir/a/link", "a")
	for _, path := range paths {
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil || st.Atim != old {
			t.Errorf("%s: accessed at %v (%v)", path, st.Atim, err)
		}
	}
	after, err := fixtures.Snapshot(root)
	if diff := before.Diff(after); err != nil || len(diff) > 0 {
		t.Errorf("changed: %v, %v", diff, err)
	}
}

// setTimes sets all times below root, so that a plain read would change access times, and
// returns the paths.
func setTimes(t *testing.T, root string, to syscall.Timespec) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for _, path := range paths {
		err = errors.Join(err, syscall.UtimesNano(path, []syscall.Timespec{to, to}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// No descriptor remains open, however a listing ends.
func TestDescriptors(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for _, a := range "abcdefgh" {
		for _, b := range "abcdefgh" {
			files["d"+string(a)+"/"+string(b)+"/x/file"] = "x"
		}
	}
	fill(t, root, files, nil)
	symlink(t, root, "da", "followed")
	stop := errors.New("stop")
	for name, m := range variants {
		before := descriptors(t)
		s, err := open(root, Options{Follow: []string{"followed"}}, m)
		if err != nil {
			t.Fatal(err)
		}
		for last := range 70 {
			err := s.List(context.Background(), "", expecting(backend.Hint{Name: "x", Read: 1}, "da/b"), func(backend.Batch) error {
				if last--; last < 0 {
					return stop
				}
				return nil
			})
			if err != stop {
				t.Errorf("List: %v", err)
			}
		}
		for _, key := range []string{"missing", "da", "da/b/x/file/y", "followed/missing", "followed/b/x/file"} {
			if f, err := s.Open(context.Background(), key); err == nil {
				f.Close()
			}
			_, _ = s.Stat(context.Background(), key)
			_ = s.List(context.Background(), key, expecting(backend.Hint{}), func(backend.Batch) error { return stop })
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if after := descriptors(t); before != after {
			t.Errorf("%s: open before: %s; after: %s", name, before, after)
		}
	}
}

// descriptors returns what this process has open in the temporary directories.
func descriptors(t *testing.T) string {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, os.TempDir()) {
			open = append(open, to)
		}
	}
	return strings.Join(open, " ")
}

func TestReleaseOfAKernel(t *testing.T) {
	for s, want := range map[string][2]int{
		"5.8.0-rc1": {5, 8}, "6.18.44-fc": {6, 18}, "4.4": {4, 4}, "5.8+": {5, 8}, "": {}, "next": {},
	} {
		if major, minor := release(s); major != want[0] || minor != want[1] {
			t.Errorf("%s is %d.%d, want %v", s, major, minor, want)
		}
	}
}

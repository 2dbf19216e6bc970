//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// The promise of this package: a leaf costs one system call where its size is
// asked for, and four where it is read; a folder costs four.
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
		if limit := leaves*each + 2*4; c.Calls > limit {
			t.Errorf("reading %d bytes: %d system calls for %d leaves, want at most %d", read, c.Calls, leaves, limit)
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

// A name that is listed again and again and is never there can't be made on a
// sound filesystem, so a folder is told that it lost one that is there.
func TestListedAndLost(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/there/file": "x", "dir/file": "y"}, nil)
	for _, rounds := range []int{looks - 1, looks} {
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
		f := w.newFolder(fd, task{key: "dir"})
		f.lost, f.rounds = []string{"there", "file", "gone"}, rounds
		w.release(f)
		w.run()
		if rounds < looks {
			got.mustBe(t, "dir/file dir/there/file", nil)
		} else {
			got.mustBe(t, "", map[string]error{"dir/there": backend.ErrListed, "dir/file": backend.ErrListed})
		}
	}
}

// The same by key, as it is where descriptors are scarce.
func TestMissByKeyEnds(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"dir/there/file": "x"}, nil)
	s := opening(variant(func(l *linux) { l.folders = 0 }))(t, root, Options{})
	for rounds := range looks + 2 {
		got := seen{map[string]string{}, map[string]error{}}
		n := &listing{linux: s.system.(*linux), ctx: context.Background(), expect: expecting(backend.Hint{}), running: 1}
		n.each = func(b backend.Batch) error { got.add(t, b); return nil }
		n.work.L = &n.mu
		w := n.newWorker()
		w.miss(task{key: "dir/there", rounds: rounds})
		w.miss(task{key: "dir/gone", rounds: rounds})
		w.miss(task{key: "gone/gone", rounds: rounds})
		w.pushKids()
		w.run()
		if rounds < looks {
			got.mustBe(t, "dir/there/file", nil)
		} else {
			got.mustBe(t, "", map[string]error{"dir/there": backend.ErrListed})
		}
	}
}

func TestReaderAfterClose(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"file": "x"}, nil)
	eachKeeper(t, func(t *testing.T, open opener) {
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

package file

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
)

// listChanging lists a store and calls change during the first call of each, when the
// names of the first directory have been read, but not looked at.
func listChanging(t *testing.T, open opener, files map[string]string, dirs []string, change func(root string, first backend.Batch)) seen {
	root := t.TempDir()
	fill(t, root, files, dirs)
	s := open(t, root, Options{Workers: 1})
	got := seen{map[string]string{}, map[string]error{}}
	err := s.List(context.Background(), "", expecting(backend.Hint{Name: "link", Read: 100}, "leaves"), func(b backend.Batch) error {
		if len(got.items) == 0 {
			change(root, b)
		}
		got.add(t, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// removeOthers removes what isn't in the batch.
func removeOthers(t *testing.T, root, dir string, first backend.Batch, name func(item string) string) {
	keep := map[string]bool{}
	for _, item := range first.Items {
		keep[name(item.Name)] = true
	}
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := os.RemoveAll(filepath.Join(root, dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func firstPart(name string) string { return strings.Split(name, "/")[0] }

func TestFilesVanish(t *testing.T) {
	for dir, form := range map[string]string{"files": "files/%d", "leaves": "leaves/%d/link"} {
		files := map[string]string{}
		for i := range 700 {
			files[fmt.Sprintf(form, i)] = "x"
		}
		eachDriver(t, func(t *testing.T, open opener) {
			got := listChanging(t, open, files, nil, func(root string, first backend.Batch) {
				if len(first.Items) != batchSize {
					t.Errorf("the first batch has %d items", len(first.Items))
				}
				removeOthers(t, root, dir, first, firstPart)
			})
			// one more file may have been looked at before the call
			if n := len(got.items); n != 512 && (n != 513 || dir == "leaves") || len(got.faults) != 0 {
				t.Errorf("%d items, faults %v; want the 512 that were there", n, got.faults)
			}
		})
	}
}

// A context may end while List returns; only the race detector sees an access without a lock.
func TestEndsWhileListReturns(t *testing.T) {
	root := t.TempDir()
	fill(t, root, map[string]string{"file": ""}, nil)
	s := opening(newSystem)(t, root, Options{Workers: 1})
	for i := range 5000 {
		ctx, cancel := context.WithCancel(context.Background())
		_ = s.List(ctx, "", expecting(backend.Hint{}), func(backend.Batch) error {
			go func() { time.Sleep(time.Duration(i%50) * time.Microsecond); cancel() }()
			return nil
		})
	}
}

func TestDirectoriesVanish(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("%d/%d/file", i, i)] = ""
	}
	eachDriver(t, func(t *testing.T, open opener) {
		got := listChanging(t, open, files, nil, func(root string, first backend.Batch) {
			removeOthers(t, root, "", first, func(string) string { return firstPart(first.Dir) })
		})
		if len(got.items) != 1 || len(got.faults) != 0 {
			t.Errorf("%d items, faults %v; want the one that was there", len(got.items), got.faults)
		}
	})
}

// A directory that is replaced by another, or by a file, is still listed.
func TestDirectoriesBecomeOthers(t *testing.T) {
	files := map[string]string{}
	for i := range 10 {
		files[fmt.Sprintf("%d/old", i)] = ""
	}
	eachDriver(t, func(t *testing.T, open opener) {
		var want int
		got := listChanging(t, open, files, nil, func(root string, first backend.Batch) {
			for i := range 10 {
				dir := filepath.Join(root, fmt.Sprint(i))
				if fmt.Sprint(i) == first.Dir {
					continue
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if want++; i%2 == 0 {
					write(t, root, fmt.Sprint(i), "a file now")
				} else {
					fill(t, root, map[string]string{fmt.Sprintf("%d/new", i): "", fmt.Sprintf("%d/newer", i): ""}, nil)
					want++
				}
			}
		})
		for key := range got.items {
			if strings.HasSuffix(key, "/old") {
				want++
			}
		}
		if len(got.items) != want || len(got.faults) != 0 {
			t.Errorf("listed %v, faults %v; want %d", got.items, got.faults, want)
		}
	})
}

// TestManyFaults: each fault is in one batch, that of its directory, also if those of several
// directories are found during one call. A batch has a limit.
func TestManyFaults(t *testing.T) {
	root := t.TempDir()
	const links = 600
	for i := range links {
		for _, dir := range []string{"many", fmt.Sprintf("some/%d", i%100)} {
			mkdir(t, root, dir)
			symlink(t, root, "target", fmt.Sprintf("%s/%d", dir, i))
		}
	}
	eachDriver(t, func(t *testing.T, open opener) {
		s, got := open(t, root, Options{}), seen{map[string]string{}, map[string]error{}}
		err := s.List(t.Context(), "", expecting(backend.Hint{}), func(b backend.Batch) error {
			time.Sleep(time.Millisecond)
			for _, f := range b.Faults {
				if dir, _ := backend.SplitKey(f.Key); dir != b.Dir {
					t.Errorf("%v is in a batch of %q", f, b.Dir)
				}
			}
			if len(b.Faults) > batchSize {
				t.Errorf("a batch has %d faults", len(b.Faults))
			}
			got.add(t, b)
			return nil
		})
		if err != nil || len(got.items) > 0 || len(got.faults) != 2*links {
			t.Errorf("%v, %d items, %d faults, want %d", err, len(got.items), len(got.faults), 2*links)
		}
	})
}

// A leaf that is created after it was looked for is listed as a leaf.
func TestLeavesAppear(t *testing.T) {
	files := map[string]string{"leaves/pushing/other": ""}
	for i := range 511 {
		files[fmt.Sprintf("leaves/%03d/link", i)] = "x"
	}
	eachDriver(t, func(t *testing.T, open opener) {
		changed := false
		root := t.TempDir()
		fill(t, root, files, nil)
		s := open(t, root, Options{Workers: 1})
		got := listWith(t, s, "", func(dir string) backend.Hint {
			if dir == "leaves/pushing" && !changed { // the leaf was looked for, its directory is being opened
				changed = true
				write(t, root, "leaves/pushing/link", "late")
			}
			return expecting(backend.Hint{Name: "link", Read: 100}, "leaves")(dir)
		})
		if got.items["leaves/pushing/link"] != "late" || len(got.items) != 513 || len(got.faults) != 0 {
			t.Errorf("%d items, late leaf %q, faults %v", len(got.items), got.items["leaves/pushing/link"], got.faults)
		}
	})
}

// While files and directories are created and removed under new names, all others are
// listed once each, and there is no fault.
func TestChurn(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("leaves/stay%d/link", i)] = "x"
		files[fmt.Sprintf("folders/stay%d/deep/file", i)] = "x"
		files[fmt.Sprintf("files/stay%d", i)] = "x"
	}
	fill(t, root, files, nil)
	want := slices.Sorted(maps.Keys(files))
	stop := make(chan struct{})
	var group sync.WaitGroup
	for pusher := range 2 {
		group.Go(func() { churn(t, root, pusher, stop) })
	}
	defer group.Wait()
	defer close(stop)
	eachDriver(t, func(t *testing.T, open opener) {
		s := open(t, root, Options{})
		for range 30 {
			got := listAll(t, s, "", "leaves")
			stay := slices.Sorted(maps.Keys(got.items))
			stay = slices.DeleteFunc(stay, func(key string) bool { return !strings.Contains(key, "/stay") })
			if !slices.Equal(stay, want) || len(got.faults) > 0 {
				t.Fatalf("%d of %d stayed, faults %v", len(stay), len(want), got.faults)
			}
		}
	})
}

// churn makes and removes files and directories until stop is closed.
func churn(t *testing.T, root string, pusher int, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("come%d-%d", pusher, i)
		for _, key := range []string{"leaves/" + name + "/link", "folders/" + name + "/deep/file", "files/" + name} {
			path := filepath.Join(root, key)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Error(err)
			}
		}
		if i >= 20 {
			old := fmt.Sprintf("come%d-%d", pusher, i-20)
			for _, dir := range []string{"leaves", "folders", "files"} {
				if err := os.RemoveAll(filepath.Join(root, dir, old)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

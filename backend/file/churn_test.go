package file

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A registry at work: while others come and go under new names, what stays is
// listed, every time and once, and nothing is a fault.
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
	eachKeeper(t, func(t *testing.T, open opener) {
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

// churn makes and removes files and folders until stop is closed.
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

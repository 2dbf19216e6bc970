//go:build unix

package file

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// killFiles are the files of the store in which a process is killed: some alone
// in their directories, some in one directory, and links that are replaced.
func killFiles() map[string]string {
	files := map[string]string{}
	for i := range 45 {
		files[fmt.Sprintf("blobs/%02d/%d/data", i%7, i)] = fmt.Sprint("blob ", i)
		files[fmt.Sprintf("many/%d/%d", i%9, i)] = fmt.Sprint("file ", i)
		files[fmt.Sprintf("links/%d/link", i)] = fmt.Sprint("link ", i)
	}
	return files
}

// TestKilled is run by the other process: it changes everything, and is killed
// meanwhile.
func TestKilled(t *testing.T) {
	root := os.Getenv(childRoot)
	if root == "" {
		return
	}
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	ready(t)
	keys := slices.Sorted(maps.Keys(killFiles()))
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for part := range slices.Chunk(keys, 5) {
		for _, key := range part {
			if strings.HasPrefix(key, "links/") {
				if rand.IntN(2) == 0 {
					w.Put(context.Background(), keeping, key, []byte("new"), 1)
				} else {
					w.Copy(context.Background(), keeping, key, backend.Content{
						Bytes: strings.NewReader("new"), Size: 3, Proof: layout.AnyDigest{Digest: layout.Sum([]byte("new"))}, Over: true,
					}, 1)
				}
			}
		}
		w.Remove(context.Background(), keeping, slices.DeleteFunc(part, func(key string) bool { return strings.HasPrefix(key, "links/") }))
		fmt.Println("some")
	}
}

// After a process was killed at any time, its changes can be undone with only the keys.
func TestKill(t *testing.T) {
	for round := range 6 {
		root := t.TempDir()
		files := killFiles()
		fill(t, root, files, nil)
		before := picture(t, root)
		cmd, in, out := start(t, "TestKilled", root)
		for range rand.IntN(24) {
			if _, err := out.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = in.Close()
		undoAll(t, root, files)
		if diff := onlyFiles(before).Diff(onlyFiles(picture(t, root))); len(diff) > 0 {
			t.Fatalf("round %d: changed: %v", round, diff)
		}
	}
}

// undoAll undoes the changes of files that were made.
func undoAll(t *testing.T, root string, files map[string]string) {
	t.Helper()
	w := openStore(t, root, Options{}, filepath.Join(root, ".regfsck"))
	var receipts []backend.Receipt
	for key := range files {
		receipts = append(receipts, backend.Receipt{Key: key})
		if body, err := os.ReadFile(filepath.Join(root, key)); err == nil && string(body) == "new" {
			if err := removeOne(w, backend.Run{ID: "undo", UndoPut: true}, key); err != nil {
				t.Error(err)
			}
		}
	}
	for range 2 {
		for i, err := range w.Restore(context.Background(), keeping, receipts) {
			if err != nil {
				t.Errorf("%s: %v", receipts[i].Key, err)
			}
		}
	}
	if n, err := w.Kept(context.Background(), keeping, nil); n != 0 || err != nil {
		t.Errorf("%d bytes are still kept, %v", n, err)
	}
}

// onlyFiles returns the part of a picture that has the store's files, whose times
// must be restored.
func onlyFiles(p fixtures.Picture) fixtures.Picture {
	maps.DeleteFunc(p, func(key string, e fixtures.Entry) bool {
		return e.Mode.IsDir() || strings.HasPrefix(key, ".regfsck")
	})
	return p
}

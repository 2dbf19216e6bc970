package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// rig is a store in a real bucket behind a proxy. Its root is root/; all that
// stands elsewhere in the bucket is somebody else's.
type rig struct {
	b *bucket.Bucket
	p *bucket.Proxy
	s *Store
}

// others are keys that no change may touch.
var others = []string{"rooted", "root-other/a", "elsewhere/b"}

func newRig(t *testing.T, versioned bool, files ...string) *rig {
	t.Helper()
	server := bucket.Start(t, bucket.Options{Versioning: versioned})
	r := &rig{b: server.Make(t, "bucket"), p: bucket.Front(t, server, bucket.Settings{})}
	if versioned {
		r.b.SetVersioning(t, bucket.Enabled)
	}
	all := map[string][]byte{}
	for _, key := range files {
		all["root/"+key] = []byte("body of " + key)
	}
	for _, key := range others {
		all[key] = []byte("other")
	}
	r.b.Fill(t, bucket.Map(all))
	r.s = r.open(t)
	t.Cleanup(func() {
		for _, key := range others {
			if body, ok := r.b.Get(t, key); !ok || string(body) != "other" {
				t.Errorf("%q isn't what it was", key)
			}
		}
	})
	return r
}

// open opens the store once more, as another process does.
func (r *rig) open(t *testing.T) *Store {
	t.Helper()
	o := realOptions(r.b.Server, r.b.Name)
	o.Endpoint = strings.TrimPrefix(r.p.Endpoint, "http://")
	return openStore(t, o)
}

// has checks that just these files stand below the root, as they were made.
func (r *rig) has(t *testing.T, files ...string) {
	t.Helper()
	var keys []string
	for _, key := range r.b.Keys(t, "root/") {
		keys = append(keys, strings.TrimPrefix(key, "root/"))
	}
	if slices.Sort(files); !slices.Equal(keys, files) {
		t.Errorf("%q stand there, want %q", keys, files)
	}
	for _, key := range files {
		if body, _ := r.b.Get(t, "root/"+key); string(body) != "body of "+key {
			t.Errorf("%q holds %q", key, body)
		}
	}
}

// versions returns how many versions and markers there are below the root.
func (r *rig) versions(t *testing.T) (n int) {
	t.Helper()
	return len(r.b.Versions(t, "root/"))
}

var (
	keeping1 = backend.Run{ID: "run-1", Keep: true}
	freeing  = backend.Run{ID: "run-2"}
)

// remove removes keys, and checks that all goes well.
func (r *rig) remove(t *testing.T, run backend.Run, keys ...string) []backend.Receipt {
	t.Helper()
	receipts := r.s.Remove(t.Context(), run, keys)
	for i, receipt := range receipts {
		if receipt.Err != nil || receipt.Key != keys[i] {
			t.Errorf("remove %q: %+v", keys[i], receipt)
		}
	}
	return receipts
}

// restore asks receipts back and checks the errors.
func (r *rig) restore(t *testing.T, run backend.Run, receipts []backend.Receipt, want error) {
	t.Helper()
	for i, err := range r.s.Restore(t.Context(), run, receipts) {
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("restore %+v: %v, want %v", receipts[i], err, want)
		}
	}
}

// bare returns receipts as they are known after a crash.
func bare(receipts []backend.Receipt) []backend.Receipt {
	keys := make([]backend.Receipt, len(receipts))
	for i := range receipts {
		keys[i].Key = receipts[i].Key
	}
	return keys
}

// numberedKeys returns n keys of blobs whose digests are spread evenly.
func numberedKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		hex := digest(i)
		keys[i] = "docker/registry/v2/blobs/sha256/" + hex[:2] + "/" + hex + "/data"
	}
	return keys
}

// must fails the test unless err is want and says all of the words.
func must(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
		return
	}
	for _, word := range words {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("%v: says nothing of %q", err, word)
		}
	}
}

// text reads a file of the store.
func text(t *testing.T, s *Store, key string) string {
	t.Helper()
	f, err := s.Open(context.Background(), key)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

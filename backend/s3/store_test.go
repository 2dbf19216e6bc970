package s3

import (
	"fmt"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/bucket"
)

var _ interface {
	backend.Store
	backend.Stater
	backend.Purger
	backend.Locker
	backend.Aborter
} = (*Store)(nil)

// openStore opens a bucket to be changed, without the waits that real servers
// need.
func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	o.Backoff = time.Millisecond
	s, err := OpenStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.settleTime = 20 * time.Millisecond
	t.Cleanup(func() { s.Close() })
	return s
}

// changing is a Store as the suite sees it, with the options to open it again.
type changing struct {
	*Store
	options Options
}

// has reports whether a key can be had of the real server: it lists no control
// characters, and keys are paths of files to it.
func has(key string) bool { return len("root/"+key) <= 1024 && !hasControls(key) }

func conform(t *testing.T, server *bucket.Server, k fixtures.StoreKeeper, versioned bool) {
	n := 0
	k.NoDirs, k.Versions, k.Can = true, true, has
	k.Fill = func(t *testing.T, files map[string]string, _ []string) backend.Store {
		n++
		b := server.Make(t, fmt.Sprintf("store-%v-%d", versioned, n))
		if versioned {
			b.SetVersioning(t, bucket.Enabled)
		}
		all := map[string][]byte{}
		for key, body := range files {
			all["root/"+key] = []byte(body)
		}
		b.Fill(t, bucket.Map(all))
		o := realOptions(server, b.Name)
		return changing{openStore(t, o), o}
	}
	k.Again = func(t *testing.T, s backend.Store) backend.Store {
		o := s.(changing).options
		return changing{openStore(t, o), o}
	}
	k.Look = func(t *testing.T, s backend.Store, key string) (int64, string) { return 0, "" }
	fixtures.ConformanceStore(t, k)
}

func TestStoreConforms(t *testing.T) {
	t.Run("versions", func(t *testing.T) {
		conform(t, bucket.Start(t, bucket.Options{Versioning: true}), fixtures.StoreKeeper{}, true)
	})
	t.Run("versions of MinIO", func(t *testing.T) {
		conform(t, bucket.Start(t, bucket.Options{MinIO: true}), fixtures.StoreKeeper{}, true)
	})
	t.Run("none", func(t *testing.T) {
		conform(t, bucket.Start(t, bucket.Options{}), fixtures.StoreKeeper{NoKeep: true}, false)
	})
}

package apply

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regfsck/backend/s3"
	"regfsck/fixtures"
	"regfsck/fixtures/bucket"
)

// inBucket puts a store into a bucket with versions, without its empty directories.
func inBucket(t *testing.T, server *bucket.Server, n int, b *fixtures.Builder) *s3.Store {
	t.Helper()
	place := server.Make(t, fmt.Sprintf("registry-%d", n))
	place.SetVersioning(t, bucket.Enabled)
	place.Fill(t, bucket.From(b.Into, "root/"))
	s, err := s3.OpenStore(t.Context(), s3.Options{
		Bucket: place.Name, Root: "root", Endpoint: server.Endpoint, Region: server.Region,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Each damaged store in a bucket comes to the same end as in memory, and back, in
// turns also where a crash took all that was noted after the changes.
func TestFixAndUndoInABucket(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	all := oneOfEach()
	for n, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name]
		crashed := n%2 == 0
		t.Run(fmt.Sprint(name, crashed), func(t *testing.T) {
			policy := policyOf(name)
			s, state := inBucket(t, server, n, b), t.TempDir()
			was := files(dump(s))
			out := mustFix(t, s, state, policy)
			m := b.Memory()
			mustFix(t, m.Store(), t.TempDir(), policy)
			if d := diff(files(dump(m)), files(dump(s))); d != "" {
				t.Errorf("the bucket differs from memory:\n%s", d)
			}
			if out.Run == "" {
				return
			}
			if crashed {
				forget(t, filepath.Join(state, "runs", out.Run, journalName))
			}
			for range 2 {
				if back, err := Undo(context.Background(), s, state, out.Run); err != nil || len(back.NotDone) > 0 {
					t.Fatalf("undo: %v, %+v", err, back)
				}
				if d := diff(was, files(dump(s))); d != "" {
					t.Fatalf("after the undo:\n%s", d)
				}
			}
		})
	}
}

// files are those of a dump, without times, which a bucket doesn't let anybody set.
func files(all map[string]string) map[string]string {
	only := map[string]string{}
	for key, text := range all {
		if !strings.HasSuffix(key, "/") {
			_, only[key], _ = strings.Cut(text, " ")
		}
	}
	return only
}

// forget takes the receipts and the end out of a journal, as if nobody had
// written them.
func forget(t *testing.T, path string) {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var left []byte
	var anew seal
	for line := range bytes.Lines(all) {
		var is sealed
		if !is.read(bytes.TrimSuffix(line, []byte("\n"))) {
			t.Fatalf("%q", line)
		}
		if is.Receipt != nil || is.End != nil {
			continue
		}
		if left, err = anew.append(left, &is.record); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, left, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPurgeInABucket(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	for n, crashed := range []bool{false, true} {
		s, state := inBucket(t, server, n, messy()), t.TempDir()
		out := mustFix(t, s, state, messyPolicy())
		if crashed {
			forget(t, filepath.Join(state, "runs", out.Run, journalName))
		}
		kept, err := Kept(context.Background(), s, state, out.Run)
		if err != nil || kept != out.Kept || kept == 0 {
			t.Errorf("crashed %v: %d bytes kept, %v, want %d", crashed, kept, err, out.Kept)
		}
		if freed, err := Purge(context.Background(), s, state, out.Run); err != nil || freed != kept {
			t.Errorf("%d of %d bytes freed, %v", freed, kept, err)
		}
	}
}

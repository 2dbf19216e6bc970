package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"regfsck/backend"
	"regfsck/backend/s3"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

func TestMain(m *testing.M) { os.Exit(fixtures.Run(m)) }

// golden returns the stores with each damage.
func golden() map[string]*fixtures.Builder {
	all := map[string]*fixtures.Builder{}
	for _, d := range fixtures.Damages() {
		if d.Disk == nil {
			b := fixtures.Standard()
			d.Apply(b)
			all[d.ID+", "+d.Name] = b
		}
	}
	return all
}

// TestFixAndUndo: after a fix there are no steps left, nothing that a tag needs is lost, and
// an undo restores the store; then all again. A removal on request may cause further
// findings, which take another run.
func TestFixAndUndo(t *testing.T) {
	for name, b := range golden() {
		for asked, policy := range policies() {
			t.Run(name+", "+asked, func(t *testing.T) {
				m, state := b.Memory(), t.TempDir()
				was := dump(m)
				for range 2 {
					runs := fixAll(t, m, state, policy)
					if !policy.Also[finding.ManifestMissing] && len(runs) > 1 {
						t.Fatalf("it took %d runs", len(runs))
					}
					if l := lost(needs(was), was, dump(m)); l != "" && !policy.Also[finding.ManifestMissing] {
						t.Fatalf("a tag's needs:\n%s", l)
					}
					undoAll(t, m, state, runs)
					if d := diff(was, dump(m)); d != "" {
						t.Fatalf("after the undo:\n%s", d)
					}
				}
			})
		}
	}
}

// fixAll fixes until there are no steps, and returns the runs.
func fixAll(t *testing.T, m *fixtures.Memory, state string, policy gc.Policy) (runs []string) {
	t.Helper()
	for len(runs) < 5 {
		was := dump(m)
		out := mustFix(t, m.Store(), state, policy)
		if out.Run == "" {
			if d := diff(was, dump(m)); d != "" {
				t.Fatalf("nothing was to be done, and:\n%s", d)
			}
			return runs
		}
		runs = append(runs, out.Run)
	}
	t.Fatal("no run is the last")
	return nil
}

// undoAll undoes runs, newest first, each twice.
func undoAll(t *testing.T, m *fixtures.Memory, state string, runs []string) {
	t.Helper()
	for i := range runs {
		for range 2 {
			back, err := Undo(context.Background(), m.Store(), state, runs[len(runs)-1-i])
			if err != nil || len(back.NotDone) > 0 {
				t.Fatalf("undo: %v, %+v", err, back)
			}
		}
	}
}

// TestCuredFindings: what was cured isn't found again.
func TestCuredFindings(t *testing.T) {
	for name, b := range golden() {
		m := b.Memory()
		before, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		mustFix(t, m.Store(), t.TempDir(), gc.Policy{})
		after, _, err := check.Store(context.Background(), m, options(gc.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for f := range after.Findings {
			if f.Cure == finding.CureRebuild || f.Cure == finding.CureRemove && !f.InGrace {
				left = append(left, f.Kind.String()+" "+f.Path)
			}
		}
		for f := range after.Findings {
			known := slices.Collect(func(yield func(string) bool) {
				for g := range before.Findings {
					if !yield(g.Kind.String() + g.Path) {
						return
					}
				}
			})
			if !slices.Contains(known, f.Kind.String()+f.Path) {
				left = append(left, "new: "+f.Kind.String()+" "+f.Path)
			}
		}
		if len(left) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(left, "\n"))
		}
	}
}

// slow is a store whose removals are durable only after a sync.
type slow struct {
	backend.Store
	mu   sync.Mutex
	went []string // removed keys, and "" for a sync
	errs []error  // of each sync
}

func (s *slow) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	s.mu.Lock()
	s.went = append(s.went, keys...)
	s.mu.Unlock()
	return s.Store.Remove(ctx, run, keys)
}

func (s *slow) Sync(context.Context) (err error) {
	s.went = append(s.went, "")
	if len(s.errs) > 0 {
		err, s.errs = s.errs[0], s.errs[1:]
	}
	return err
}

// careless is a store that reports success although it leaves out a removal, or writes half of
// a link.
type careless struct{ backend.Store }

func (c careless) Remove(ctx context.Context, run backend.Run, keys []string) []backend.Receipt {
	return c.Store.Remove(ctx, run, keys[:len(keys)-1])
}

func (c careless) Put(ctx context.Context, run backend.Run, key string, body []byte, modified int64) backend.Receipt {
	return c.Store.Put(ctx, run, key, body[:len(body)/2], modified)
}

// TestACarelessStore: a removal without an answer, and a link that reads back differently,
// are failures.
func TestACarelessStore(t *testing.T) {
	b, _, _ := leftovers()
	b.Erase(b.Tagged("b", "v1").RevisionKey())
	out, err := fix(careless{b.Memory().Store()}, t.TempDir(), gc.Policy{})
	if err != nil || out.Repaired() || !out.NotDone[0].Failed || !strings.Contains(out.NotDone[0].Reason, "it reads back differently") {
		t.Errorf("%v, %+v", err, out)
	}
	b, _, _ = leftovers()
	out, err = fix(careless{b.Memory().Store()}, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil || out.Steps.Failed == 0 || !slices.ContainsFunc(out.NotDone, func(n NotDone) bool {
		return n.Reason == errNoAnswer.Error() && n.Failed && n.Step.Kind != plan.Directory
	}) {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestLinksAreSyncedBeforeBlobs: the removal of links is synced before their blobs are
// removed, and everything before the run ends.
func TestLinksAreSyncedBeforeBlobs(t *testing.T) {
	for _, keep := range []bool{true, false} {
		m, state := garbage().Memory(), t.TempDir()
		s := &slow{Store: m.Store()}
		out := kept(t, s, state, keep)
		if len(out.NotDone) > 0 || s.went[len(s.went)-1] != "" {
			t.Errorf("it ended with %q, %+v", s.went[len(s.went)-1], out.NotDone)
		}
		blob := slices.IndexFunc(s.went, isBlob)
		link := slices.IndexFunc(s.went, func(key string) bool { return strings.HasSuffix(key, "/link") })
		if at := slices.Index(s.went, ""); link < 0 || at < link || blob < at || slices.ContainsFunc(s.went[at:], func(key string) bool { return strings.HasSuffix(key, "/link") }) {
			t.Errorf("%q", s.went)
		}
	}
}

// TestFailedSync: if links can't be synced, no blob is removed; if the last sync fails, the
// run isn't done.
func TestFailedSync(t *testing.T) {
	broken := errors.New("input/output error")
	m, state := garbage().Memory(), t.TempDir()
	s := &slow{Store: m.Store(), errs: []error{broken}}
	out := kept(t, s, state, true)
	if len(out.NotDone) == 0 || slices.ContainsFunc(s.went, isBlob) {
		t.Errorf("%q, %+v", s.went, out.NotDone)
	}
	s.errs = []error{broken} // the links are removed already
	policy := gc.Policy{Untagged: true}
	if _, err := fix(s, state, policy); !errors.Is(err, broken) {
		t.Errorf("the end: %v", err)
	}
	if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Unfinished {
		t.Errorf("%v, %+v", err, runs)
	}
	was := dump(m)
	s.errs = []error{broken}
	if _, err := Undo(context.Background(), s, state, ""); !errors.Is(err, broken) {
		t.Errorf("the end of an undo: %v", err)
	}
	if d := diff(was, dump(m)); d == "" {
		t.Error("nothing was undone")
	}
	if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Undoing {
		t.Errorf("%v, %+v", err, runs)
	}
}

func isBlob(key string) bool {
	return strings.HasPrefix(key, layout.Blobs) && strings.HasSuffix(key, "/data")
}

// kept fixes a store, with or without a quarantine.
func kept(t *testing.T, s backend.Store, state string, keep bool) *Outcome {
	t.Helper()
	policy := gc.Policy{Untagged: true}
	result, _, err := check.Store(context.Background(), s, options(policy))
	if err != nil {
		t.Fatal(err)
	}
	in := input(s, state, plan.New(result, policy), policy)
	in.Run.Keep = keep
	out, err := Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inBucket writes a store to a bucket with versions, without empty directories.
func inBucket(t *testing.T, server *s3test.Server, n int, b *fixtures.Builder) *s3.Store {
	t.Helper()
	place := server.Make(t, fmt.Sprintf("registry-%d", n))
	place.SetVersioning(t, s3test.Enabled)
	place.Fill(t, s3test.From(b.Into, "root/"))
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

// inside returns the objects of the bucket of that number.
func inside(t *testing.T, server *s3test.Server, n int) map[string]string {
	t.Helper()
	place := s3test.Bucket{Name: fmt.Sprintf("registry-%d", n), Server: server}
	all := map[string]string{}
	for key, body := range place.Contents(t, "root/docker/") {
		all[strings.TrimPrefix(key, "root/")] = string(body)
	}
	return all
}

// TestFixAndUndoInABucket: each damaged store in a bucket is fixed and undone as in memory,
// also without the receipts, as after a crash.
func TestFixAndUndoInABucket(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	all := oneOfEach()
	for n, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name]
		crashed := n%2 == 0
		t.Run(fmt.Sprint(name, crashed), func(t *testing.T) {
			policy := policyOf(name)
			s, state := inBucket(t, server, n, b), t.TempDir()
			stands := func() map[string]string { return inside(t, server, n) }
			was := stands()
			out := mustFix(t, s, state, policy)
			m := b.Memory()
			mustFix(t, m.Store(), t.TempDir(), policy)
			if d := diff(files(dump(m)), stands()); d != "" {
				t.Errorf("the bucket differs from memory:\n%s", d)
			}
			if out.Run == "" {
				return
			}
			if crashed {
				forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
			}
			for range 2 {
				if back, err := Undo(context.Background(), s, state, out.Run); err != nil || len(back.NotDone) > 0 {
					t.Fatalf("undo: %v, %+v", err, back)
				}
				if d := diff(was, stands()); d != "" {
					t.Fatalf("after the undo:\n%s", d)
				}
			}
		})
	}
}

// files returns the files of a dump without times, which a bucket can't set.
func files(all map[string]string) map[string]string {
	only := map[string]string{}
	for key, text := range all {
		if !strings.HasSuffix(key, "/") {
			_, only[key], _ = strings.Cut(text, " ")
		}
	}
	return only
}

// forget removes the receipts and the end from a journal.
func forget(t *testing.T, path string) {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var left []byte
	n := 0
	for line := range bytes.Lines(all) {
		record := line[:max(0, bytes.LastIndex(line, []byte(`,"n":`)))]
		if len(record) == 0 {
			t.Fatalf("%q", line)
		}
		if !bytes.HasPrefix(record, []byte(`{"receipt":`)) && !bytes.HasPrefix(record, []byte(`{"end":`)) {
			n++
			left = append(left, sealLine(record, n)...)
		}
	}
	if err := os.WriteFile(path, left, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sealLine returns a line of a journal with its number and checksum; record lacks its last
// brace.
func sealLine(record []byte, n int) []byte {
	line := fmt.Appendf(nil, `%s,"n":%d`, record, n)
	return fmt.Appendf(line, `,"crc":%d}`+"\n", crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
}

func TestPurgeInABucket(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	for n, crashed := range []bool{false, true} {
		s, state := inBucket(t, server, n, messy()), t.TempDir()
		out := mustFix(t, s, state, messyPolicy())
		if crashed {
			forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
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

package apply

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/backend/s3"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/walker/layout"
)

// late is a store in which another run does something just before the lock.
type late struct {
	backend.Store
	before func()
}

func (l *late) Lock(context.Context, backend.Run) (func() error, error) {
	l.before()
	return func() error { return nil }, nil
}

// TestAPurgeReadsTheJournalUnderTheLock: lines that another run adds before the lock aren't
// cut off.
func TestAPurgeReadsTheJournalUnderTheLock(t *testing.T) {
	m, state := garbage().Memory(), t.TempDir()
	run := mustFix(t, m.Store(), state, gc.Policy{}).Run
	between := &late{m.Store(), func() {
		if _, err := Undo(context.Background(), m.Store(), state, run); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := Purge(context.Background(), between, state, run); err != nil {
		t.Fatal(err)
	}
	p, err := journal.Read(state, run, journal.Whole)
	if err != nil || !p.Undone || !p.Purged {
		t.Errorf("undone %v, purged %v, %v", p.Undone, p.Purged, err)
	}
}

// TestAStrayFileIsNoRun: a foreign file among the runs is ignored.
func TestAStrayFileIsNoRun(t *testing.T) {
	m, state := garbage().Memory(), t.TempDir()
	run := mustFix(t, m.Store(), state, gc.Policy{}).Run
	if err := os.WriteFile(filepath.Join(state, "runs", ".DS_Store"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if runs, err := journal.Summaries(state); err != nil || len(runs) != 1 {
		t.Errorf("%v, %+v", err, runs)
	}
	if _, err := FindFacts(context.Background(), m, state, Given{}); err != nil {
		t.Error(err)
	}
	if _, err := Purge(context.Background(), m.Store(), state, run); err != nil {
		t.Error(err)
	}
}

// TestAJournalMayHaveHoles: after a power failure what was synced is complete, and any part
// of what was written later may be zeros.
func TestAJournalMayHaveHoles(t *testing.T) {
	b := garbage()
	for i := range byte(60) {
		b.SetClock(fixtures.Epoch.AddDate(0, -1, 0)) // older than any link
		b.Put(layout.BlobKey(layout.Sum([]byte{i})), []byte{i})
	}
	m, state := b.Memory(), t.TempDir()
	was := dump(m)
	run := mustFix(t, m.Store(), state, gc.Policy{}).Run
	name := filepath.Join(journal.Dir(state, run), journal.FileName)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(whole, []byte(`{"receipt"`)) // nothing is synced from here on
	marked := first + bytes.Index(whole[first:], []byte(`,"synced":`)) + 1
	again := marked + bytes.Index(whole[marked:], []byte(`,"synced":`)) // all before this line was synced
	whole = whole[:bytes.LastIndexByte(whole[:again], '\n')+1]
	for from := (first/sector + 1) * sector; from < len(whole); from += sector {
		holed := bytes.Clone(whole)
		clear(holed[from:min(from+4*sector, len(holed))])
		if err := os.WriteFile(name, holed, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := journal.Read(state, run, journal.Whole)
		if err != nil || p.Damage != "" {
			t.Fatalf("a hole at %d: %v, %s", from, err, p.Damage)
		}
		j, err := openJournal(context.Background(), p, m.Store())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Finish(journal.Record{End: &journal.End{Time: now, By: "later"}}), j.Close()); err != nil {
			t.Fatal(err)
		}
		if p, err = journal.Read(state, run, journal.Whole); err != nil || p.Damage != "" || p.End == nil || p.End.By != "later" {
			t.Fatalf("a hole at %d, and it went on: %v, %s, %+v", from, err, p.Damage, p.End)
		}
	}
	undoRest(t, m, state)
	if d := diff(was, dump(m)); d != "" {
		t.Errorf("after the undo:\n%s", d)
	}
	bad := bytes.Replace(whole, []byte(`{"receipt"`), []byte("{\x00\x00\x00eipt\""), 1)
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := journal.Read(state, run, journal.Whole); err != nil || !strings.Contains(p.Damage, "is damaged") {
		t.Errorf("what no disk does is taken for a hole: %v, %s", err, p.Damage)
	}
}

// TestAPurgeThatIsDenied: a purge that the server denies for some keys deletes the others:
// the rest can be undone, which reports what was deleted, or purged again.
func TestAPurgeThatIsDenied(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	for n, again := range []bool{false, true} {
		place := inBucket(t, server, n, garbage())
		_ = place.Close()
		proxy := s3test.Front(t, server, s3test.Settings{})
		s, err := s3.OpenStore(t.Context(), s3.Options{
			Bucket: []string{"registry-0", "registry-1"}[n], Root: "root", Endpoint: proxy.Endpoint, Region: server.Region,
			AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		state, was := t.TempDir(), files(dump(s))
		run := mustFix(t, s, state, gc.Policy{}).Run
		var denied string
		proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(func(key string) string {
			if denied == "" && strings.HasSuffix(key, "/data") {
				denied = key
			}
			if key == denied {
				return "AccessDenied"
			}
			return ""
		})})
		if _, err := Purge(context.Background(), s, state, run); err == nil || !strings.Contains(err.Error(), "made by a test") {
			t.Errorf("the server's words aren't told: %v", err)
		}
		proxy.Heal()
		runs, err := journal.Summaries(state)
		if err != nil || runs[0].Status != journal.PartlyPurged || !runs[0].CanUndo() {
			t.Errorf("%v, %+v", err, runs)
		}
		if again {
			if _, err := Purge(context.Background(), s, state, run); err != nil {
				t.Error(err)
			}
			if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Purged || runs[0].CanUndo() {
				t.Errorf("%v, %+v", err, runs)
			}
			continue
		}
		out, err := Undo(context.Background(), s, state, run)
		if err != nil || out.Steps.Failed > 0 {
			t.Fatalf("%v, %+v", err, out)
		}
		back := files(dump(s))
		if key := strings.TrimPrefix(denied, "root/"); back[key] != was[key] || back[key] == "" {
			t.Errorf("%s didn't come back", key)
		}
		for _, l := range out.NotDone {
			if l.Reason != "was deleted by a purge" {
				t.Errorf("%+v", l)
			}
		}
	}
}

// TestAPurgeLeavesLaterRunsTheirs: of a run that was killed before it had receipts, only what
// no later run changed is deleted.
func TestAPurgeLeavesLaterRunsTheirs(t *testing.T) {
	m, state := garbage().Memory(), t.TempDir()
	killedAt(t, m, state, fixtures.OpRemove, func(f *fixtures.FaultyStore) { fix(f, state, gc.Policy{}) })
	runs, err := journal.Summaries(state)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%v, %+v", err, runs)
	}
	own := func() int {
		p, err := journal.Find(state, runs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		all, err := purgeReceipts(p, state)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := own()
	if later := mustFix(t, m.Store(), state, gc.Policy{Untagged: true}); later.Run == runs[0].ID {
		t.Fatal("it was resumed")
	}
	if n := own(); before == 0 || n != 0 {
		t.Errorf("%d keys before, and %d after a later run has removed them", before, n)
	}
}

// TestAPurgeKeepsOtherVersions: what a run could not remove isn't its own: later noncurrent
// versions of that key are kept.
func TestAPurgeKeepsOtherVersions(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	place := server.Make(t, "registry-0")
	place.SetVersioning(t, s3test.Enabled)
	place.Fill(t, s3test.From(garbage().Into, "root/"))
	proxy := s3test.Front(t, server, s3test.Settings{})
	s, err := s3.OpenStore(t.Context(), s3.Options{
		Bucket: "registry-0", Root: "root", Endpoint: proxy.Endpoint, Region: server.Region,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	denied := ""
	proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(func(key string) string {
		if denied == "" && strings.HasSuffix(key, "/data") {
			denied = key
		}
		if key == denied {
			return "AccessDenied"
		}
		return ""
	})})
	state := t.TempDir()
	out, err := fix(s, state, gc.Policy{})
	if err != nil || len(out.NotDone) == 0 || denied == "" {
		t.Fatalf("%v, %+v", err, out)
	}
	proxy.Heal()
	place.Delete(t, denied, "")
	if _, err := Purge(context.Background(), s, state, out.Run); err != nil {
		t.Fatal(err)
	}
	for _, v := range place.Versions(t, denied) {
		if !v.Marker {
			return
		}
	}
	t.Errorf("%s was given up, which somebody else had removed", denied)
}

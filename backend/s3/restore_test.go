package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// TestRestoreAfterCrash: only the key and the run's begin are known. A marker may have its own
// time or that of the version which it hides.
func TestRestoreAfterCrash(t *testing.T) {
	for name, do := range map[string]s3test.Action{"as it is": nil, "marker times": s3test.MarkerTimes()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, "old/1", "old/2", "other")
			if do != nil {
				r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: do})
			}
			for _, key := range []string{"old/1", "old/2", "other"} {
				r.b.SetTime(t, "root/"+key, time.Now().Add(-1000*time.Hour))
			}
			run := keeping1
			run.Began = time.Now()
			receipts := bare(r.remove(t, run, "old/1", "old/2"))
			r.s = r.open(t)
			later := run
			later.Began = time.Now().Add(time.Hour)
			r.restore(t, later, receipts, fs.ErrNotExist)
			r.has(t, "other")
			receipts = append(receipts, backend.Receipt{Key: "other"})
			r.restore(t, run, receipts, nil)
			r.restore(t, run, receipts, nil)
			r.has(t, "old/1", "old/2", "other")
		})
	}
}

// TestRestoreSkewed: the run's begin is by this machine's clock, and the versions' times are
// by the server's.
func TestRestoreSkewed(t *testing.T) {
	const ahead = 3 * time.Hour
	r := newRig(t, true, "a")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: func(x *s3test.Exchange) *s3test.Answer {
		a := x.Forward()
		a.Header.Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
		return a
	}})
	run := keeping1
	run.Began = time.Now().Add(ahead) // by a clock that is ahead of the server's
	receipts := bare(r.remove(t, run, "a"))
	r.restore(t, run, receipts, nil)
	r.has(t, "a")
}

// TestRestoreLives: a key that was deleted before the run, or again after it, isn't changed,
// and nothing is replaced.
func TestRestoreLives(t *testing.T) {
	r := newRig(t, true)
	for _, body := range []string{"first", "second"} {
		r.b.Put(t, "root/a", []byte(body))
		r.b.Delete(t, "root/a", "")
	}
	r.b.Put(t, "root/a", []byte("third"))
	receipts := r.remove(t, keeping1, "a")
	r.b.Delete(t, "root/a", "") // a marker above the marker
	r.restore(t, keeping1, receipts, nil)
	if got := text(t, r.s, "a"); got != "third" {
		t.Errorf("%q was restored", got)
	}
	receipts = r.remove(t, keeping1, "a")
	r.b.Put(t, "root/a", []byte("fourth"))
	r.restore(t, keeping1, receipts, fs.ErrExist)
	if got := text(t, r.s, "a"); got != "fourth" {
		t.Errorf("%q exists", got)
	}
	r.b.Delete(t, "root/a", "")
	before := r.versions(t)
	r.restore(t, keeping1, receipts, nil)
	r.restore(t, keeping1, receipts, nil)
	if got := text(t, r.s, "a"); got != "third" {
		t.Errorf("%q became current", got)
	}
	if n := r.versions(t); n != before-1 { // the copy is new; its original and a marker are gone
		t.Errorf("%d versions and markers, want %d", n, before-1)
	}
}

// TestRestoreUnknowing: if it is unknown whether a bucket keeps versions, nothing is lost.
func TestRestoreUnknowing(t *testing.T) {
	r := newRig(t, true, "a")
	receipts := r.remove(t, keeping1, "a")
	r.s = r.open(t)
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: s3test.AccessDenied()})
	for _, err := range r.s.Restore(t.Context(), keeping1, receipts) {
		must(t, err, fs.ErrPermission, "restore")
	}
	r.p.Heal()
	r.restore(t, keeping1, receipts, nil)
	r.has(t, "a")
}

// TestRestoreExpired: a marker that hides no version restores nothing, and isn't removed.
func TestRestoreExpired(t *testing.T) {
	r := newRig(t, true, "a", "b")
	receipts := r.remove(t, keeping1, "a", "b")
	for _, v := range r.b.Versions(t, "root/a") {
		if !v.Marker {
			r.b.Delete(t, "root/a", v.ID)
		}
	}
	r.restore(t, keeping1, receipts[:1], fs.ErrNotExist)
	r.restore(t, keeping1, bare(receipts[:1]), fs.ErrNotExist)
	r.restore(t, keeping1, receipts[1:], nil)
	r.has(t, "b")
	if n := r.versions(t); n != 2 {
		t.Errorf("%d versions and markers, want 2", n)
	}
}

// TestRestoreNoticesAnotherFile: a file that is written while a restore runs isn't what the run
// removed, whether it has the same size or not.
func TestRestoreNoticesAnotherFile(t *testing.T) {
	for _, other := range []string{"other", "another one"} {
		r := newRig(t, true)
		r.b.Put(t, "root/a", []byte("first"))
		receipts := r.remove(t, keeping1, "a")
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: func(x *s3test.Exchange) *s3test.Answer {
			a := x.Forward()
			r.b.Put(t, "root/a", []byte(other))
			return a
		}})
		if err := r.s.Restore(t.Context(), keeping1, receipts)[0]; err == nil {
			t.Errorf("%q counts as the file that was removed", other)
		}
	}
}

// TestRestoreFails: the keys that the server refuses have an error, and can be restored later.
func TestRestoreFails(t *testing.T) {
	keys := fixtures.BlobKeys(1100)
	r := newRig(t, true, keys...)
	receipts := r.remove(t, keeping1, keys...)
	r.has(t)
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(func(key string) string {
		if strings.HasPrefix(key, "root/docker/registry/v2/blobs/sha256/7") {
			return "AccessDenied"
		}
		return ""
	})}, s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.StrictDelete()})
	for i, err := range r.s.Restore(t.Context(), keeping1, receipts) {
		if strings.HasPrefix(keys[i], "docker/registry/v2/blobs/sha256/7") {
			must(t, err, fs.ErrPermission, mayDeleteVersion)
		} else if err != nil {
			t.Error(err)
		}
	}
	r.p.Heal()
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: s3test.AccessDenied()})
	for _, err := range r.s.Restore(t.Context(), keeping1, receipts) {
		must(t, err, fs.ErrPermission, mayListVersions)
	}
	r.p.Heal()
	r.p.Forget()
	r.restore(t, keeping1, receipts, nil)
	r.has(t, keys...)
	if counts := r.p.Counts(); counts[s3test.ListObjectVersions] > 400 {
		t.Errorf("requests: %v", counts)
	}
}

// TestRestoreOnceMore: a Put over an object is undone by removing what was written, also if a
// lost response had it written twice.
func TestRestoreOnceMore(t *testing.T) {
	r := newRig(t, true, "a/link")
	r.b.SetTime(t, "root/a/link", time.Now().Add(-time.Hour))
	run := keeping1
	run.Began = time.Now()
	r.s.writer.unconditional.Store(true)
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: s3test.ResetAfter()})
	receipt := r.s.Put(t.Context(), run, "a/link", []byte("new"), 0)
	if receipt.Err != nil || receipt.Undo == "" || r.versions(t) != 3 {
		t.Fatalf("%+v, %d versions", receipt, r.versions(t))
	}
	r.restore(t, run, []backend.Receipt{receipt}, fs.ErrExist)
	r.restore(t, run, []backend.Receipt{{Key: "a/link"}}, fs.ErrExist)
	r.remove(t, backend.Run{ID: run.ID, UndoPut: true}, "a/link")
	r.restore(t, run, []backend.Receipt{receipt}, nil)
	r.restore(t, run, []backend.Receipt{{Key: "a/link"}}, nil)
	r.has(t, "a/link")
}

// TestPurgeLeavesOthers: what other runs keep, older versions and current ones aren't purged.
func TestPurgeLeavesOthers(t *testing.T) {
	r := newRig(t, true, "a", "b", "back")
	first := r.remove(t, keeping1, "a", "b", "back")
	r.b.Put(t, "root/a", []byte("body of a"))
	r.b.Put(t, "root/b", []byte("body of b"))
	other := backend.Run{ID: "run-9", Keep: true}
	second := r.remove(t, other, "a")
	r.restore(t, keeping1, first[2:], nil)
	before := r.versions(t)
	want := int64(len("body of a") + len("body of b"))
	for range 2 {
		if n, err := r.s.Kept(t.Context(), keeping1, receiptsOf(first)); n != want || err != nil {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	if r.versions(t) != before {
		t.Error("a question changed something")
	}
	if n, err := r.s.Purge(t.Context(), keeping1, receiptsOf(append(first, second...))); n != want || err != nil {
		t.Errorf("%d, %v, want %d", n, err, want)
	}
	if n, err := r.s.Purge(t.Context(), keeping1, receiptsOf(first)); n != 0 || err != nil {
		t.Errorf("%d, %v, want none", n, err)
	}
	r.has(t, "b", "back")
	r.restore(t, other, second, nil)
	r.has(t, "a", "b", "back")
	if n := r.versions(t); n != 3 {
		t.Errorf("%d versions and markers, want 3", n)
	}
}

// TestPurgeAfterCrash: of a removal without a receipt only the key and the time are known.
func TestPurgeAfterCrash(t *testing.T) {
	r := newRig(t, true, "a", "b", "old", "other")
	r.b.Delete(t, "root/old", "")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: s3test.MarkerTimes()})
	run := keeping1
	run.Began = time.Now().Add(time.Hour)
	all := []backend.Receipt{{Key: "a"}, {Key: "b"}, {Key: "old"}, {Key: "other"}, {Key: "never"}, {Key: "a/"}, {Key: "../a"}}
	r.remove(t, run, "a", "b")
	if n, err := r.s.Purge(t.Context(), run, receiptsOf(all)); n != 0 || err != nil {
		t.Errorf("%d, %v: all is older than the run", n, err)
	}
	run.Began = time.Time{}
	if n, err := r.s.Purge(t.Context(), run, receiptsOf(all)); n != 0 || err != nil {
		t.Errorf("%d, %v: the begin of the run is unknown", n, err)
	}
	run.Began = time.Now()
	want := int64(len("body of a") + len("body of b"))
	if n, err := r.s.Purge(t.Context(), run, receiptsOf(all[:2])); n != want || err != nil {
		t.Errorf("%d, %v, want %d", n, err, want)
	}
	r.has(t, "other")
	if n := len(r.b.Versions(t, "root/old")); n != 2 {
		t.Errorf("%d versions of what was deleted before", n)
	}
}

// TestPurgeFails: a version that can't be deleted stays hidden, and is an error.
func TestPurgeFails(t *testing.T) {
	r := newRig(t, true, "a", "b")
	receipts := r.remove(t, keeping1, "a", "b")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(func(key string) string {
		return map[string]string{"root/a": "AccessDenied"}[key]
	})})
	n, err := r.s.Purge(t.Context(), keeping1, receiptsOf(receipts))
	must(t, err, fs.ErrPermission, mayDeleteVersion)
	if n != int64(len("body of b")) {
		t.Errorf("%d bytes freed", n)
	}
	r.has(t)
	r.p.Heal()
	r.restore(t, keeping1, receipts[:1], nil)
	r.has(t, "a")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: s3test.AccessDenied()})
	_, err = r.s.Purge(t.Context(), keeping1, receiptsOf(receipts))
	must(t, err, fs.ErrPermission, mayListVersions)
	r.has(t, "a")
}

// TestForGood: in a versioned bucket, a run without Keep frees what existed since the last
// delete, and nothing before.
func TestForGood(t *testing.T) {
	r := newRig(t, true, "hidden", "often", "once")
	hidden := r.remove(t, keeping1, "hidden")
	for _, key := range []string{"root/hidden", "root/often", "root/often"} {
		r.b.Put(t, key, []byte("later"))
	}
	want := map[string]int64{"hidden": 5, "often": 10 + int64(len("body of often")), "once": int64(len("body of once"))}
	for _, receipt := range r.remove(t, freeing, "hidden", "often", "once") {
		if receipt.Freed != want[receipt.Key] || receipt.Undo != "" || receipt.Kept != 0 {
			t.Errorf("%+v, want %d bytes freed", receipt, want[receipt.Key])
		}
	}
	r.has(t)
	if n := r.versions(t); n != 2 {
		t.Errorf("%d versions and markers are left, want 2", n)
	}
	r.restore(t, keeping1, hidden, nil)
	r.has(t, "hidden")
}

// TestForGoodFails: whichever delete fails, no older version becomes current.
func TestForGoodFails(t *testing.T) {
	for fails := range 2 {
		r := newRig(t, true, "a")
		r.b.Put(t, "root/a", []byte("newest"))
		r.p.Inject(s3test.Fault{
			Match: s3test.Of(s3test.DeleteObjects), Skip: fails, Times: 1, Do: s3test.DeleteErrors(func(string) string { return "AccessDenied" }),
		})
		receipt := r.s.Remove(t.Context(), freeing, []string{"a"})[0]
		must(t, receipt.Err, fs.ErrPermission, mayDeleteVersion)
		if got := text(t, r.s, "a"); got != "newest" || receipt.Freed != 0 || r.versions(t) != 2-fails {
			t.Errorf("%q exists with %d versions, %+v", got, r.versions(t), receipt)
		}
		r.remove(t, freeing, "a")
		if n := r.versions(t); n != 0 {
			t.Errorf("%d versions are left", n)
		}
	}
}

// TestMarkersLeftOut: if a page leaves out delete markers, a restore doesn't take a hidden
// version for the current one.
func TestMarkersLeftOut(t *testing.T) {
	keys := []string{"d/1/link", "d/2/link", "d/3/link", "d/4/link", "d/5/link", "d/6/link"}
	r := newRig(t, true, keys...)
	receipts := r.remove(t, keeping1, keys...)
	for name, quirk := range map[string]s3test.Action{"all": s3test.NoMarkers(), "and said to be the latest": s3test.MarkersHidden()} {
		t.Run(name, func(t *testing.T) {
			r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: quirk})
			defer r.p.Heal()
			for i, err := range r.s.Restore(t.Context(), keeping1, receipts) {
				if err == nil || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", keys[i], err)
				}
			}
		})
	}
	r.has(t)
	r.s.pageSize = 3
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: s3test.NoMarkersAfterKey()})
	r.restore(t, keeping1, receipts, nil)
	r.has(t, keys...)
}

// TestRestoreCopiesOddNames: a copy has the right name, with any characters.
func TestRestoreCopiesOddNames(t *testing.T) {
	for _, key := range []string{"a+b", "a b", "a%2Bb", "a?b=c&d", "é:@$", "日本語"} {
		r := newRig(t, true, key)
		receipts := r.remove(t, keeping1, key)
		r.b.Put(t, "root/"+key, []byte("later"))
		r.b.Delete(t, "root/"+key, "")
		if r.restore(t, keeping1, receipts, nil); text(t, r.s, key) != "body of "+key {
			t.Errorf("%q was not restored", key)
		}
	}
}

// receiptsOf returns receipts as Store.Purge expects them.
func receiptsOf(receipts []backend.Receipt) backend.Receipts {
	return func() ([]backend.Receipt, error) { return receipts, nil }
}

package s3

import (
	"io/fs"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// TestPurgeLeavesOthers: what other runs keep, what is older, and what stands
// there again survives.
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
		if n, err := r.s.Kept(t.Context(), keeping1, first); n != want || err != nil {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	if r.versions(t) != before {
		t.Error("a question changed something")
	}
	if n, err := r.s.Purge(t.Context(), keeping1, append(first, second...)); n != want || err != nil {
		t.Errorf("%d, %v, want %d", n, err, want)
	}
	if n, err := r.s.Purge(t.Context(), keeping1, first); n != 0 || err != nil {
		t.Errorf("%d, %v, want none", n, err)
	}
	r.has(t, "b", "back")
	r.restore(t, other, second, nil)
	r.has(t, "a", "b", "back")
	if n := r.versions(t); n != 3 {
		t.Errorf("%d versions and markers, want 3", n)
	}
}

// TestPurgeAfterCrash: of a removal without a receipt the key is known, and
// the time.
func TestPurgeAfterCrash(t *testing.T) {
	r := newRig(t, true, "a", "b", "old", "stays")
	r.b.Delete(t, "root/old", "")
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: bucket.MarkerTimes()})
	run := keeping1
	run.Began = time.Now().Add(time.Hour)
	all := []backend.Receipt{{Key: "a"}, {Key: "b"}, {Key: "old"}, {Key: "stays"}, {Key: "never"}, {Key: "a/"}, {Key: "../a"}}
	r.remove(t, run, "a", "b")
	if n, err := r.s.Purge(t.Context(), run, all); n != 0 || err != nil {
		t.Errorf("%d, %v: all is older than the run", n, err)
	}
	run.Began = time.Time{}
	if n, err := r.s.Purge(t.Context(), run, all); n != 0 || err != nil {
		t.Errorf("%d, %v: nobody knows when the run began", n, err)
	}
	run.Began = time.Now()
	want := int64(len("body of a") + len("body of b"))
	if n, err := r.s.Purge(t.Context(), run, all[:2]); n != want || err != nil {
		t.Errorf("%d, %v, want %d", n, err, want)
	}
	r.has(t, "stays")
	if n := len(r.b.Versions(t, "root/old")); n != 2 {
		t.Errorf("%d versions of what was deleted before", n)
	}
}

// TestPurgeFails: a version that can't be removed stays hidden, and is told.
func TestPurgeFails(t *testing.T) {
	r := newRig(t, true, "a", "b")
	receipts := r.remove(t, keeping1, "a", "b")
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.DeleteErrors(func(key string) string {
		return map[string]string{"root/a": "AccessDenied"}[key]
	})})
	n, err := r.s.Purge(t.Context(), keeping1, receipts)
	must(t, err, fs.ErrPermission, mayDeleteVersion)
	if n != int64(len("body of b")) {
		t.Errorf("%d bytes freed", n)
	}
	r.has(t)
	r.p.Heal()
	r.restore(t, keeping1, receipts[:1], nil)
	r.has(t, "a")
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: bucket.AccessDenied()})
	_, err = r.s.Purge(t.Context(), keeping1, receipts)
	must(t, err, fs.ErrPermission, mayListVersions)
	r.has(t, "a")
}

// TestForGood: where the bucket keeps versions, a run that keeps nothing frees
// what has stood there since the last delete, and nothing before that.
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

// TestForGoodFails: no older version comes up where a delete fails.
func TestForGoodFails(t *testing.T) {
	r := newRig(t, true, "a")
	r.b.Put(t, "root/a", []byte("newest"))
	oldest := r.b.Versions(t, "root/a")
	r.p.Inject(bucket.Fault{Match: func(q *bucket.Request) bool {
		return q.Operation == bucket.DeleteObjects && !oldest[0].Marker
	}, Times: 1, Do: bucket.DeleteErrors(func(string) string { return "AccessDenied" })})
	receipt := r.s.Remove(t.Context(), freeing, []string{"a"})[0]
	must(t, receipt.Err, fs.ErrPermission, mayDeleteVersion)
	if got := text(t, r.s, "a"); got != "newest" || receipt.Freed != 0 {
		t.Errorf("%q stands there, %+v", got, receipt)
	}
	r.remove(t, freeing, "a")
	if n := r.versions(t); n != 0 {
		t.Errorf("%d versions are left", n)
	}
}

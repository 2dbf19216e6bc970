package s3

import (
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// TestRestoreAfterCrash: what is known is the key, and when the run began. A
// server whose markers have the time of what they hide does as well as one
// whose markers have their own.
func TestRestoreAfterCrash(t *testing.T) {
	for name, do := range map[string]bucket.Action{"as it is": nil, "marker times": bucket.MarkerTimes()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, "old/1", "old/2", "stays")
			if do != nil {
				r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: do})
			}
			for _, key := range []string{"old/1", "old/2", "stays"} {
				r.b.SetTime(t, "root/"+key, time.Now().Add(-1000*time.Hour))
			}
			run := keeping1
			run.Began = time.Now()
			receipts := bare(r.remove(t, run, "old/1", "old/2"))
			r.s = r.open(t)
			later := run
			later.Began = time.Now().Add(time.Hour)
			r.restore(t, later, receipts, fs.ErrNotExist)
			r.has(t, "stays")
			receipts = append(receipts, backend.Receipt{Key: "stays"})
			r.restore(t, run, receipts, nil)
			r.restore(t, run, receipts, nil)
			r.has(t, "old/1", "old/2", "stays")
		})
	}
}

// TestRestoreSkewed: the moment is meant by our clock, and the server has its own.
func TestRestoreSkewed(t *testing.T) {
	const ahead = 3 * time.Hour
	r := newRig(t, true, "a")
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.GetBucketVersioning), Do: func(x *bucket.Exchange) *bucket.Answer {
		a := x.Forward()
		a.Header.Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
		return a
	}})
	run := keeping1
	run.Began = time.Now().Add(ahead) // by a clock that is so much ahead of the server's
	receipts := bare(r.remove(t, run, "a"))
	r.restore(t, run, receipts, nil)
	r.has(t, "a")
}

// TestRestoreLives: what was deleted before the run, and again after it, stays as
// it was, and nothing is written over.
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
		t.Errorf("%q came back", got)
	}
	receipts = r.remove(t, keeping1, "a")
	r.b.Put(t, "root/a", []byte("fourth"))
	r.restore(t, keeping1, receipts, fs.ErrExist)
	if got := text(t, r.s, "a"); got != "fourth" {
		t.Errorf("%q stands there", got)
	}
	r.b.Delete(t, "root/a", "")
	r.restore(t, keeping1, receipts, nil)
	r.restore(t, keeping1, receipts, nil)
	if got := text(t, r.s, "a"); got != "third" {
		t.Errorf("%q came back from below", got)
	}
}

// TestRestoreExpired: a marker that hides nothing any more brings nothing back,
// and stays.
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

// TestRestoreFails: what the server refuses is told for the keys it is refused
// for, and comes back later.
func TestRestoreFails(t *testing.T) {
	keys := numberedKeys(1100)
	r := newRig(t, true, keys...)
	receipts := r.remove(t, keeping1, keys...)
	r.has(t)
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.DeleteErrors(func(key string) string {
		if strings.HasPrefix(key, "root/docker/registry/v2/blobs/sha256/7") {
			return "AccessDenied"
		}
		return ""
	})}, bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.StrictDelete()})
	for i, err := range r.s.Restore(t.Context(), keeping1, receipts) {
		if strings.HasPrefix(keys[i], "docker/registry/v2/blobs/sha256/7") {
			must(t, err, fs.ErrPermission, mayDeleteVersion)
		} else if err != nil {
			t.Error(err)
		}
	}
	r.p.Heal()
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: bucket.AccessDenied()})
	for _, err := range r.s.Restore(t.Context(), keeping1, receipts) {
		must(t, err, fs.ErrPermission, mayListVersions)
	}
	r.p.Heal()
	r.p.Forget()
	r.restore(t, keeping1, receipts, nil)
	r.has(t, keys...)
	if counts := r.p.Counts(); counts[bucket.ListObjectVersions] > 400 {
		t.Errorf("requests: %v", counts)
	}
}

// TestRestoreOnceMore: a Put over something is taken back by removing what was
// written, also where a lost answer had it written twice.
func TestRestoreOnceMore(t *testing.T) {
	r := newRig(t, true, "a/link")
	r.b.SetTime(t, "root/a/link", time.Now().Add(-time.Hour))
	run := keeping1
	run.Began = time.Now()
	r.s.unwatched.Store(true)
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Times: 1, Do: bucket.ResetAfter()})
	receipt := r.s.Put(t.Context(), run, "a/link", []byte("new"), 0)
	if receipt.Err != nil || receipt.Undo == "" || r.versions(t) != 3 {
		t.Fatalf("%+v, %d versions", receipt, r.versions(t))
	}
	r.restore(t, run, []backend.Receipt{receipt}, fs.ErrExist)
	r.restore(t, run, []backend.Receipt{{Key: "a/link"}}, fs.ErrExist)
	r.remove(t, backend.Run{ID: run.ID, Stay: true}, "a/link")
	r.restore(t, run, []backend.Receipt{receipt}, nil)
	r.restore(t, run, []backend.Receipt{{Key: "a/link"}}, nil)
	r.has(t, "a/link")
}

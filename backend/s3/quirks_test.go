package s3

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// TestDeleteUntold: what a DeleteObjects doesn't tell is looked at, so that the
// receipts say what was done, and all comes back.
func TestDeleteUntold(t *testing.T) {
	for name, quirk := range map[string]bucket.Action{
		"keys alone": bucket.KeysAlone(), "nothing": bucket.NothingTold(), "twice, and no marker": bucket.TwiceUntold(),
		"no such operation": bucket.NoDeleteObjects(), "not found": bucket.Refuse(http.StatusNotFound, "NotFound", "no such thing"),
		"no answer": bucket.ResetAfter(),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, "a/1", "a/2", "a/3", "stays")
			r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: quirk})
			if err := r.s.CanKeep(t.Context()); err != nil {
				t.Fatal(err)
			}
			receipts := r.remove(t, keeping1, "a/1", "a/2", "a/3")
			for _, receipt := range receipts {
				if receipt.Undo == "" || receipt.Kept != int64(len("body of a/1")) {
					t.Errorf("%+v", receipt)
				}
			}
			r.has(t, "stays")
			r.restore(t, keeping1, receipts, nil)
			r.has(t, "a/1", "a/2", "a/3", "stays")
			for _, receipt := range r.remove(t, freeing, "a/1", "a/2") {
				if receipt.Freed != int64(len("body of a/1")) {
					t.Errorf("%+v", receipt)
				}
			}
			r.has(t, "a/3", "stays")
		})
	}
}

// TestDeleteUntoldAndNotDone: what still stands after an empty answer isn't called
// removed.
func TestDeleteUntoldAndNotDone(t *testing.T) {
	for _, versioned := range []bool{true, false} {
		r := newRig(t, versioned, "a")
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.DeleteObjects), Do: func(*bucket.Exchange) *bucket.Answer {
			a := &bucket.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}}}
			a.SetBody([]byte("<DeleteResult></DeleteResult>"))
			return a
		}})
		receipt := r.s.Remove(t.Context(), backend.Run{ID: "run-1", Keep: versioned}, []string{"a"})[0]
		if !errors.Is(receipt.Err, errSilent) || receipt.Freed+receipt.Kept != 0 {
			t.Errorf("%+v", receipt)
		}
		r.has(t, "a")
	}
}

// TestMarkersLeftOut: a page of versions that leaves out delete markers doesn't
// make a restore believe that what they hide stands there.
func TestMarkersLeftOut(t *testing.T) {
	keys := []string{"d/1/link", "d/2/link", "d/3/link", "d/4/link", "d/5/link", "d/6/link"}
	r := newRig(t, true, keys...)
	receipts := r.remove(t, keeping1, keys...)
	for name, quirk := range map[string]bucket.Action{"all": bucket.NoMarkers(), "and said to be the latest": bucket.MarkersHidden()} {
		t.Run(name, func(t *testing.T) {
			r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: quirk})
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
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: bucket.NoMarkersBehind()})
	r.restore(t, keeping1, receipts, nil)
	r.has(t, keys...)
}

// TestRestoreCopiesOddNames: a name reaches the server as it is, whatever it holds.
func TestRestoreCopiesOddNames(t *testing.T) {
	for _, key := range []string{"a+b", "a b", "a%2Bb", "a?b=c&d", "é:@$", "日本語"} {
		r := newRig(t, true, key)
		receipts := r.remove(t, keeping1, key)
		r.b.Put(t, "root/"+key, []byte("later"))
		r.b.Delete(t, "root/"+key, "")
		if r.restore(t, keeping1, receipts, nil); text(t, r.s, key) != "body of "+key {
			t.Errorf("%q didn't come back", key)
		}
	}
}

// TestStoredAsConfigured: the probe and the copies of a restore carry what the
// registry's configuration says of objects, as a bucket's policy may demand.
func TestStoredAsConfigured(t *testing.T) {
	r := newRig(t, true, "a")
	r.s.options.Encrypt, r.s.options.KeyID = true, "a-key"
	r.s.options.StorageClass, r.s.options.ACL = "STANDARD_IA", "private"
	want := map[string]string{
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "a-key",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Acl": "private",
	}
	var wrong []string
	var seen int
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject, bucket.CopyObject), Do: func(x *bucket.Exchange) *bucket.Answer {
		seen++
		for name, value := range want {
			if x.Request.Header.Get(name) != value {
				wrong = append(wrong, string(x.Request.Operation)+" "+name)
			}
		}
		call := x.Call()
		for name := range want {
			call.Header.Del(name)
		}
		return x.Send(call)
	}})
	if err := r.s.CanKeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	receipts := r.remove(t, keeping1, "a")
	r.b.Put(t, "root/a", []byte("later"))
	r.b.Delete(t, "root/a", "")
	r.restore(t, keeping1, receipts, nil)
	if seen != 2 || len(wrong) > 0 {
		t.Errorf("%d requests, without %s", seen, strings.Join(wrong, ", "))
	}
}

package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/bucket"
)

// TestPutConditions: a write says what it saw, where the server listens, and is
// done all the same where it doesn't.
func TestPutConditions(t *testing.T) {
	for name, do := range map[string]bucket.Action{
		"honoured": nil, "refused": bucket.RefuseConditions(), "ignored": bucket.IgnoreConditions(), "checksums": bucket.RefuseChecksums(),
	} {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprint(name, versioned), func(t *testing.T) {
				r := newRig(t, versioned, "over")
				if do != nil {
					r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Do: do})
				}
				for _, key := range []string{"new", "over", "again"} {
					if receipt := r.s.Put(t.Context(), freeing, key, []byte("body of "+key), 0); receipt.Err != nil || receipt.Undo != "" || (receipt.Freed > 0) != (key == "over") {
						t.Errorf("%+v", receipt)
					}
				}
				r.has(t, "new", "over", "again")
				if n := r.versions(t); n != 3 {
					t.Errorf("%d versions, want 3", n)
				}
				if q := r.p.Requests(bucket.PutObject); q[0].Header.Get("If-None-Match") != "*" || q[0].Header.Get("Content-Md5") == "" {
					t.Errorf("%v", q[0].Header)
				}
			})
		}
	}
}

// TestPutMeanwhile: what somebody writes between the look and the write stays.
func TestPutMeanwhile(t *testing.T) {
	for _, key := range []string{"new", "over"} {
		r := newRig(t, false, "over")
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Times: 1, Do: func(x *bucket.Exchange) *bucket.Answer {
			x.Send(bucket.Call{Method: http.MethodPut, Bucket: x.Request.Bucket, Key: x.Request.Key, Body: []byte("theirs")})
			return x.Forward()
		}})
		receipt := r.s.Put(t.Context(), freeing, key, []byte("ours"), 0)
		must(t, receipt.Err, errMeanwhile)
		if got := text(t, r.s, key); got != "theirs" || receipt.Freed != 0 {
			t.Errorf("%q stands there, %+v", got, receipt)
		}
	}
}

// TestPutGone: what was to be written over and has gone isn't there again.
func TestPutGone(t *testing.T) {
	for _, told := range []bool{false, true} {
		r := newRig(t, false, "over")
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Times: 1, Do: func(x *bucket.Exchange) *bucket.Answer {
			x.Send(bucket.Call{Method: http.MethodDelete, Bucket: x.Request.Bucket, Key: x.Request.Key})
			if told {
				return bucket.Told(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
			}
			return bucket.Told(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		}})
		receipt := r.s.Put(t.Context(), freeing, "over", []byte("ours"), 0)
		must(t, receipt.Err, errMeanwhile)
		if errors.Is(receipt.Err, fs.ErrNotExist) {
			t.Error(receipt.Err)
		}
		r.has(t)
	}
}

// TestPutUnknowing: where nobody may know whether there are versions, what was
// written over may not have been freed.
func TestPutUnknowing(t *testing.T) {
	r := newRig(t, true, "over")
	r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.GetBucketVersioning), Do: bucket.AccessDenied()})
	if receipt := r.s.Put(t.Context(), freeing, "over", []byte("new"), 0); receipt != (backend.Receipt{Key: "over"}) {
		t.Errorf("%+v", receipt)
	}
}

// TestPutLostAnswer: a write that is sent again meets itself.
func TestPutLostAnswer(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for _, key := range []string{"new", "over"} {
			r := newRig(t, versioned, "over")
			r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Times: 1, Do: bucket.ResetAfter()})
			run := freeing
			run.Keep = versioned
			receipt := r.s.Put(t.Context(), run, key, []byte("body of "+key), 0)
			if receipt.Err != nil || (receipt.Undo != "") != (versioned && key == "over") {
				t.Errorf("%+v", receipt)
			}
			if got := text(t, r.s, key); got != "body of "+key {
				t.Errorf("%q stands there", got)
			}
		}
	}
}

// TestPutDenied: nothing is written, and the permission is named.
func TestPutDenied(t *testing.T) {
	for kind, want := range map[bucket.Operation]string{
		bucket.PutObject: mayPut, bucket.ListObjectVersions: mayListVersions, bucket.GetBucketVersioning: mayGetVersioning,
	} {
		r := newRig(t, true, "over")
		r.p.Inject(bucket.Fault{Match: bucket.Of(kind), Do: bucket.AccessDenied()})
		must(t, r.s.Put(t.Context(), keeping1, "over", []byte("new"), 0).Err, fs.ErrPermission, want+" on bucket")
		r.has(t, "over")
	}
}

// TestPutStored: an object is stored as the registry stores its own.
func TestPutStored(t *testing.T) {
	for want, o := range map[string]Options{
		"[] [] []":                  {},
		"[AES256] [] [STANDARD_IA]": {Encrypt: true, StorageClass: "STANDARD_IA"},
		"[aws:kms] [key] []":        {Encrypt: true, KeyID: "key", StorageClass: "NONE"},
	} {
		r := newRig(t, false)
		r.s.options.Encrypt, r.s.options.KeyID, r.s.options.StorageClass = o.Encrypt, o.KeyID, o.StorageClass
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.PutObject), Do: bucket.Refuse(http.StatusBadRequest, "Enough", "seen")})
		r.s.Put(t.Context(), freeing, "a", nil, 0)
		h := r.p.Requests(bucket.PutObject)[0].Header
		got := fmt.Sprint(h["X-Amz-Server-Side-Encryption"], h["X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"], h["X-Amz-Storage-Class"])
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestOwnFolder: no run changes what regfsck keeps in the store itself.
func TestOwnFolder(t *testing.T) {
	r := newRig(t, true, ".regfsck/lock", ".regfsck/x/y", ".regfsckx")
	for _, key := range []string{".regfsck", ".regfsck/lock", ".regfsck/x/y", ".regfsck/"} {
		must(t, r.s.Remove(t.Context(), keeping1, []string{key})[0].Err, errOwn)
		must(t, r.s.Put(t.Context(), keeping1, key, nil, 0).Err, errOwn)
		must(t, r.s.Restore(t.Context(), keeping1, []backend.Receipt{{Key: key}})[0], errOwn)
	}
	r.has(t, ".regfsck/lock", ".regfsck/x/y", ".regfsckx")
	r.remove(t, keeping1, ".regfsckx")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, r.s.Put(ctx, keeping1, "a", nil, 0).Err, context.Canceled)
}

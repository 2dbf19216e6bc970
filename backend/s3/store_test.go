package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
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

// TestStats: pages tell what a look at each key tells, at a fraction of the
// requests; and where pages lie or are denied, looks at the keys do.
func TestStats(t *testing.T) {
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = "x/" + digest(i)[:1] + "/" + digest(i) + "/data"
	}
	r := newRig(t, false, append(slices.Clone(keys), "a", "b/c")...)
	asked := append(slices.Clone(keys[:350]), "a", "b/c", "b/missing", keys[3]+"x", keys[3][:len(keys[3])-1], "../x", keys[7])
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	want, wantErrs := r.s.Reader.Stats(t.Context(), asked)
	for name, do := range map[string]bucket.Action{
		"sound": nil, "denied": bucket.AccessDenied(), "from the start": bucket.IgnoreStart(), "empty": bucket.EmptyPage(),
		"no token": bucket.NoToken(), "stale": bucket.HideKeys(func(key string) bool { return key < "root/x/8" }),
		"unsorted": bucket.Unsort(), "no listing": bucket.Refuse(http.StatusBadRequest, "Trouble", "today"),
	} {
		for _, pageSize := range []int32{0, 3, 100} {
			t.Run(fmt.Sprint(name, pageSize), func(t *testing.T) {
				r.p.Heal()
				if do != nil {
					r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectsV2), Do: do})
				}
				r.s.pageSize = pageSize
				r.p.Forget()
				items, errs := r.s.Stats(t.Context(), asked)
				if fmt.Sprint(items) != fmt.Sprint(want) {
					t.Error("items differ")
				}
				for i := range errs {
					if fmt.Sprint(errs[i]) != fmt.Sprint(wantErrs[i]) || !errors.Is(errs[i], root(wantErrs[i])) && errs[i] != nil {
						t.Errorf("%q: %v, want %v", asked[i], errs[i], wantErrs[i])
					}
				}
				if n := r.p.Total(); name == "sound" && pageSize == 0 && n > 60 {
					t.Errorf("%d requests for %d keys", n, len(asked))
				}
			})
		}
	}
}

// TestHistories: pages tell what a question for each key tells, whatever lies
// between the keys.
func TestHistories(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := newRig(t, true)
	var keys []string
	for i := range 40 {
		keys = append(keys, fmt.Sprintf("x/%d/%02d/data", i%2, i))
	}
	for range 220 {
		key := "root/" + keys[random.IntN(len(keys))]
		if random.IntN(3) == 0 {
			r.b.Delete(t, key, "")
		} else {
			r.b.Put(t, key, []byte(key))
		}
	}
	want := map[string]history{}
	for _, v := range r.b.Versions(t, "root/") {
		key := v.Key[len("root/"):]
		want[key] = append(want[key], version{id: v.ID, marker: v.Marker, latest: v.Latest})
	}
	for _, pageSize := range []int32{0, 2, 3, 5, 1000} {
		r.s.pageSize = pageSize
		for range 6 {
			asked := slices.Clone(keys)
			random.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			asked = append(asked[:1+random.IntN(len(asked))], "x/0/nothing/data")
			all, errs := r.s.histories(t.Context(), asked)
			for i, key := range asked {
				sorted := slices.Clone(want[key])
				sorted.sort()
				if errs[i] != nil || !slices.EqualFunc(all[i], sorted, sameVersion) {
					t.Fatalf("page size %d, %q: %v, %+v, want %+v", pageSize, key, errs[i], all[i], sorted)
				}
				if h, err := r.s.history(t.Context(), key); err != nil || !slices.EqualFunc(h, sorted, sameVersion) {
					t.Errorf("%q: %v, %+v, want %+v", key, err, h, sorted)
				}
			}
		}
	}
}

func sameVersion(a, b version) bool {
	return a.id == b.id && a.marker == b.marker && a.latest == b.latest
}

// TestHistoriesDistrusted: a page that contradicts itself tells nothing.
func TestHistoriesDistrusted(t *testing.T) {
	for name, do := range map[string]bucket.Action{"no token": bucket.NoToken(), "unsorted": bucket.Unsort(), "cut": bucket.Cut()} {
		r := newRig(t, true, "x/1/data", "x/2/data", "x/3/data", "x/4/data")
		r.s.pageSize = 2
		r.p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectVersions), Do: do})
		_, errs := r.s.histories(t.Context(), []string{"x/1/data", "x/3/data", "x/4/data"})
		if errs[2] == nil {
			t.Errorf("%s: %v", name, errs)
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

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
	"regfsck/backend/history"
	"regfsck/backend/lease"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// TestPutConditions: a write has conditions if the server supports them, and succeeds without
// them too.
func TestPutConditions(t *testing.T) {
	for name, do := range map[string]s3test.Action{
		"honoured": nil, "refused": s3test.RefuseConditions(), "ignored": s3test.IgnoreConditions(), "checksums": s3test.RefuseChecksums(),
	} {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprint(name, versioned), func(t *testing.T) {
				r := newRig(t, versioned, "over")
				if do != nil {
					r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Do: do})
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
				if q := r.p.Requests(s3test.PutObject); q[0].Header.Get("If-None-Match") != "*" || q[0].Header.Get("Content-Md5") == "" {
					t.Errorf("%v", q[0].Header)
				}
			})
		}
	}
}

// TestPutMeanwhile: an object written between the look and the write isn't replaced.
func TestPutMeanwhile(t *testing.T) {
	for _, key := range []string{"new", "over"} {
		r := newRig(t, false, "over")
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: func(x *s3test.Exchange) *s3test.Answer {
			x.Send(s3test.Call{Method: http.MethodPut, Bucket: x.Request.Bucket, Key: x.Request.Key, Body: []byte("theirs")})
			return x.Forward()
		}})
		receipt := r.s.Put(t.Context(), freeing, key, []byte("ours"), 0)
		must(t, receipt.Err, lease.ErrContested)
		if got := text(t, r.s, key); got != "theirs" || receipt.Freed != 0 {
			t.Errorf("%q exists, %+v", got, receipt)
		}
	}
}

// TestPutGone: an object that was removed before it could be replaced isn't written again.
func TestPutGone(t *testing.T) {
	for _, conditional := range []bool{false, true} {
		r := newRig(t, false, "over")
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: func(x *s3test.Exchange) *s3test.Answer {
			x.Send(s3test.Call{Method: http.MethodDelete, Bucket: x.Request.Bucket, Key: x.Request.Key})
			if conditional {
				return s3test.ErrorAnswer(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
			}
			return s3test.ErrorAnswer(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		}})
		receipt := r.s.Put(t.Context(), freeing, "over", []byte("ours"), 0)
		must(t, receipt.Err, lease.ErrContested)
		if errors.Is(receipt.Err, fs.ErrNotExist) {
			t.Error(receipt.Err)
		}
		r.has(t)
	}
}

// TestPutUnknowing: if the versioning is unknown, replacing an object may free nothing.
func TestPutUnknowing(t *testing.T) {
	r := newRig(t, true, "over")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: s3test.AccessDenied()})
	if receipt := r.s.Put(t.Context(), freeing, "over", []byte("new"), 0); receipt != (backend.Receipt{Key: "over"}) {
		t.Errorf("%+v", receipt)
	}
}

// TestPutLostAnswer: a write that is sent twice succeeds.
func TestPutLostAnswer(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for _, key := range []string{"new", "over"} {
			r := newRig(t, versioned, "over")
			r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Times: 1, Do: s3test.ResetAfter()})
			run := freeing
			run.Keep = versioned
			receipt := r.s.Put(t.Context(), run, key, []byte("body of "+key), 0)
			if receipt.Err != nil || (receipt.Undo != "") != (versioned && key == "over") {
				t.Errorf("%+v", receipt)
			}
			if got := text(t, r.s, key); got != "body of "+key {
				t.Errorf("%q exists", got)
			}
		}
	}
}

// TestPutDenied: nothing is written, and the error names the permission.
func TestPutDenied(t *testing.T) {
	for kind, want := range map[s3test.Operation]string{
		s3test.PutObject: mayPut, s3test.ListObjectVersions: mayListVersions, s3test.GetBucketVersioning: mayGetVersioning,
	} {
		r := newRig(t, true, "over")
		r.p.Inject(s3test.Fault{Match: s3test.Of(kind), Do: s3test.AccessDenied()})
		must(t, r.s.Put(t.Context(), keeping1, "over", []byte("new"), 0).Err, fs.ErrPermission, want+" on bucket")
		r.has(t, "over")
	}
}

// TestPutStored: an object is stored with the registry's settings.
func TestPutStored(t *testing.T) {
	for want, o := range map[string]Options{
		"[] [] []":                  {},
		"[AES256] [] [STANDARD_IA]": {Encrypt: true, StorageClass: "STANDARD_IA"},
		"[aws:kms] [key] []":        {Encrypt: true, KeyID: "key", StorageClass: "NONE"},
	} {
		r := newRig(t, false)
		r.s.writer.options.Encrypt, r.s.writer.options.KeyID, r.s.writer.options.StorageClass = o.Encrypt, o.KeyID, o.StorageClass
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject), Do: s3test.Refuse(http.StatusBadRequest, "Enough", "seen")})
		r.s.Put(t.Context(), freeing, "a", nil, 0)
		h := r.p.Requests(s3test.PutObject)[0].Header
		got := fmt.Sprint(h["X-Amz-Server-Side-Encryption"], h["X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"], h["X-Amz-Storage-Class"])
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestOwnDirectory: no run changes regfsck's own directory in the store.
func TestOwnDirectory(t *testing.T) {
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

// TestStats: pages return the same items as a Stat of each key, with a fraction of the
// requests; if pages are invalid or denied, keys are looked up one by one.
func TestStats(t *testing.T) {
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = "x/" + fixtures.Digest(i)[:1] + "/" + fixtures.Digest(i) + "/data"
	}
	r := newRig(t, false, append(slices.Clone(keys), "a", "b/c")...)
	asked := append(slices.Clone(keys[:350]), "a", "b/c", "b/missing", keys[3]+"x", keys[3][:len(keys[3])-1], "../x", keys[7])
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	want, wantErrs := r.s.Reader.Stats(t.Context(), asked)
	for name, do := range map[string]s3test.Action{
		"sound": nil, "denied": s3test.AccessDenied(), "from the start": s3test.IgnoreStart(), "empty": s3test.EmptyPage(),
		"no token": s3test.NoToken(), "stale": s3test.HideKeys(func(key string) bool { return key < "root/x/8" }),
		"unsorted": s3test.Unsort(), "no listing": s3test.Refuse(http.StatusBadRequest, "Trouble", "today"),
	} {
		for _, pageSize := range []int32{0, 3, 100} {
			t.Run(fmt.Sprint(name, pageSize), func(t *testing.T) {
				r.p.Heal()
				if do != nil {
					r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Do: do})
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

// TestHistories: pages return the same histories as a request for each key, whatever keys are
// between them.
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
	want := map[string]history.History{}
	for _, v := range r.b.Versions(t, "root/") {
		key := v.Key[len("root/"):]
		want[key] = append(want[key], history.Version{ID: v.ID, Marker: v.Marker, Latest: v.Latest})
	}
	for _, pageSize := range []int32{0, 2, 3, 5, 1000} {
		r.s.pageSize = pageSize
		for range 6 {
			asked := slices.Clone(keys)
			random.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			asked = append(asked[:1+random.IntN(len(asked))], "x/0/nothing/data")
			all, errs := r.s.versions.histories(t.Context(), asked)
			for i, key := range asked {
				sorted := slices.Clone(want[key])
				sorted.Sort()
				if errs[i] != nil || !slices.EqualFunc(all[i], sorted, sameVersion) {
					t.Fatalf("page size %d, %q: %v, %+v, want %+v", pageSize, key, errs[i], all[i], sorted)
				}
				if h, err := r.s.versions.history(t.Context(), key); err != nil || !slices.EqualFunc(h, sorted, sameVersion) {
					t.Errorf("%q: %v, %+v, want %+v", key, err, h, sorted)
				}
			}
		}
	}
}

func sameVersion(a, b history.Version) bool {
	return a.ID == b.ID && a.Marker == b.Marker && a.Latest == b.Latest
}

// TestHistoriesDistrusted: a page that contradicts itself is an error for its keys.
func TestHistoriesDistrusted(t *testing.T) {
	for name, do := range map[string]s3test.Action{"no token": s3test.NoToken(), "unsorted": s3test.Unsort(), "cut": s3test.Cut()} {
		r := newRig(t, true, "x/1/data", "x/2/data", "x/3/data", "x/4/data")
		r.s.pageSize = 2
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectVersions), Do: do})
		_, errs := r.s.versions.histories(t.Context(), []string{"x/1/data", "x/3/data", "x/4/data"})
		if errs[2] == nil {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

// TestStoredAsConfigured: the test object and copies have the registry's settings, as a
// bucket's policy may require.
func TestStoredAsConfigured(t *testing.T) {
	r := newRig(t, true, "a")
	r.s.writer.options.Encrypt, r.s.writer.options.KeyID = true, "a-key"
	r.s.writer.options.StorageClass, r.s.writer.options.ACL = "STANDARD_IA", "private"
	want := map[string]string{
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "a-key",
		"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Acl": "private",
	}
	var wrong []string
	var seen int
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.PutObject, s3test.CopyObject), Do: func(x *s3test.Exchange) *s3test.Answer {
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
	if err := r.s.CanUndo(t.Context()); err != nil {
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

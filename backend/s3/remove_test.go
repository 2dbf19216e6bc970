package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// TestRemoveRequests: a request contains a thousand keys and the checksum that every server
// supports; keys are looked up by listings.
func TestRemoveRequests(t *testing.T) {
	keys := fixtures.BlobKeys(2500)
	r := newRig(t, false, append(keys, "other")...)
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.RefuseChecksums()},
		s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.StrictDelete()})
	r.p.Forget()
	r.remove(t, freeing, keys...)
	r.has(t, "other")
	counts := r.p.Counts()
	if counts[s3test.DeleteObjects] != 3 || counts[s3test.DeleteObject] != 0 || counts[s3test.ListObjectsV2] > 256 || counts[s3test.HeadObject] > 250 {
		t.Errorf("requests: %v", counts)
	}
	named := 0
	for _, q := range r.p.Requests(s3test.DeleteObjects) {
		var body struct{ Object []struct{ Key string } }
		if err := xml.Unmarshal(q.Body, &body); err != nil {
			t.Fatal(err)
		}
		named += len(body.Object)
		if bytes.Contains(q.Body, []byte("<Quiet>true")) {
			t.Errorf("the results of each key aren't asked for: %.200s", q.Body)
		}
		if q.Header.Get("Content-Md5") == "" || strings.Contains(fmt.Sprint(q.Header), "X-Amz-Checksum") || strings.Contains(fmt.Sprint(q.Header), "Sdk-Checksum") {
			t.Errorf("headers: %v", q.Header)
		}
	}
	if named != len(keys) {
		t.Errorf("%d keys were named, want %d", named, len(keys))
	}
	if cost := r.s.Cost(); cost.Delete != 3 {
		t.Errorf("%+v", cost)
	}
}

// TestRemoveWithoutMD5: a server that requires the newer checksums gets one, after one failed
// request.
func TestRemoveWithoutMD5(t *testing.T) {
	r := newRig(t, false, "a", "b", "c")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: func(x *s3test.Exchange) *s3test.Answer {
		if x.Request.Header.Get("X-Amz-Checksum-Crc32") == "" {
			return s3test.ErrorAnswer(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: x-amz-checksum-crc32")
		}
		return x.Forward()
	}})
	r.remove(t, freeing, "a")
	r.remove(t, freeing, "b")
	r.has(t, "c")
	if n := r.p.Counts()[s3test.DeleteObjects]; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestRemoveKeysFail: each key of a request has its own result.
func TestRemoveKeysFail(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for _, run := range []backend.Run{keeping1, freeing} {
			if run.Keep && !versioned {
				continue
			}
			t.Run(fmt.Sprint(versioned, run.Keep), func(t *testing.T) { removeKeysFail(t, run, versioned) })
		}
	}
}

func removeKeysFail(t *testing.T, run backend.Run, versioned bool) {
	r := newRig(t, versioned, "a/denied", "a/busy", "a/silent", "a/fine", "a/odd", "b/never")
	busy := 3
	r.p.Inject(
		s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.EditBody(func(body []byte) []byte {
			return regexp.MustCompile(`(?s)<Deleted>.*?</Deleted>`).ReplaceAllFunc(body, func(one []byte) []byte {
				if bytes.Contains(one, []byte("<Key>root/a/silent</Key>")) {
					return nil
				}
				return one
			})
		})},
		s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(func(key string) string {
			switch key {
			case "root/a/denied":
				return "AccessDenied"
			case "root/a/odd":
				return "OddTrouble"
			case "root/b/never":
				return "SlowDown"
			case "root/a/busy":
				if busy--; busy >= 0 {
					return "InternalError"
				}
			}
			return ""
		})})
	receipts := r.s.Remove(t.Context(), run, []string{"a/denied", "a/busy", "a/silent", "a/fine", "a/odd", "b/never", "a/missing", "a/"})
	permission := mayDelete
	if versioned && !run.Keep {
		permission = mayDeleteVersion
	}
	must(t, receipts[0].Err, fs.ErrPermission, permission+" on "+r.b.Name+"/root/*")
	must(t, receipts[4].Err, receipts[4].Err, "OddTrouble")
	must(t, receipts[5].Err, receipts[5].Err, "SlowDown")
	must(t, receipts[6].Err, fs.ErrNotExist)
	must(t, receipts[7].Err, fs.ErrNotExist)
	for i, receipt := range receipts {
		good := i == 1 || i == 2 || i == 3 // keys that the response doesn't mention are rechecked
		if good != (receipt.Err == nil) || good != (receipt.Freed+receipt.Kept > 0) || (good && run.Keep) != (receipt.Undo != "") {
			t.Errorf("%+v", receipt)
		}
	}
	r.has(t, "a/denied", "a/odd", "b/never")
}

// TestRemoveControls: a key that XML can't represent has its own request, and no other key is
// removed for it.
func TestRemoveControls(t *testing.T) {
	keys := []string{"a/new\nline", "a/tab\tulated", "a/plain"}
	r := newRig(t, false, append(keys, "a/new line", "a/new", "a/tab ulated")...)
	r.remove(t, freeing, keys...)
	r.has(t, "a/new line", "a/new", "a/tab ulated")
	if n := r.p.Counts(); n[s3test.DeleteObject] != 2 || n[s3test.DeleteObjects] != 1 {
		t.Errorf("requests: %v", n)
	}
	for key, want := range map[string]bool{"é日本": true, "a&<>\"'": true, "\x01": false, "a\xff": false, "\uFFFE": false, "\u0085": false, "\r": false} {
		if isXML(key) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}

// TestRemoveTroubled: temporary errors are retried, and a request that is sent twice does no
// harm.
func TestRemoveTroubled(t *testing.T) {
	for name, trouble := range map[string]s3test.Action{"slow down": s3test.SlowDown(), "reset": s3test.Reset(), "reset after": s3test.ResetAfter()} {
		for _, run := range []backend.Run{keeping1, freeing} {
			for _, versioned := range []bool{run.Keep, true} {
				t.Run(fmt.Sprint(name, run.Keep, versioned), func(t *testing.T) {
					r := newRig(t, versioned, "a/1", "a/2", "b/3")
					r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Times: 2, Do: trouble})
					receipts := r.remove(t, run, "a/1", "a/2")
					r.has(t, "b/3")
					if run.Keep {
						r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Times: 2, Do: trouble})
						r.restore(t, run, receipts, nil)
						r.has(t, "a/1", "a/2", "b/3")
					}
					if n := r.versions(t); n != len(r.b.Keys(t, "root/")) {
						t.Errorf("%d versions and markers are left", n)
					}
				})
			}
		}
	}
}

// TestRemoveDenied: the error names the permission.
func TestRemoveDenied(t *testing.T) {
	for _, c := range []struct {
		kind s3test.Operation
		run  backend.Run
		want string
	}{
		{s3test.DeleteObjects, keeping1, mayDelete}, {s3test.DeleteObjects, freeing, mayDeleteVersion},
		{s3test.GetBucketVersioning, keeping1, mayGetVersioning}, {s3test.ListObjectVersions, freeing, mayListVersions},
	} {
		r := newRig(t, true, "a/1", "a/2")
		r.p.Inject(s3test.Fault{Match: s3test.Of(c.kind), Do: s3test.AccessDenied()})
		for _, receipt := range r.s.Remove(t.Context(), c.run, []string{"a/1", "a/2"}) {
			must(t, receipt.Err, fs.ErrPermission, "the credentials need "+c.want+" on bucket")
		}
		r.has(t, "a/1", "a/2")
	}
}

// TestRemoveUnknowing: if the versioning is unknown, delete markers show that nothing was
// freed.
func TestRemoveUnknowing(t *testing.T) {
	r := newRig(t, true, "a/1", "a/2")
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.GetBucketVersioning), Do: s3test.AccessDenied()})
	for _, receipt := range r.remove(t, freeing, "a/1", "a/2") {
		if receipt != (backend.Receipt{Key: receipt.Key}) {
			t.Errorf("%+v", receipt)
		}
	}
	r.has(t)
}

// TestThrottled: throttled requests are retried; keys that still fail are errors.
func TestThrottled(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		run := freeing
		run.Keep = versioned
		r := newRig(t, versioned, "a/1", "b/2")
		changes := s3test.Of(s3test.DeleteObjects, s3test.PutObject)
		r.p.Inject(s3test.Fault{Match: changes, Times: 5, Do: s3test.SlowDown()})
		if receipt := r.s.Put(t.Context(), run, "new", []byte("body of new"), 0); receipt.Err != nil {
			t.Error(receipt.Err)
		}
		r.p.Heal()
		r.p.Inject(s3test.Fault{Match: changes, Times: 5, Do: s3test.SlowDown()})
		r.remove(t, run, "a/1")
		r.has(t, "b/2", "new")
		r.p.Heal()
		r.p.Inject(s3test.Fault{Match: changes, Do: s3test.SlowDown()})
		kept := r.versions(t)
		for _, receipt := range []backend.Receipt{
			r.s.Remove(t.Context(), run, []string{"b/2"})[0], r.s.Put(t.Context(), run, "never", nil, 0),
		} {
			must(t, receipt.Err, receipt.Err, "SlowDown", "after 8 attempts")
			if receipt.Err == nil || receipt.Freed+receipt.Kept > 0 || receipt.Undo != "" {
				t.Errorf("%+v", receipt)
			}
		}
		r.has(t, "b/2", "new")
		if n := r.versions(t); n != kept {
			t.Errorf("%d versions and markers, want %d", n, kept)
		}
	}
}

// mark writes markers of directories below the root.
func (r *rig) mark(t *testing.T, dirs ...string) {
	t.Helper()
	all := map[string][]byte{}
	for _, dir := range dirs {
		all["root/"+dir+"/"] = nil
	}
	r.b.Fill(t, s3test.Map(all))
}

// TestMarkersRemoved: markers that were listed and have no other files in their directory are
// removed, and restored if the bucket has versions.
func TestMarkersRemoved(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		run := freeing
		if versioned {
			run = keeping1
		}
		r := newRig(t, versioned, "full/file")
		r.mark(t, "full", "ghost", "ghost/_layers", "unseen")
		for _, prefix := range []string{"full", "ghost"} {
			if _, _, err := keysOf(t, r.s.Reader, prefix); err != nil {
				t.Fatal(err)
			}
		}
		must(t, r.s.Remove(t.Context(), run, []string{"ghost/"})[0].Err, backend.ErrNotEmpty)
		receipts := r.remove(t, run, "ghost/_layers/")
		receipts = append(receipts, r.remove(t, run, "ghost/")...)
		must(t, r.s.Remove(t.Context(), run, []string{"full/"})[0].Err, backend.ErrNotEmpty)
		before := r.p.Total()
		for _, dir := range []string{"unseen/", "none/"} {
			must(t, r.s.Remove(t.Context(), run, []string{dir})[0].Err, fs.ErrNotExist)
		}
		if n := r.p.Total() - before; n > 0 {
			t.Errorf("%d requests for directories that no listing returned", n)
		}
		if got := r.b.Keys(t, "root/"); !slices.Equal(got, []string{"root/full/", "root/full/file", "root/unseen/"}) {
			t.Errorf("%q are left", got)
		}
		if !versioned {
			continue
		}
		r.restore(t, run, receipts, nil)
		if got := r.b.Keys(t, "root/ghost"); !slices.Equal(got, []string{"root/ghost/", "root/ghost/_layers/"}) {
			t.Errorf("%q was restored", got)
		}
	}
}

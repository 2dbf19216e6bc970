package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/lister"
	"regfsck/fixtures/s3test"
)

// uploadsOf returns the unfinished uploads.
func uploadsOf(t *testing.T, s *Store) (all []backend.Upload, err error) {
	t.Helper()
	err = s.Uploads(t.Context(), func(u backend.Upload) error {
		all = append(all, u)
		return nil
	})
	return all, err
}

// uploadPage is a page of uploads.
type uploadPage struct {
	XMLName                           xml.Name `xml:"ListMultipartUploadsResult"`
	EncodingType                      string
	IsTruncated                       bool
	NextKeyMarker, NextUploadIdMarker string
	Upload                            []struct{ Key, UploadId, Initiated string }
}

// pagedAsAWS returns the server's uploads in pages as AWS does, by key and id, with encoded
// keys.
func pagedAsAWS(x *s3test.Exchange) *s3test.Answer {
	q, call := x.Request.Query, x.Call()
	call.Query = url.Values{"uploads": {""}, "prefix": q["prefix"]}
	a := x.Send(call)
	var p uploadPage
	if err := xml.Unmarshal(a.Body, &p); err != nil {
		return s3test.ErrorAnswer(http.StatusBadRequest, "MalformedXML", err.Error())
	}
	all := p.Upload
	p.Upload, p.EncodingType = nil, "url"
	slices.SortFunc(all, func(a, b struct{ Key, UploadId, Initiated string }) int {
		return strings.Compare(a.Key+"\x00"+a.UploadId, b.Key+"\x00"+b.UploadId)
	})
	most, _ := strconv.Atoi(q.Get("max-uploads"))
	for _, u := range all {
		if u.Key < q.Get("key-marker") || u.Key == q.Get("key-marker") && (!q.Has("upload-id-marker") || u.UploadId <= q.Get("upload-id-marker")) {
			continue
		}
		if p.IsTruncated = most > 0 && len(p.Upload) == most; p.IsTruncated {
			break
		}
		u.Key = url.QueryEscape(u.Key)
		p.Upload, p.NextKeyMarker, p.NextUploadIdMarker = append(p.Upload, u), u.Key, u.UploadId
	}
	text, err := xml.Marshal(p)
	if err != nil {
		return s3test.ErrorAnswer(http.StatusBadRequest, "MalformedXML", err.Error())
	}
	a.SetBody(text)
	return a
}

// TestUploads: all uploads of the store and no others are listed, over several pages; each can
// be aborted.
func TestUploads(t *testing.T) {
	for _, pageSize := range []int32{0, 1, 2} {
		r := newRig(t, false, "a")
		if r.s.pageSize = pageSize; pageSize > 0 {
			r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListMultipartUploads), Do: pagedAsAWS})
		}
		r.b.StartUpload(t, "rooted", []byte("not ours"))
		var want []backend.Upload
		for i, key := range []string{"a/data", "a/data", "b c/ü+%2F", "d/data", "d/data"} {
			id := r.b.StartUpload(t, "root/"+key, []byte(fmt.Sprint("part ", i)))
			want = append(want, backend.Upload{Key: key, ID: id})
		}
		got, err := uploadsOf(t, r.s)
		if err != nil {
			t.Fatal(err)
		}
		bare := slices.Clone(got)
		for i, u := range got {
			if age := time.Since(time.Unix(0, u.Started)); age < -time.Minute || age > time.Minute {
				t.Errorf("%+v is %v old", u, age)
			}
			bare[i].Started = 0
		}
		byID := func(a, b backend.Upload) int { return strings.Compare(a.Key+a.ID, b.Key+b.ID) }
		slices.SortFunc(bare, byID)
		slices.SortFunc(want, byID)
		if !slices.Equal(bare, want) {
			t.Errorf("%+v, want %+v", bare, want)
		}
		if err := r.s.Abort(t.Context(), got[1]); err != nil {
			t.Error(err)
		}
		must(t, r.s.Abort(t.Context(), got[1]), fs.ErrNotExist)
		if left, err := uploadsOf(t, r.s); err != nil || len(left) != 4 || slices.Contains(left, got[1]) {
			t.Errorf("%+v, %v", left, err)
		}
		if n := len(r.b.Uploads(t)); n != 5 {
			t.Errorf("%d uploads are left in the bucket, want 5", n)
		}
		r.has(t, "a")
	}
}

// TestUploadsEnd: the caller or an invalid page ends the listing.
func TestUploadsEnd(t *testing.T) {
	r := newRig(t, false)
	for range 4 {
		r.b.StartUpload(t, "root/a/data", []byte("part"))
	}
	r.s.pageSize = 2
	stop, calls := errors.New("stop"), 0
	err := r.s.Uploads(t.Context(), func(backend.Upload) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Error(err, calls)
	}
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListMultipartUploads), Do: s3test.NoToken()})
	if _, err = uploadsOf(t, r.s); !isDistrust(err) {
		t.Error(err)
	}
}

func isDistrust(err error) bool {
	_, ok := errors.AsType[*lister.PageError](err)
	return ok
}

// TestUploadsDenied: the error names the permission.
func TestUploadsDenied(t *testing.T) {
	r := newRig(t, false)
	r.b.StartUpload(t, "root/a/data", []byte("part"))
	all, err := uploadsOf(t, r.s)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListMultipartUploads, s3test.AbortMultipartUpload), Do: s3test.AccessDenied()})
	_, err = uploadsOf(t, r.s)
	must(t, err, fs.ErrPermission, mayListUploads+" on bucket bucket")
	must(t, r.s.Abort(t.Context(), all[0]), fs.ErrPermission, mayAbort+" on "+r.b.Name+"/root/*")
	r.p.Heal()
	if all, err = uploadsOf(t, r.s); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
	for _, key := range []string{"", "../a", "/a"} {
		if err := r.s.Abort(t.Context(), backend.Upload{Key: key, ID: all[0].ID}); err == nil {
			t.Errorf("an upload to %q is given up", key)
		}
	}
}

// TestUploadsHidden: if a server lists no uploads below a prefix, all of the bucket's are
// listed, and those of others left out. Without any, that costs one page.
func TestUploadsHidden(t *testing.T) {
	r := newRig(t, false)
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.ListMultipartUploads), Do: s3test.HideUploadsBelow()})
	r.b.StartUpload(t, "elsewhere/data", []byte("not ours"))
	r.b.StartUpload(t, "rooted", []byte("not ours"))
	if got, err := uploadsOf(t, r.s); err != nil || len(got) != 0 || r.p.Counts()[s3test.ListMultipartUploads] != 2 {
		t.Errorf("%+v, %v, %v", got, err, r.p.Counts())
	}
	id := r.b.StartUpload(t, "root/a/data", []byte("part"))
	if got, err := uploadsOf(t, r.s); err != nil || len(got) != 1 || got[0].Key != "a/data" || got[0].ID != id {
		t.Errorf("%+v, %v", got, err)
	}
	r.p.Heal()
	before := r.p.Counts()[s3test.ListMultipartUploads]
	if got, err := uploadsOf(t, r.s); err != nil || len(got) != 1 || r.p.Counts()[s3test.ListMultipartUploads] != before+1 {
		t.Errorf("%+v, %v, %v", got, err, r.p.Counts())
	}
}

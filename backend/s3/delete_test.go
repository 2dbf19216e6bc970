package s3

import (
	"errors"
	"net/http"
	"testing"

	"regfsck/backend"
	"regfsck/fixtures/s3test"
)

// TestDeleteUntold: targets that a DeleteObjects response doesn't mention are rechecked, so
// that the receipts are right and all is restored.
func TestDeleteUntold(t *testing.T) {
	for name, quirk := range map[string]s3test.Action{
		"keys alone": s3test.DeleteWithoutMarkers(), "nothing": s3test.EmptyDeleteResult(), "twice, and no marker": s3test.RepeatDelete(),
		"no such operation": s3test.NoDeleteObjects(), "not found": s3test.Refuse(http.StatusNotFound, "NotFound", "no such thing"),
		"no answer": s3test.ResetAfter(),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, "a/1", "a/2", "a/3", "other")
			r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: quirk})
			if err := r.s.CanUndo(t.Context()); err != nil {
				t.Fatal(err)
			}
			receipts := r.remove(t, keeping1, "a/1", "a/2", "a/3")
			for _, receipt := range receipts {
				if receipt.Undo == "" || receipt.Kept != int64(len("body of a/1")) {
					t.Errorf("%+v", receipt)
				}
			}
			r.has(t, "other")
			r.restore(t, keeping1, receipts, nil)
			r.has(t, "a/1", "a/2", "a/3", "other")
			for _, receipt := range r.remove(t, freeing, "a/1", "a/2") {
				if receipt.Freed != int64(len("body of a/1")) {
					t.Errorf("%+v", receipt)
				}
			}
			r.has(t, "a/3", "other")
		})
	}
}

// TestDeleteUntoldAndNotDone: an object that still exists after an empty response isn't
// reported as removed.
func TestDeleteUntoldAndNotDone(t *testing.T) {
	for _, versioned := range []bool{true, false} {
		r := newRig(t, versioned, "a")
		r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: silence})
		receipt := r.s.Remove(t.Context(), backend.Run{ID: "run-1", Keep: versioned}, []string{"a"})[0]
		if !errors.Is(receipt.Err, errSilent) || receipt.Freed+receipt.Kept != 0 {
			t.Errorf("%+v", receipt)
		}
		r.has(t, "a")
	}
}

// silence is a response to DeleteObjects that mentions no key, without the deletion.
func silence(*s3test.Exchange) *s3test.Answer {
	a := &s3test.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}}}
	a.SetBody([]byte("<DeleteResult></DeleteResult>"))
	return a
}

// TestDeleteOfVersionsUntold: a version that no response mentions, and that can't be looked up,
// isn't reported as deleted.
func TestDeleteOfVersionsUntold(t *testing.T) {
	r, asked := newRig(t, true, "a"), false
	r.p.Inject(s3test.Fault{Match: s3test.Of(s3test.DeleteObjects), Do: func(e *s3test.Exchange) *s3test.Answer {
		asked = true
		return silence(e)
	}}, s3test.Fault{Match: func(q *s3test.Request) bool { return asked && q.Operation == s3test.ListObjectVersions }, Do: s3test.AccessDenied()})
	receipt := r.s.Remove(t.Context(), freeing, []string{"a"})[0]
	if !asked || !errors.Is(receipt.Err, errSilent) || receipt.Freed != 0 {
		t.Errorf("%+v", receipt)
	}
	r.has(t, "a")
}

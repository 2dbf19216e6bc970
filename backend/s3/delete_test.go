package s3

import (
	"errors"
	"net/http"
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

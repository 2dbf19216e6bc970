package report

import "regfsck/graph/plan"

// Versions are what a bucket does with what is deleted, and what it holds today
// that no listing of objects shows.
type Versions struct {
	Kept   bool // a delete alone leaves a version, and frees nothing
	Expire bool // a rule of the bucket's own gives up versions after Days
	Days   int

	Noncurrent      int // versions of blobs that something newer or a delete marker hides
	NoncurrentBytes int64
	Uploads         int // multipart uploads that were begun and aren't finished
	UploadBytes     int64

	Notes []string // what could not be found out, and why
}

// versions says what is special about undoing changes of a bucket.
func (t *planText) versions() {
	v := t.p.Versions
	switch {
	case t.p.State == "" && v.Kept:
		t.prose(0, "Nothing of this could be undone (--undo none): the versions themselves go, not only what they are listed by, and their space is free at once.")
		return
	case t.p.State == "":
		t.prose(0, "Nothing of this could be undone (--undo none): what goes is gone, and its space is free at once.")
		return
	}
	what := t.undoable()
	if what == "" {
		return
	}
	t.prose(0, what+" could be undone: a delete marker hides what goes, and its bytes stay in the bucket as noncurrent versions, so that nothing is free until regfsck purge removes them.")
	if v.Expire {
		until := t.p.Started.UTC().AddDate(0, 0, v.Days).Format("2006-01-02")
		t.prose(0, "A lifecycle rule of the bucket removes them by itself "+Plural(v.Days, "day", "days")+" after they go: until "+until+" all of it can be undone, and less and less of it after that.")
	}
	t.prose(0, "The journal that finds them again stands in")
	t.line(1, Clean(t.p.State))
}

// hidden says what the bucket costs today besides what is listed.
func (t *planText) hidden() {
	v := t.p.Versions
	if v == nil || v.Noncurrent+v.Uploads+len(v.Notes) == 0 {
		return
	}
	t.heading(bold, "IN THE BUCKET BESIDES")
	t.blank()
	if v.Noncurrent > 0 {
		t.line(1, left("noncurrent versions", 24), right(Number(v.Noncurrent), 10), right(Size(v.NoncurrentBytes), 12))
		t.prose(3, "of blobs: purge frees those that runs of regfsck left, and a lifecycle rule for noncurrent versions frees all")
	}
	if v.Uploads > 0 {
		t.line(1, left("unfinished uploads", 24), right(Number(v.Uploads), 10), right(Size(v.UploadBytes), 12))
		t.prose(3, "multipart uploads: this plan gives up "+Number(t.aborts())+"; fix does those that are older than --uploads-older-than")
	}
	for _, n := range v.Notes {
		t.prose(1, Clean("Not known: "+n))
	}
}

// aborts is how many multipart uploads the plan gives up.
func (t *planText) aborts() (n int) {
	for i := range t.p.Plan.Steps {
		if t.p.Plan.Steps[i].Op == plan.Abort {
			n++
		}
	}
	return n
}

type jsonVersions struct {
	Kept            bool     `json:"kept"`
	ExpireDays      int      `json:"expire_days,omitempty"`
	Noncurrent      int      `json:"noncurrent_blob_versions"`
	NoncurrentBytes int64    `json:"noncurrent_bytes"`
	Uploads         int      `json:"unfinished_uploads"`
	UploadBytes     int64    `json:"unfinished_bytes"`
	Notes           []string `json:"notes"`
}

func versionsOf(v *Versions) *jsonVersions {
	return &jsonVersions{v.Kept, v.Days, v.Noncurrent, v.NoncurrentBytes, v.Uploads, v.UploadBytes, listed(v.Notes)}
}

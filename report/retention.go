package report

import (
	"slices"
	"strings"
	"time"

	"regfsck/backend/words"
	"regfsck/graph/gc"
	"regfsck/report/changes"
	"regfsck/report/document"
	"regfsck/report/view"
)

// Retained is the decision of a retention policy on a tag or untagged manifest.
type Retained = gc.Decision

func retainedName(r *Retained) string {
	if r.Tag == "" {
		return "@" + Short(r.Digest)
	}
	return TagName(r.Tag)
}

// retainedReason describes why it is kept or removed.
func retainedReason(r *Retained) string {
	switch {
	case !r.Keep:
		return r.Why
	case r.Subject != "":
		return "kept as long as " + r.Subject
	case len(r.Rules) > 0:
		return strings.Join(r.Rules, ", ")
	}
	return r.Why
}

// retention writes, for each repository with removals, all decisions, newest first, each with
// its reason.
func (t *planText) retention() {
	if t.p.Retention == nil {
		return
	}
	losing, whole, removed, kept := [][]Retained{}, 0, 0, 0
	for _, part := range changes.Split(t.p.Retention, func(a, b *Retained) bool { return a.Repository == b.Repository }) {
		n := 0
		for i := range part {
			if !part[i].Keep {
				n++
			}
		}
		removed, kept = removed+n, kept+len(part)-n
		if n == 0 {
			whole++
			continue
		}
		losing = append(losing, part)
	}
	t.Heading(view.Bold, "TAGS")
	for _, part := range losing[:t.First(len(losing))] {
		t.retained(part)
	}
	if len(losing) > 0 && !t.Shown(len(losing)-1) {
		t.Gap()
		t.More(0, len(losing), " repositories")
	}
	t.Gap()
	line := words.Number(removed) + " removed, " + words.Number(kept) + " kept"
	if whole > 0 {
		line += "; " + words.Plural(whole, "repository loses nothing", "repositories lose nothing")
	}
	t.Line(1, line)
}

func (t *planText) retained(part []Retained) {
	t.Lead(1, t.Paint(view.Bold, words.Clean(part[0].Repository)))
	part = slices.Clone(part)
	slices.SortStableFunc(part, func(a, b Retained) int { // whole seconds, as in documents
		return b.Date.Truncate(time.Second).Compare(a.Date.Truncate(time.Second))
	})
	width := 0
	for i := range part {
		width = max(width, len([]rune(retainedName(&part[i]))))
	}
	t.BareTable(1, view.Column{Width: 2}, view.Column{Name: "tag", Width: width}, view.Column{Name: "date", Width: 26, Gap: 2}, view.Column{Name: "reason"})
	for i := range part[:t.First(len(part))] {
		r := &part[i]
		sign, st := "  ", view.Dim
		if !r.Keep {
			sign, st = "- ", view.Red
		}
		date := ""
		if !r.Date.IsZero() {
			date = r.By + " " + r.Date.Format("2006-01-02 15:04")
		}
		t.Row(t.Paint(st, sign), retainedName(r), date, t.Paint(view.Dim, Short(words.Clean(retainedReason(r)))))
		if r.Note != "" {
			t.Prose(4, words.Clean(r.Note))
		}
	}
	t.More(1, len(part), "")
}

// retainedFields is the decision on a tag.
type retainedFields struct {
	Repository string   `json:"repository"`
	Tag        string   `json:"tag"`
	Digest     string   `json:"digest"`
	Keep       bool     `json:"keep"`
	Rules      []string `json:"rules"`
	Why        string   `json:"why"`
	Subject    string   `json:"subject"`
	Date       string   `json:"date"`
	By         string   `json:"by"`
	Note       string   `json:"note"`
}

func retainedOf(r *Retained) retainedFields {
	return retainedFields{r.Repository, r.Tag, r.Digest, r.Keep, document.List(r.Rules), r.Why, r.Subject, document.Time(r.Date), r.By, r.Note}
}

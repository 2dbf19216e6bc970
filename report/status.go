package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/report/document"
)

// The names of the forms of what a state directory keeps of the last check, and of the
// document of Status.
const (
	LastCheckSchema = "regfsck.last-check/1"
	StatusSchema    = "regfsck.status/1"
)

// LastCheck is what is kept of a check: when it was, what it looked for and what that came
// to.
type LastCheck struct{ fields lastCheckFields }

// lastCheckFields are a LastCheck in JSON. All of it is made by the program but for Target
// and Store.
type lastCheckFields struct {
	timedFields
	Store       string        `json:"store"` // the store's own name, by which its record is known
	Seconds     float64       `json:"seconds"`
	Looked      lookedFields  `json:"looked"`
	Complete    bool          `json:"complete"`
	Interrupted bool          `json:"interrupted"`
	Verdict     string        `json:"verdict"`
	Sentence    string        `json:"sentence"` // the line that sums it up
	Totals      check.Totals  `json:"totals"`
	Found       []foundFields `json:"found"` // by kind
	Exit        exitFields    `json:"exit"`
}

// foundFields count the findings of a kind.
type foundFields struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Count    int    `json:"count"`
	Bytes    int64  `json:"bytes"`
	Young    int    `json:"young"`
}

// Record returns what is kept of the check of the store that is called so: the document,
// and a line with its digest.
func (c *Check) Record(store string) ([]byte, error) {
	t := c.timed(LastCheckSchema)
	t.Started, t.Finished = c.Started.UTC().Format(time.RFC3339Nano), c.Finished.UTC().Format(time.RFC3339Nano) // a run may follow within the second
	f := lastCheckFields{
		timedFields: t, Store: store, Seconds: c.Finished.Sub(c.Started).Seconds(), Looked: c.Looked.fields(), Complete: c.Result.Complete,
		Interrupted: c.Result.Stopped(), Verdict: c.Verdict(), Totals: c.Result.Totals, Found: []foundFields{}, Exit: exitOf(c.Exit),
	}
	for b := range c.Short(TextOptions{}) {
		if b.Kind == VerdictBlock {
			f.Sentence = Unstyled(b.Text)
		}
	}
	for id := range finding.Kinds {
		if n := c.Result.Counts[id]; n.Count > 0 || n.InGrace > 0 {
			f.Found = append(f.Found, foundFields{id.String(), id.Severity().String(), n.Count, n.Bytes, n.InGrace})
		}
	}
	var body bytes.Buffer
	if err := WriteJSON(&body, &LastCheck{f}); err != nil {
		return nil, err
	}
	return append(body.Bytes(), sealOf(body.Bytes())...), nil
}

// sealOf is the line that ends a record.
func sealOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `{"sha256":"` + hex.EncodeToString(sum[:]) + `"}` + "\n"
}

// ReadRecord reads back what Record returned of the store that is called so. What is cut
// or was edited, is of another store or of another version, is an error that says so.
func ReadRecord(text []byte, store string) (*LastCheck, error) {
	end := bytes.LastIndexByte(bytes.TrimSuffix(text, []byte("\n")), '\n') + 1
	if string(text[end:]) != sealOf(text[:end]) {
		return nil, errors.New("it was edited, or is cut short")
	}
	if name, _ := FormOf(text[:end]); name != LastCheckSchema {
		return nil, fmt.Errorf("it has the form %q, which another version of regfsck wrote; this one knows %s", name, LastCheckSchema)
	}
	l := &LastCheck{}
	if err := document.Read(bytes.NewReader(text[:end]), &l.fields); err != nil {
		return nil, err
	}
	if l.fields.Store != store {
		return nil, fmt.Errorf("it is about another store, %s", l.fields.Store)
	}
	return l, nil
}

// Fields is the record for machines.
func (l *LastCheck) Fields() any { return l.fields }

// Finished is when the check ended.
func (l *LastCheck) Finished() time.Time { return saved(l.fields.Finished) }

// Status is what is known of a store without reading it.
type Status struct {
	Version string
	Target  string
	State   string
	Now     time.Time
	Last    *LastCheck // nil where none is known
	Problem string     // why what is kept of the last check is not believed, "" for nothing
	Record  string     // the file that it is kept in
	Runs    []Weighed  // all that the state directory knows, the newest first
	Asked   bool       // the store was asked what they keep; else their journals say what they moved
	Store   []string   // STORE and the flags by which it and its runs are found
	Checks  []string   // the arguments of a check that is recorded
	Exit    Exit
}

// Weighed is a run, and how much is kept for its undo, in bytes.
type Weighed struct {
	journal.Summary
	Kept int64
}

// changed is the newest run that changed anything since the last check began; "" for none.
func (s *Status) changed() string {
	for _, r := range s.Runs {
		if s.Last != nil && r.Began.After(saved(s.Last.fields.Started)) && (r.Done > 0 || r.Unconfirmed > 0) {
			return r.ID
		}
	}
	return ""
}

// kept are the runs that keep something, or that have not come to an end.
func (s *Status) kept() (all []Weighed, bytes int64) {
	for _, r := range s.Runs {
		if open := r.Status == journal.Unfinished || r.Status == journal.Interrupted || r.Status == journal.Undoing; r.CanUndo() || open || r.Kept > 0 {
			all, bytes = append(all, r), bytes+r.Kept
		}
	}
	return all, bytes
}

// View is what the last check found and when, and which runs keep how much.
func (s *Status) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		t := newText(&Check{}, yield, o)
		t.whole = "--json has all of them"
		t.title(t.paint(bold, "regfsck status"), "  ", Clean(s.Target))
		s.check(t)
		s.runs(t)
		t.steps(s.next())
	}
}

// check writes what the last check found.
func (s *Status) check(t *text) {
	t.heading(bold, "LAST CHECK")
	t.blank()
	if s.Last == nil {
		s.unknown(t.printer)
		return
	}
	l := &s.Last.fields
	t.bareTable(1, Column{Width: 12}, Column{})
	took := duration(l.Seconds)
	t.row(t.paint(dim, "when"), stamp(s.Last.Finished())+", "+ago(s.Now.Sub(s.Last.Finished()))+", took "+Span(took))
	looked := "verify " + own(l.Looked.Verify) + ", grace " + Span(time.Duration(l.Looked.GraceSeconds)*time.Second)
	if l.Looked.Thorough {
		looked += ", thorough"
	}
	if l.Looked.Untagged {
		looked += ", untagged"
	}
	t.row(t.paint(dim, "looked for"), looked)
	n := &l.Totals
	t.row(t.paint(dim, "store"), Plural(n.Repositories, "repository", "repositories")+", "+Plural(n.Tags, "tag", "tags")+", "+
		Plural(n.Revisions, "manifest", "manifests")+", "+Plural(n.Blobs, "blob", "blobs")+" of "+Size(n.Bytes))
	if n.ReclaimableBytes > 0 {
		t.row(t.paint(dim, "can be freed"), Size(n.ReclaimableBytes))
	}
	if len(l.Found) > 0 {
		t.blank()
		t.table(1, Column{Name: "found", Width: 25}, Column{Name: "severity", Width: 10}, Column{Name: "count", Width: 10, Right: true}, Column{Name: "size", Width: 12, Right: true, Drop: 1}, Column{Name: "newer than --grace", Width: 20, Right: true, Drop: 2})
		for _, f := range l.Found {
			t.row(own(f.ID), own(f.Severity), Number(f.Count), some(f.Bytes), Number(f.Young))
		}
	}
	t.blank()
	s.verdict(t.printer)
	t.line(1, "It ended with exit code "+Number(l.Exit.Code)+": "+Exit(l.Exit.Code).Meaning())
	switch {
	case l.Interrupted:
		t.prose(1, t.paint(yellow, "INCOMPLETE")+": it was interrupted before it had hashed all that it was to hash.")
	case !l.Complete:
		t.prose(1, t.paint(yellow, "INCOMPLETE")+": something could not be read, so there may be more.")
	}
	if id := s.changed(); id != "" {
		t.prose(1, "Run "+Clean(id)+" has changed the store since. The next check says what is left.")
	}
}

// unknown says why nothing is known of a check.
func (s *Status) unknown(p *printer) {
	if s.Problem != "" {
		p.prose(1, p.paint(red, "The record of the last check is not used")+": "+Clean(s.Problem)+". It is:")
		p.line(2, Clean(s.Record))
		return
	}
	p.prose(1, "No check is recorded in "+Clean(s.State)+". A check records what it finds where that directory exists, or with --state.")
}

// verdict is the line that sums up the last check.
func (s *Status) verdict(p *printer) {
	word, rest, _ := strings.Cut(own(s.Last.fields.Sentence), ":")
	st := green
	switch {
	case strings.HasPrefix(word, "DAMAGED"):
		st = red
	case word != "CLEAN":
		st = yellow
	}
	p.verdict(p.paint(st, word), ":", rest)
}

// runs writes which runs keep something, and how much.
func (s *Status) runs(t *text) {
	kept, bytes := s.kept()
	t.heading(bold, "RUNS")
	t.blank()
	switch {
	case len(s.Runs) == 0:
		t.line(1, "There are no runs in ", Clean(s.State))
		return
	case len(kept) == 0:
		t.line(1, Plural(len(s.Runs), "run", "runs")+"; none of them keeps anything")
		return
	}
	t.table(1, Column{Name: "run", Width: 24}, Column{Name: "when", Width: 22, Drop: 1}, Column{Name: "command", Width: 9}, Column{Name: "steps", Width: 9, Right: true, Drop: 2},
		Column{Name: "keeps", Width: 12, Right: true}, Column{Name: "state", Gap: 2})
	for i, r := range kept {
		if !t.shown(i) {
			break
		}
		state := string(r.Status)
		if r.CanUndo() {
			state += ", can be undone"
		}
		if r.Damage != "" {
			state += "; damaged: " + Clean(r.Damage)
		}
		t.row(Clean(r.ID), stamp(r.Began), Clean(r.Command), Number(r.Done), some(r.Kept), state)
	}
	t.more(1, len(kept))
	t.blank()
	verb := "keep"
	if len(kept) == 1 {
		verb = "keeps"
	}
	line := Number(len(kept)) + " of " + Plural(len(s.Runs), "run", "runs") + " " + verb + " " + Size(bytes) + " for undo"
	if !s.Asked {
		line += ", as the journals say; the store was not asked"
	}
	t.line(1, line)
}

// next are the commands that lead on.
func (s *Status) next() (steps [][2]string) {
	if s.Last == nil || s.changed() != "" || !s.Last.fields.Complete {
		steps = append(steps, [2]string{commandOf(append([]string{"check"}, s.Checks...)...), "checks the store and records what it finds"})
	}
	if len(s.Runs) > 0 {
		words := append([]string{"show", s.Store[0], s.Runs[0].ID}, s.Store[1:]...)
		steps = append(steps, [2]string{commandOf(words...), "says by names what the newest run did"})
	}
	if _, bytes := s.kept(); bytes > 0 {
		words := append([]string{"purge", s.Store[0], "--all"}, s.Store[1:]...)
		steps = append(steps, [2]string{commandOf(words...), "frees what runs keep, and ends their undo"})
	}
	return steps
}

// Short is the last check in one line, and what runs keep in another.
func (s *Status) Short(o TextOptions) View {
	return func(yield func(Block) bool) {
		p := newPrinter(yield)
		if s.Last == nil {
			s.unknown(p)
		} else {
			s.verdict(p)
		}
		kept, bytes := s.kept()
		p.line(0, Plural(len(kept), "run keeps", "runs keep")+" "+Size(bytes))
	}
}

// ago says how long something is past.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future of this machine's clock"
	case d < time.Minute:
		return "less than a minute ago"
	case d < time.Hour:
		return Plural(int(d.Minutes()), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return Plural(int(d.Hours()), "hour", "hours") + " ago"
	}
	return Plural(int(d.Hours()/24), "day", "days") + " ago"
}

// statusFields are the document of Status.
type statusFields struct {
	headFields
	State   string                  `json:"state"`
	Last    *lastCheckFields        `json:"last_check,omitempty"`         // where one is known
	Problem string                  `json:"last_check_problem,omitempty"` // why what is kept of it is not believed
	Changed string                  `json:"changed_by,omitempty"`         // the newest run since that check
	Kept    keptFields              `json:"kept"`
	Runs    iter.Seq[weighedFields] `json:"runs"` // all that the state directory knows, the newest first
	Exit    exitFields              `json:"exit"`
}

// keptFields are what runs keep.
type keptFields struct {
	Runs  int   `json:"runs"` // that can be undone, or have not come to an end
	Bytes int64 `json:"bytes"`
	Asked bool  `json:"asked"` // of the store; else the journals say what the runs moved
}

// weighedFields are a run and what it keeps.
type weighedFields struct {
	pastFields
	Kept int64 `json:"kept_bytes"`
}

// Fields is what is known for machines.
func (s *Status) Fields() any {
	kept, bytes := s.kept()
	d := statusFields{
		headFields{StatusSchema, toolOf(s.Version), s.Target}, s.State, nil, s.Problem, s.changed(), keptFields{len(kept), bytes, s.Asked},
		each(s.Runs, func(r *Weighed) weighedFields { return weighedFields{pastOf(&r.Summary), r.Kept} }), exitOf(s.Exit),
	}
	if s.Last != nil {
		d.Last = &s.Last.fields
	}
	return d
}

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

	"regfsck/backend/words"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/journal"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
)

// Names and versions of the record of a check and of the document of Status.
const (
	LastCheckSchema = "regfsck.last-check/1"
	StatusSchema    = "regfsck.status/1"
)

// LastCheck is the record of a check: its time, what it looked for, and its result.
type LastCheck struct{ fields lastCheckFields }

// lastCheckFields is a LastCheck in JSON. Only Target and Store contain foreign text.
type lastCheckFields struct {
	timedFields
	Store       string        `json:"store"` // the store's identity
	Seconds     float64       `json:"seconds"`
	Looked      lookedFields  `json:"looked"`
	Complete    bool          `json:"complete"`
	Interrupted bool          `json:"interrupted"`
	Verdict     string        `json:"verdict"`
	Sentence    string        `json:"sentence"` // the verdict line
	Totals      check.Totals  `json:"totals"`
	Found       []foundFields `json:"found"` // by kind
	Exit        exitFields    `json:"exit"`
}

// foundFields is the number of findings of a kind.
type foundFields struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Count    int    `json:"count"`
	Bytes    int64  `json:"bytes"`
	Young    int    `json:"young"`
}

// Record returns the record of a check: the document, and a line with its digest.
func (c *Check) Record(store string) ([]byte, error) {
	t := c.timed(LastCheckSchema)
	t.Started, t.Finished = c.Started.UTC().Format(time.RFC3339Nano), c.Finished.UTC().Format(time.RFC3339Nano) // a run may begin in the same second
	f := lastCheckFields{
		timedFields: t, Store: store, Seconds: c.Finished.Sub(c.Started).Seconds(), Looked: lookedFields(c.Looked), Complete: c.Result.Complete,
		Interrupted: c.Result.Interrupted, Verdict: c.Verdict(), Totals: c.Result.Totals, Found: []foundFields{}, Exit: exitOf(c.Exit),
	}
	for b := range c.Short(view.Options{}) {
		if b.Kind == view.VerdictBlock {
			f.Sentence = view.Unstyled(b.Text)
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

// sealOf returns the last line of a record.
func sealOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `{"sha256":"` + hex.EncodeToString(sum[:]) + `"}` + "\n"
}

// ReadRecord reads a record of the store with that identity. It is an error if the record is
// incomplete, edited, or of another store or version.
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

// Fields returns the record's document.
func (l *LastCheck) Fields() any { return l.fields }

// Finished returns when the check ended.
func (l *LastCheck) Finished() time.Time { return saved(l.fields.Finished) }

// Status is what is known about a store without reading it.
type Status struct {
	Version string
	Target  string
	State   string
	Now     time.Time
	Last    *LastCheck // nil if unknown
	Problem string     // why the record is invalid, "" if it isn't
	Record  string     // its file
	Runs    []Weighed  // all runs of the state directory, newest first
	Asked   bool       // kept bytes are from the store; else from the journals
	Store   []string   // STORE and the flags to find it and its runs
	Checks  []string   // the arguments of a recorded check
	Exit    exitcode.Code
}

// Weighed is a run, with the bytes kept for its undo.
type Weighed struct {
	journal.Summary
	Kept int64
}

// changed returns the newest run that changed something since the last check began; "" for
// none.
func (s *Status) changed() string {
	for _, r := range s.Runs {
		if s.Last != nil && r.Began.After(saved(s.Last.fields.Started)) && (r.Done > 0 || r.Unconfirmed > 0) {
			return r.ID
		}
	}
	return ""
}

// kept returns the runs that keep something or have not ended.
func (s *Status) kept() (all []Weighed, bytes int64) {
	for _, r := range s.Runs {
		if open := r.Status == journal.Unfinished || r.Status == journal.Interrupted || r.Status == journal.Undoing; r.CanUndo() || open || r.Kept > 0 {
			all, bytes = append(all, r), bytes+r.Kept
		}
	}
	return all, bytes
}

// View returns the result and time of the last check, and how much runs keep.
func (s *Status) View(o view.Options) view.View {
	return (&Check{}).text("check", o, func(t *text) {
		t.Rest = "--json has all of them"
		t.title(t.Paint(view.Bold, "regfsck status"), "  ", words.Clean(s.Target))
		s.check(t)
		s.runs(t)
		t.Commands(s.next())
	})
}

// check writes the result of the last check.
func (s *Status) check(t *text) {
	t.Section(view.Bold, "LAST CHECK")
	if s.Last == nil {
		s.unknown(t.Printer)
		return
	}
	l := &s.Last.fields
	when := document.Time(s.Last.Finished()) + ", " + words.Ago(s.Now.Sub(s.Last.Finished()), time.Hour, "in the future of this machine's clock") + ", took " + words.Span(duration(l.Seconds))
	looked := "verify " + own(l.Looked.Verify) + ", grace " + words.Span(time.Duration(l.Looked.GraceSeconds)*time.Second)
	if l.Looked.Thorough {
		looked += ", thorough"
	}
	if l.Looked.Untagged {
		looked += ", untagged"
	}
	freed := ""
	if n := l.Totals.ReclaimableBytes; n > 0 {
		freed = words.Size(n)
	}
	t.Facts(12, [][2]string{{"when", when}, {"looked for", looked}, {"store", contents(&l.Totals)}, {"can be freed", freed}})
	if len(l.Found) > 0 {
		t.Gap()
		t.Table(1, view.Column{Name: "found", Width: 25}, view.Column{Name: "severity", Width: 10}, view.Column{Name: "count", Width: 10, Right: true}, view.Column{Name: "size", Width: 12, Right: true, Drop: 1}, view.Column{Name: "newer than --grace", Width: 20, Right: true, Drop: 2})
		for _, f := range l.Found {
			t.Row(own(f.ID), own(f.Severity), words.Number(f.Count), some(f.Bytes), words.Number(f.Young))
		}
	}
	t.Gap()
	s.verdict(t.Printer)
	t.Line(1, "It ended with exit code "+words.Number(l.Exit.Code)+": "+exitcode.Code(l.Exit.Code).Meaning())
	switch {
	case l.Interrupted:
		t.Prose(1, t.Paint(view.Yellow, "INCOMPLETE")+": it was interrupted before it had hashed all that it was to hash.")
	case !l.Complete:
		t.Prose(1, t.Paint(view.Yellow, "INCOMPLETE")+": something could not be read, so there may be more.")
	}
	if id := s.changed(); id != "" {
		t.Prose(1, "Run "+words.Clean(id)+" has changed the store since. The next check says what is left.")
	}
}

// unknown writes why there is no result.
func (s *Status) unknown(p *view.Printer) {
	if s.Problem != "" {
		p.Prose(1, p.Paint(view.Red, "The record of the last check is not used")+": "+words.Clean(s.Problem)+". It is:")
		p.Line(2, words.Clean(s.Record))
		return
	}
	p.Prose(1, "No check is recorded in "+words.Clean(s.State)+". A check records what it finds where that directory exists, or with --state.")
}

// verdict writes the verdict line of the last check.
func (s *Status) verdict(p *view.Printer) {
	word, rest, _ := strings.Cut(own(s.Last.fields.Sentence), ":")
	st := view.Green
	switch {
	case strings.HasPrefix(word, "DAMAGED"):
		st = view.Red
	case word != "CLEAN":
		st = view.Yellow
	}
	p.Verdict(p.Paint(st, word), ":", rest)
}

// runs lists the runs that keep something, and how much.
func (s *Status) runs(t *text) {
	kept, bytes := s.kept()
	t.Section(view.Bold, "RUNS")
	switch {
	case len(s.Runs) == 0:
		t.Line(1, "There are no runs in ", words.Clean(s.State))
		return
	case len(kept) == 0:
		t.Line(1, words.Plural(len(s.Runs), "run", "runs")+"; none of them keeps anything")
		return
	}
	t.Table(1, view.Column{Name: "run", Width: 24}, view.Column{Name: "when", Width: 22, Drop: 1}, view.Column{Name: "command", Width: 9}, view.Column{Name: "steps", Width: 9, Right: true, Drop: 2},
		view.Column{Name: "keeps", Width: 12, Right: true}, view.Column{Name: "state", Gap: 2})
	for _, r := range kept[:t.First(len(kept))] {
		state := string(r.Status)
		if r.CanUndo() {
			state += ", can be undone"
		}
		if r.Damage != "" {
			state += "; damaged: " + words.Clean(r.Damage)
		}
		t.Row(words.Clean(r.ID), document.Time(r.Began), words.Clean(r.Command), words.Number(r.Done), some(r.Kept), state)
	}
	t.More(1, len(kept), "")
	t.Gap()
	verb := "keep"
	if len(kept) == 1 {
		verb = "keeps"
	}
	line := words.Number(len(kept)) + " of " + words.Plural(len(s.Runs), "run", "runs") + " " + verb + " " + words.Size(bytes) + " for undo"
	if !s.Asked {
		line += ", according to the journals; the store was not read"
	}
	t.Line(1, line)
}

// next returns suggested commands.
func (s *Status) next() (steps [][2]string) {
	if s.Last == nil || s.changed() != "" || !s.Last.fields.Complete {
		steps = append(steps, [2]string{commandOf(append([]string{"check"}, s.Checks...)...), "checks the store and records what it finds"})
	}
	if len(s.Runs) > 0 {
		steps = append(steps, [2]string{ofStore(s.Store, "show", s.Runs[0].ID), "shows by name what the newest run did"})
	}
	if _, bytes := s.kept(); bytes > 0 {
		steps = append(steps, [2]string{ofStore(s.Store, "purge", "--all"), "frees what runs keep, and ends their undo"})
	}
	return steps
}

// Short returns the last check in one line, and what runs keep in another.
func (s *Status) Short(o view.Options) view.View {
	return view.Of(o, func(p *view.Printer) {
		if s.Last == nil {
			s.unknown(p)
		} else {
			s.verdict(p)
		}
		kept, bytes := s.kept()
		p.Line(0, words.Plural(len(kept), "run keeps", "runs keep")+" "+words.Size(bytes))
	})
}

// statusFields is the document of Status.
type statusFields struct {
	headFields
	State   string                  `json:"state"`
	Last    *lastCheckFields        `json:"last_check,omitempty"`         // if there is one
	Problem string                  `json:"last_check_problem,omitempty"` // why its record is invalid
	Changed string                  `json:"changed_by,omitempty"`         // the newest run since that check
	Kept    keptFields              `json:"kept"`
	Runs    iter.Seq[weighedFields] `json:"runs"` // all runs of the state directory, newest first
	Exit    exitFields              `json:"exit"`
}

// keptFields is what runs keep.
type keptFields struct {
	Runs  int   `json:"runs"` // that can be undone, or have not ended
	Bytes int64 `json:"bytes"`
	Asked bool  `json:"asked"` // from the store; else from the journals
}

// weighedFields is a run and what it keeps.
type weighedFields struct {
	pastFields
	Kept int64 `json:"kept_bytes"`
}

// Fields returns the document.
func (s *Status) Fields() any {
	kept, bytes := s.kept()
	d := statusFields{
		headFields{StatusSchema, toolOf(s.Version), s.Target}, s.State, nil, s.Problem, s.changed(), keptFields{len(kept), bytes, s.Asked},
		document.Each(s.Runs, func(r *Weighed) weighedFields { return weighedFields{pastOf(&r.Summary), r.Kept} }), exitOf(s.Exit),
	}
	if s.Last != nil {
		d.Last = &s.Last.fields
	}
	return d
}

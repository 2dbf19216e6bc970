package report

import (
	"fmt"
	"time"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/graph"
	"regfsck/report/document"
	"regfsck/report/exitcode"
	"regfsck/report/view"
	"regfsck/walker/ledger"
)

// ShardSchema is the name and version of the document of a shard.
const ShardSchema = "regfsck.shard/1"

// Shard is the result of a run that only hashed a part of the blobs.
type Shard struct {
	Version  string
	Target   string
	Ledger   string // the ledger file
	Part     ledger.Part
	Started  time.Time
	Finished time.Time
	Hashing  *graph.Hashing
	Notes    []string
	Cost     backend.Cost
	Requests bool // requests cost money: the report has their number
	Exit     exitcode.Code
}

// View returns what was hashed, and what is wrong.
func (s *Shard) View(o view.Options) view.View {
	c := &Check{Target: s.Target, Phases: s.Hashing.Phases, Cost: s.Cost, Requests: s.Requests}
	return c.text("check", o, func(t *text) {
		t.title(t.Paint(view.Bold, "regfsck check"), "  ", words.Clean(s.Target))
		t.phases()
		t.Lead(1, fmt.Sprintf("shard %d of %d: ", s.Part.I, s.Part.N), amount(s.Hashing.Part), ", of ", amount(s.Hashing.Listed), " in the store")
		t.Prose(1, proofsLine(&s.Hashing.Proofs))
		if len(s.Hashing.Wrong) > 0 {
			t.Section(view.Red, "CORRUPT: the bytes are not those that the digest names")
			for _, b := range s.Hashing.Wrong {
				t.Line(1, words.Clean(b.Key), "  ", words.Size(b.Bytes))
			}
		}
		if len(s.Hashing.Unread) > 0 {
			t.Section(view.Yellow, "NOT READ")
			for _, f := range s.Hashing.Unread {
				t.Line(1, words.Clean(f.Key), ": ", words.Clean(f.Why))
			}
		}
		t.Notes(s.Notes)
		t.Gap()
		s.verdict(t)
		t.Para(0, "The ledgers of all shards together are judged by regfsck check with --verified, which names what they don't prove.")
		exitLine(t.Printer, s.Exit, s.Exit.Meaning())
	})
}

// Short returns the verdict line.
func (s *Shard) Short(o view.Options) view.View {
	return (&Check{}).text("check", o, s.verdict)
}

func (s *Shard) verdict(t *text) {
	p := &s.Hashing.Proofs
	word, st := "DONE", view.Green
	switch {
	case len(s.Hashing.Wrong) > 0:
		word, st = "DAMAGED", view.Red
	case len(s.Hashing.Unread) > 0:
		word, st = "INCOMPLETE", view.Yellow
	}
	line := fmt.Sprintf(": of shard %d of %d %s", s.Part.I, s.Part.N, words.Plural(p.Hashed.Blobs+p.Known.Blobs, "blob is right", "blobs are right"))
	if n := p.Wrong.Blobs; n > 0 {
		line += ", " + words.Number(n) + " corrupt"
	}
	if n := p.Unproven.Blobs; n > 0 {
		line += ", " + words.Number(n) + " not read"
	}
	t.Printer.Verdict(t.Paint(st, word), line)
}

// shardFields is the document of a shard.
type shardFields struct {
	timedFields
	Shard   string        `json:"shard"` // part and number of parts: "3/10"
	Ledger  string        `json:"ledger"`
	Listed  graph.Amount  `json:"listed"`
	Part    graph.Amount  `json:"part"`
	Proofs  *proofsFields `json:"proofs"`
	Corrupt []graph.Blob  `json:"corrupt"`
	Unread  []graph.Fault `json:"unread"`
	Cost    *askedFields  `json:"cost,omitempty"`
	Notes   []string      `json:"notes"`
	Exit    exitFields    `json:"exit"`
}

// Fields returns the document.
func (s *Shard) Fields() any {
	return shardFields{
		timed(ShardSchema, s.Version, s.Target, s.Started, s.Finished),
		fmt.Sprintf("%d/%d", s.Part.I, s.Part.N), s.Ledger, s.Hashing.Listed, s.Hashing.Part, (*proofsFields)(&s.Hashing.Proofs),
		append([]graph.Blob{}, s.Hashing.Wrong...), append([]graph.Fault{}, s.Hashing.Unread...),
		askedOf(s.Requests, s.Cost), document.List(s.Notes), exitOf(s.Exit),
	}
}

package report

import (
	"fmt"
	"time"

	"regfsck/backend"
	"regfsck/graph"
	"regfsck/walker/ledger"
)

// ShardSchema names the form of the document of a shard.
const ShardSchema = "regfsck.shard/1"

// Shard is all there is to say about a run that hashed a part of the blobs and nothing
// else.
type Shard struct {
	Version  string
	Target   string
	Ledger   string // the file that has its records
	Part     ledger.Part
	Started  time.Time
	Finished time.Time
	Hashing  *graph.Hashing
	Notes    []string
	Cost     backend.Cost
	Requests bool // they cost: the report tells how many there were
	Exit     Exit
}

// View says what was hashed, and what is wrong of it.
func (s *Shard) View(o TextOptions) View {
	return func(yield func(Block) bool) {
		c := &Check{Target: s.Target, Phases: s.Hashing.Phases, Cost: s.Cost, Requests: s.Requests}
		t := newText(c, yield, o)
		t.title(t.paint(bold, "regfsck check"), "  ", Clean(s.Target))
		t.phases()
		t.blank()
		t.line(1, fmt.Sprintf("shard %d of %d: ", s.Part.I, s.Part.N), amount(s.Hashing.Part), ", of ", amount(s.Hashing.Listed), " in the store")
		t.prose(1, proofsLine(&s.Hashing.Proofs))
		if len(s.Hashing.Wrong) > 0 {
			t.heading(red, "CORRUPT: the bytes are not those that the digest names")
			t.blank()
			for _, b := range s.Hashing.Wrong {
				t.line(1, Clean(b.Key), "  ", Size(b.Bytes))
			}
		}
		if len(s.Hashing.Unread) > 0 {
			t.heading(yellow, "NOT READ")
			t.blank()
			for _, f := range s.Hashing.Unread {
				t.line(1, Clean(f.Key), ": ", Clean(f.Why))
			}
		}
		for i, n := range s.Notes {
			if i == 0 {
				t.heading(bold, "NOTES")
			}
			t.blank()
			t.prose(1, Clean(n))
		}
		t.blank()
		s.verdict(t)
		t.blank()
		t.prose(0, "The ledgers of all shards together are judged by regfsck check with --verified, which names what they don't prove.")
		exitLine(t.printer, s.Exit, s.Exit.Meaning())
	}
}

// Short is the one line that matters most.
func (s *Shard) Short(o TextOptions) View {
	return func(yield func(Block) bool) { s.verdict(newText(&Check{}, yield, o)) }
}

func (s *Shard) verdict(t *text) {
	p := &s.Hashing.Proofs
	word, st := "DONE", green
	switch {
	case len(s.Hashing.Wrong) > 0:
		word, st = "DAMAGED", red
	case len(s.Hashing.Unread) > 0:
		word, st = "INCOMPLETE", yellow
	}
	line := fmt.Sprintf(": of shard %d of %d %s", s.Part.I, s.Part.N, Plural(p.Hashed.Blobs+p.Known.Blobs, "blob is right", "blobs are right"))
	if n := p.Wrong.Blobs; n > 0 {
		line += ", " + Number(n) + " corrupt"
	}
	if n := p.Unproven.Blobs; n > 0 {
		line += ", " + Number(n) + " not read"
	}
	t.printer.verdict(t.paint(st, word), line)
}

// shardFields are the document of a shard.
type shardFields struct {
	timedFields
	Shard   string        `json:"shard"` // which part of how many: "3/10"
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

// Fields is the outcome for machines.
func (s *Shard) Fields() any {
	return shardFields{
		timed(ShardSchema, s.Version, s.Target, s.Started, s.Finished),
		fmt.Sprintf("%d/%d", s.Part.I, s.Part.N), s.Ledger, s.Hashing.Listed, s.Hashing.Part, proofsOf(&s.Hashing.Proofs),
		append([]graph.Blob{}, s.Hashing.Wrong...), append([]graph.Fault{}, s.Hashing.Unread...),
		askedOf(s.Requests, s.Cost), listed(s.Notes), exitOf(s.Exit),
	}
}

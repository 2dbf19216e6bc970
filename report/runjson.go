package report

import (
	"io"
	"maps"
	"slices"
	"strings"

	"regfsck/graph/finding"
)

// RunSchema names the form of the document that Run.WriteJSON writes.
const RunSchema = "regfsck.apply/1"

// WriteJSON writes the outcome as one JSON document, under the rules of
// Check.WriteJSON.
func (r *Run) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	head := Check{Version: r.Version, Target: r.Target, Started: r.Started, Finished: r.Finished}
	head.head(d, RunSchema)
	d.field("command", r.Command)
	d.field("run", r.Outcome.Run)
	d.field("plan", r.Outcome.Plan)
	d.field("resumed", r.Outcome.Resumed)
	d.field("interrupted", r.Outcome.Interrupted)
	d.field("totals", tallyOf(r.Outcome.Total()))
	d.begin("counts")
	d.comma = "{"
	for _, id := range slices.SortedFunc(maps.Keys(r.Outcome.Counts), func(a, b finding.Kind) int { return strings.Compare(a.String(), b.String()) }) {
		d.begin(id.String())
		d.value(tallyOf(r.Outcome.Counts[id]))
	}
	if d.comma == "{" {
		d.out.WriteByte('{')
	}
	d.out.WriteByte('}')
	d.comma = ",\n "
	d.field("folders", r.Outcome.Directories)
	d.field("freed_bytes", r.Outcome.Freed)
	d.field("kept_bytes", r.Outcome.Kept)
	d.field("can_undo", r.Outcome.Keep)
	d.field("state", r.State)
	if r.Bucket {
		d.field("cost", jsonAsked{requestsOf(&r.Cost)})
	}
	d.open("left")
	for i := range r.Outcome.NotDone {
		l := &r.Outcome.NotDone[i]
		if !d.element(jsonLeft{l.Step.Key, string(l.Step.Op), l.Step.Finding.String(), l.Reason, l.Failed}) {
			break
		}
	}
	d.shut()
	d.field("gone_runs", listed(r.Outcome.RemovedLater))
	d.open("other_runs")
	for _, o := range r.Outcome.RemovedElsewhere {
		d.element(jsonOtherRun{o.State, o.ID})
	}
	d.shut()
	d.field("damage", r.Outcome.Damage)
	d.field("strays", listed(r.Outcome.Strays))
	d.field("before_pushes", listed(r.cacheNote()))
	d.exit(r.Exit)
	return d.close()
}

type jsonOtherRun struct {
	State string `json:"state"`
	Run   string `json:"run"`
}

type jsonAsked struct {
	Requests jsonRequests `json:"requests"`
}

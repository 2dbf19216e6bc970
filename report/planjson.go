package report

import (
	"io"

	"regfsck/graph"
	"regfsck/graph/apply"
)

// PlanSchema names the form of the document that Plan.WriteJSON writes. It is none
// that can be applied: that is the file of plan.Schema.
const PlanSchema = "regfsck.dry-run/1"

// WriteJSON writes the plan as one JSON document, under the rules of
// Check.WriteJSON. The steps are those of a plan file, in its form and order.
func (p *Plan) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	p.head(d, PlanSchema)
	d.field("command", p.Command)
	d.field("complete", p.Result.Complete)
	d.field("verdict", p.Verdict())
	d.field("plan", p.Plan.ID())
	d.field("totals", totalsOf(&p.Result.Totals))
	d.field("going", apply.RemovalTotals(p.Plan, p.Facts))
	d.field("lost_images", lostOf(p.Result))
	if p.Retention != nil {
		d.open("tags")
		for i := range p.Retention {
			if !d.element(retainedOf(&p.Retention[i])) {
				break
			}
		}
		d.shut()
	}
	d.open("sums")
	for s := range sumsOf(p.changes()) {
		d.element(jsonSum{s.sign, s.id.String(), s.count, s.bytes})
	}
	d.shut()
	d.counts(&p.Result.Counts)
	d.field("notes", listed(p.Result.Notes))
	d.field("cost", p.costs())
	if p.Versions != nil {
		d.field("bucket", versionsOf(p.Versions))
	}
	d.open("bereft_signatures")
	for _, b := range p.Result.Bereft {
		d.element(jsonBereft{b.Ref(), b.Repository, b.Tag, b.Subject.String()})
	}
	d.shut()
	d.open("refusals")
	for _, r := range p.Refusals {
		d.element(refusalOf(r))
	}
	d.shut()
	d.field("unfinished_run", p.Unfinished)
	undo := p.State != "" && p.NoUndo == ""
	d.field("undo", jsonUndo{undo, p.State, undo && p.Plan.Totals().Aborts == 0})
	d.open("decisions")
	for f := range p.decisions() {
		if !d.element(findingOf(&f)) {
			break
		}
	}
	d.shut()
	d.open("steps")
	for i := range p.Plan.Steps {
		if !d.element(&p.Plan.Steps[i]) {
			break
		}
	}
	d.shut()
	d.exit(p.Exit)
	return d.close()
}

// jsonSum counts the things of the diff that have a sign: "+" is rebuilt, "-"
// goes, "!" needs a decision.
type jsonSum struct {
	Sign    string `json:"sign"`
	Finding string `json:"finding"`
	Count   int    `json:"count"`
	Bytes   int64  `json:"bytes"`
}

// jsonLost counts the whole images among the garbage.
type jsonLost struct {
	Count   int  `json:"count"`
	AtLeast bool `json:"at_least"` // not every orphan was read

	Left []jsonLeftLost `json:"left"` // that were to come back, and don't
}

// jsonLeftLost is why a lost image doesn't come back.
type jsonLeftLost struct {
	Digest     string `json:"digest"`
	Repository string `json:"repository"` // that has a witness of it; "" where none has
	Reason     string `json:"reason"`
}

func lostOf(r *graph.Result) jsonLost {
	lost := jsonLost{Count: r.Totals.LostImages, AtLeast: r.Totals.MoreLost, Left: []jsonLeftLost{}}
	for _, f := range lostForGood(r) {
		lost.Left = append(lost.Left, jsonLeftLost{f.Digest, f.Repository, f.Detail})
	}
	return lost
}

// jsonBereft is a signature that stays and whose image goes.
type jsonBereft struct {
	Ref        string `json:"ref"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Subject    string `json:"subject"`
}

type jsonRefusal struct {
	Why  string   `json:"why"`
	How  string   `json:"how"`
	Keys []string `json:"keys"`
}

func refusalOf(r apply.Refusal) jsonRefusal { return jsonRefusal{r.Why, r.How, listed(r.Keys)} }

type jsonUndo struct {
	Possible bool   `json:"possible"`
	State    string `json:"state"` // the folder that keeps what goes
	Whole    bool   `json:"whole"` // nothing goes that is past any undo, as multipart uploads are
}

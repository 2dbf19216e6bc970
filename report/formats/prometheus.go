package formats

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// promRepositories is the most repositories with series of their own.
const promRepositories = 20

// promOthers is the label of all other repositories; it isn't a valid name of one.
const promOthers = "_others"

// promWriter writes gauges for node_exporter's textfile collector. Every kind of finding has
// its series, also with 0, so that rules never lack one.
func promWriter(d report.Document) func(io.Writer) error {
	command, c := "", (*report.Check)(nil)
	switch d := d.(type) {
	case *report.Check:
		command, c = "check", d
	case *report.Plan:
		command, c = d.Command, &d.Check
	case *report.Run:
		return func(w io.Writer) error { return writeRun(w, d) }
	default:
		return nil
	}
	return func(w io.Writer) error { return writeCheck(w, c, command) }
}

// gauges writes metrics.
type gauges struct {
	out    *bufio.Writer
	common string // the labels of all metrics
}

func newGauges(w io.Writer, command, store string) *gauges {
	return &gauges{bufio.NewWriter(w), "command=" + promLabel(command) + ",store=" + promLabel(store)}
}

// begin writes the header of a metric.
func (g *gauges) begin(name, help string) {
	g.out.WriteString("# HELP regfsck_" + name + " " + help + "\n# TYPE regfsck_" + name + " gauge\n")
}

// set writes a value. labels are names and values.
func (g *gauges) set(name string, value float64, labels ...string) {
	g.out.WriteString("regfsck_" + name + "{" + g.common)
	for pair := range slices.Chunk(labels, 2) {
		g.out.WriteString("," + pair[0] + "=" + promLabel(pair[1]))
	}
	g.out.WriteString("} " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

// one writes a metric with one value.
func (g *gauges) one(name, help string, value float64) {
	g.begin(name, help)
	g.set(name, value)
}

// promLabel quotes a label's value; text from a store is escaped as in text output.
func promLabel(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(words.Clean(s)) + `"`
}

// run writes the common metrics of all runs.
func (g *gauges) run(finished, seconds float64, e exitcode.Code) {
	g.one("last_run_timestamp_seconds", "When the last run ended.", finished)
	g.one("last_run_success", "Whether the last run ended with exit code 0.", truth(e == 0))
	g.one("last_run_exit_code", "The exit code of the last run.", float64(e))
	g.one("last_run_duration_seconds", "How long the last run took.", seconds)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// writeCheck writes the results of a check, or of a plan's check.
func writeCheck(w io.Writer, c *report.Check, command string) error {
	g, n := newGauges(w, command, c.Target), &c.Result.Totals
	counts, accepted, states := &c.Result.Counts, &[finding.NumKinds]finding.Count{}, map[report.RuleState]float64{}
	if c.Accepted != nil {
		accepted = &c.Accepted.Counts
	}
	for r := range c.Accepted.Each() {
		states[c.StateOf(r)]++
	}
	g.run(float64(c.Finished.Unix()), c.Finished.Sub(c.Started).Seconds(), c.Exit)
	g.one("damaged", "Whether anything is damaged, or a tag can't be pulled.", truth(c.Result.Damaged()))
	g.one("complete", "Whether all of the store could be read.", truth(c.Result.Complete))
	g.one("repositories", "Repositories.", float64(n.Repositories))
	g.one("tags", "Tags.", float64(n.Tags))
	g.one("tags_broken", "Tags that can't be pulled.", float64(n.TagsBroken))
	g.one("tags_broken_accepted", "Tags that can't be pulled for reasons that are all accepted.", float64(c.Accepted.Tags()))
	g.one("tags_unknown", "Tags that could not be judged.", float64(n.TagsUnknown))
	g.one("blobs", "Blobs.", float64(n.Blobs))
	g.one("blob_bytes", "Bytes of all blobs.", float64(n.Bytes))
	g.one("reclaimable_bytes", "Bytes that a fix with the same flags would remove.", float64(n.ReclaimableBytes))
	g.findings("findings", "Findings, without those in grace.", counts, func(n finding.Count) float64 { return float64(n.Count) })
	g.findings("findings_accepted", "Findings that --accept names, which count among the others too.", accepted, func(n finding.Count) float64 { return float64(n.Count) })
	g.begin("accept_entries", "Entries of --accept, by what became of them.")
	for _, state := range report.RuleStates {
		g.set("accept_entries", states[state], "state", string(state))
	}
	g.findings("finding_bytes", "Bytes of what was found, without what is in grace.", counts, func(n finding.Count) float64 { return float64(n.Bytes) })
	g.findings("findings_in_grace", "Garbage that is newer than --grace.", counts, func(n finding.Count) float64 { return float64(n.InGrace) })
	g.repositories(c.Usage())
	return g.out.Flush()
}

// findings writes a metric with a value for each kind of finding.
func (g *gauges) findings(name, help string, counts *[finding.NumKinds]finding.Count, of func(finding.Count) float64) {
	g.begin(name, help)
	for id := range finding.Kinds {
		g.set(name, of(counts[id]), "id", id.String(), "severity", id.Severity().String())
	}
}

// repositories writes the own bytes of the largest repositories, and of all others together.
func (g *gauges) repositories(u *usage.Usage) {
	if u == nil {
		return
	}
	const name = "repository_own_bytes"
	g.begin(name, "Bytes that only this repository refers to; "+promOthers+" is the sum of all but the largest.")
	largest, others := largestFirst(u), float64(0)
	for i, r := range largest {
		if i < promRepositories {
			g.set(name, float64(r.Own), "repository", r.Name)
		} else {
			others += float64(r.Own)
		}
	}
	g.set(name, others, "repository", promOthers)
}

// largestFirst returns the repositories by own bytes.
func largestFirst(u *usage.Usage) []usage.RepositoryUsage {
	all, _ := u.Repositories()
	slices.SortStableFunc(all, func(a, b usage.RepositoryUsage) int {
		return cmp.Or(cmp.Compare(b.Own, a.Own), cmp.Compare(b.Shared, a.Shared))
	})
	return all
}

// writeRun writes the results of a run.
func writeRun(w io.Writer, r *report.Run) error {
	g, o := newGauges(w, r.Command, r.Target), r.Outcome
	g.run(float64(r.Finished.Unix()), r.Finished.Sub(r.Started).Seconds(), r.Exit)
	g.begin("steps", "Steps of the last run.")
	g.set("steps", float64(o.Steps.Done), "result", "done")
	g.set("steps", float64(o.Steps.Skipped), "result", "skipped")
	g.set("steps", float64(o.Steps.Failed), "result", "failed")
	g.one("removed_bytes", "Bytes of contents that the last run removed.", float64(o.Steps.Bytes))
	g.one("freed_bytes", "Bytes that the store has back.", float64(o.Freed))
	g.one("kept_bytes", "Bytes that are kept for an undo and take up space.", float64(o.Kept))
	return g.out.Flush()
}

package formats

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"regfsck/fixtures/reports"
	"regfsck/graph/apply"
	"regfsck/graph/finding"
	"regfsck/report"
	"regfsck/report/exitcode"
)

// promOf returns a document's metrics by name and labels, without complaints of Prometheus's
// linter.
func promOf(t *testing.T, d report.Document) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := Renderer("prometheus", d)(&b); err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(bytes.NewReader(b.Bytes())).Lint()
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v in\n%s", err, problems, b.String())
	}
	all := map[string]string{}
	for line := range strings.Lines(b.String()) {
		if at := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") {
			all[line[:at]] = strings.TrimSpace(line[at+1:])
		}
	}
	return all
}

func TestMetricsOfACheck(t *testing.T) {
	c := reports.Damaged()
	c.Target = reports.HostileText
	all := promOf(t, c)
	store := `command="check",store="a\\x1b[31m\\r\\n\\x00\\u202e\\u200b\\xff\\\\\"z"`
	for name, want := range map[string]string{
		"last_run_success{": "0", "last_run_exit_code{": "12", "last_run_duration_seconds{": "3.2",
		"last_run_timestamp_seconds{": fmt.Sprint(c.Finished.Unix()), "damaged{": "1", "complete{": "0",
		"tags{": "1404", "tags_broken{": "1206", "tags_unknown{": "3", "reclaimable_bytes{": fmt.Sprint(3 << 30),
	} {
		if got := all["regfsck_"+name+store+"}"]; got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	of := func(name string, k finding.Kind) string {
		return all["regfsck_"+name+"{"+store+`,id="`+k.String()+`",severity="`+k.Severity().String()+`"}`]
	}
	for k := range finding.Kinds {
		n := c.Result.Counts[k]
		if of("findings", k) != fmt.Sprint(n.Count) || of("finding_bytes", k) != fmt.Sprint(n.Bytes) || of("findings_in_grace", k) != fmt.Sprint(n.InGrace) {
			t.Errorf("%s: %s, %s, %s; want %+v", k, of("findings", k), of("finding_bytes", k), of("findings_in_grace", k), n)
		}
	}
	clean := promOf(t, reports.Clean())
	if clean[`regfsck_last_run_success{command="check",store="/var/lib/registry"}`] != "1" || clean[`regfsck_complete{command="check",store="/var/lib/registry"}`] != "1" {
		t.Errorf("a clean check: %v", clean)
	}
}

func TestMetricsOfARunAndAPlan(t *testing.T) {
	run := &report.Run{Command: "fix", Target: "t", Store: []string{"s"}, Started: reports.Begun, Finished: reports.Begun, Exit: exitcode.Incomplete,
		Outcome: &apply.Outcome{Steps: apply.Tally{Done: 3, Failed: 2, Bytes: 7}, Freed: 5, Kept: 6}}
	all := promOf(t, run)
	for name, want := range map[string]string{`steps{%s,result="done"}`: "3", `steps{%s,result="failed"}`: "2", `steps{%s,result="skipped"}`: "0",
		`removed_bytes{%s}`: "7", `freed_bytes{%s}`: "5", `kept_bytes{%s}`: "6", `last_run_exit_code{%s}`: "8"} {
		if got := all["regfsck_"+fmt.Sprintf(name, `command="fix",store="t"`)]; got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	if plan := promOf(t, reports.PlanOf(reports.ManySteps(1, 1))); plan[`regfsck_last_run_success{command="fix",store="/var/lib/registry"}`] != "1" {
		t.Errorf("a plan: %v", plan)
	}
}

package formats

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"math"
	"math/rand/v2"
	"unicode/utf8"

	"regfsck/fixtures/reports"
	"regfsck/graph/finding"
	"regfsck/report"
)

func htmlOf(t *testing.T, d report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := Renderer("html", d)(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rowsIn returns the data of a page's tables.
func rowsIn(t *testing.T, page string) map[string][][]string {
	t.Helper()
	all := map[string][][]string{}
	for _, m := range regexp.MustCompile(`(?s)<script type="application/json" id="([a-z]+)-data">(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		var data struct {
			Kinds []string
			Rows  [][]string
		}
		if err := json.Unmarshal([]byte(m[2]), &data); err != nil {
			t.Fatal(err)
		}
		for _, row := range data.Rows {
			if len(row) != len(data.Kinds) {
				t.Errorf("%s: a row of %d values and %d columns", m[1], len(row), len(data.Kinds))
			}
		}
		all[m[1]] = data.Rows
	}
	return all
}

// TestPagesAreSealed: a page loads nothing and runs only its own script.
func TestPagesAreSealed(t *testing.T) {
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '(sha256-[^']+)'; script-src '(sha256-[^']+)'; base-uri 'none'; form-action 'none'">`)
	outside := regexp.MustCompile(`(?i)(src|href|action|data|xlink:href)\s*=\s*"?[^#"\s]|url\(|@import|\son[a-z]+\s*=|<(iframe|object|embed|link|img|base)\b|\sstyle\s*=`)
	for kind, answer := range reports.All() {
		page := htmlOf(t, answer)
		m := policy.FindStringSubmatch(page)
		if m == nil || strings.Index(page, m[0]) > strings.Index(page, "<style>") {
			t.Fatalf("%s: no policy before what it is for in\n%.600s", kind, page)
		}
		for i, element := range []string{"style", "script"} {
			_, rest, _ := strings.Cut(page, "<"+element+">")
			text, _, _ := strings.Cut(rest, "</"+element+">")
			if sum := sha256.Sum256([]byte(text)); m[1+i] != "sha256-"+base64.StdEncoding.EncodeToString(sum[:]) {
				t.Errorf("%s: the policy has another hash for the %s", kind, element)
			}
			page = strings.Replace(page, text, "", 1)
		}
		if found := outside.FindString(strings.Replace(page, m[0], "", 1)); found != "" {
			t.Errorf("%s: there is %q", kind, found)
		}
	}
}

const attack = `</script></style><script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`{{.}}\u2028"

// TestPagesEscapeNames: foreign text is never markup.
func TestPagesEscapeNames(t *testing.T) {
	evil := finding.Finding{Kind: finding.BlobMissing, Path: attack, Repository: attack, Tag: attack, Digest: attack, Detail: attack, Cure: finding.CureRemoveAsk, Affects: []string{attack}, AffectsCount: 1}
	c := reports.CheckOf([]finding.Finding{evil}, []finding.BrokenTag{{Repository: attack, Tag: attack, Because: []string{"blob-missing " + attack}}})
	c.Target, c.Result.Notes, c.Result.Totals.TagsBroken = attack, []string{attack}, 1
	p := reports.PlanOf(reports.ManySteps(1, 1), evil)
	p.Check.Target, p.Plan.Steps[0].Repository, p.Plan.Steps[0].Reason = attack, attack, attack
	all := reports.All()
	all["evil check"], all["evil plan"] = c, p
	for kind, answer := range all {
		page := htmlOf(t, answer)
		if n := strings.Count(page, "<script"); n != 1+strings.Count(page, `<script type="application/json"`) {
			t.Errorf("%s: %d scripts", kind, n)
		}
		if strings.Contains(page, "<img") || strings.Contains(page, "alert(1)<") || strings.ContainsAny(page, "\u2028\u202e\x1b\x00") {
			t.Errorf("%s: something isn't escaped", kind)
		}
	}
	if rows := rowsIn(t, htmlOf(t, c)); !strings.Contains(rows["findings"][0][5], "</script></style>") || !strings.HasPrefix(rows["broken"][0][0], "</script>") {
		t.Errorf("the name is not as it was in %q", rows)
	}
}

// TestPagesHoldAllFindings: a page has all findings, and without its script the first ones.
func TestPagesHoldAllFindings(t *testing.T) {
	page := htmlOf(t, reports.Damaged())
	for _, want := range []string{
		"<title>regfsck check /var/lib/registry</title>", `<b>DAMAGED and INCOMPLETE</b> 1,206 of 1,404 tags can&#39;t be pulled`,
		"Tags that can&#39;t be pulled (2)", "Tags that could not be judged (3)", "<td class=\"text\">push it again; fix heals it</td>", "All findings (7)",
		"<td class=\"text\">push it again, or fix --also tag-dangling removes it</td>", "3 November 2025, 00:30 UTC", "regfsck explain",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if rows := rowsIn(t, page); len(rows["findings"]) != 7 || len(rows["broken"]) != 2 || len(rows["unknown"]) != 3 || len(rows["kinds"]) != 6 {
		t.Errorf("%d findings, %d broken, %d unknown, %d kinds", len(rows["findings"]), len(rows["broken"]), len(rows["unknown"]), len(rows["kinds"]))
	}
	many := htmlOf(t, reports.Many(htmlRows+5))
	if n := len(rowsIn(t, many)["findings"]); n != htmlRows || !strings.Contains(many, "These are the first 100,000.") {
		t.Errorf("%d rows of more", n)
	}
	if n := strings.Count(many, "<td class=\"path\">p0"); n != htmlFirst {
		t.Errorf("%d rows stand there without a script", n)
	}
}

func TestPagesShowAPlanAsADiff(t *testing.T) {
	page := htmlOf(t, reports.PlanOf(reports.ManySteps(htmlParts+20, 3), reports.DamagedFindings()...))
	for _, want := range []string{`<li class="sign-gone"><span class="sign">−</span>`, "<b>repo000</b>", "more repositories", "All steps ("} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if few := htmlOf(t, reports.PlanOf(nil, reports.DamagedFindings()...)); !strings.Contains(few, `<li class="sign-ask"><span class="sign">!</span>`) {
		t.Error("no decision is shown")
	}
	if n := strings.Count(page, "<details"); n != htmlParts+1 {
		t.Errorf("%d parts", n)
	}
	if rows := rowsIn(t, page)["steps"]; len(rows) < 3*(htmlParts+20) || !slices.Equal(rows[0][:4], []string{"remove", "layer-link", "layer-link-unreferenced", "repo000"}) {
		t.Errorf("%d steps, the first %q", len(rows), rows[0])
	}
}

// TestAComparisonIsATable: its rows are new and gone findings.
func TestAComparisonIsATable(t *testing.T) {
	if rows := rowsIn(t, htmlOf(t, reports.Compared()))["changes"]; len(rows) != 2 || rows[0][0] != "new" || rows[1][0] != "gone" {
		t.Errorf("the page has %q", rows)
	}
}

// TestTilesFillTheMap: tiles have areas proportional to bytes, fill the map, and don't
// overlap.
func TestTilesFillTheMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 90 {
		m := treemap{}
		sum := int64(0)
		for range n + 1 {
			bytes := 1 + int64(math.Exp(random.Float64()*30))
			m.add("own", "a-name-of-some-length", "", bytes)
			sum += bytes
		}
		m.add("own", "nothing", "", 0)
		m.lay()
		if len(m.Tiles) != n+1 {
			t.Fatalf("%d tiles of %d", len(m.Tiles), n+1)
		}
		for i, a := range m.Tiles {
			if a.X < -1e-3 || a.Y < -1e-3 || a.X+a.W > mapWidth+1e-3 || a.Y+a.H > mapHeight+1e-3 {
				t.Errorf("%+v is outside", a)
			}
			if want := mapWidth * mapHeight * float64(a.Bytes) / float64(sum); math.Abs(a.W*a.H-want) > 1e-3*want+1e-3 {
				t.Errorf("%+v has the area %g, want %g", a, a.W*a.H, want)
			}
			if room := a.W - 14; a.Label != "" && float64(utf8.RuneCountInString(a.Label))*7.6 > room {
				t.Errorf("%q is wider than %g", a.Label, room)
			}
			for _, b := range m.Tiles[:i] {
				if x, y := math.Min(a.X+a.W, b.X+b.W)-math.Max(a.X, b.X), math.Min(a.Y+a.H, b.Y+b.H)-math.Max(a.Y, b.Y); x > 1e-3 && y > 1e-3 {
					t.Errorf("%+v covers %+v", a, b)
				}
			}
		}
	}
}

package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"regfsck/graph"
	"regfsck/graph/finding"
	"regfsck/graph/usage"
	"regfsck/report/view"
)

const stranger = "a\x1b[31m\r\n\x00\u202e\u200b\xff\\\"z"

// strange are answers in which all that can be a stranger's is.
func strange() map[string]interface {
	Document
} {
	c := *cleanCheck()
	c.Target, c.Repeat, c.Result.Complete = stranger, []string{stranger, stranger}, false
	list := List{Check: c, All: 9}
	use := usage.TagUsage{Name: stranger, Digest: stranger, Because: []string{stranger, "id " + stranger}, Referrers: []usage.Referrer{{Digest: stranger, Tag: stranger}}}
	row := TagRow{TagUsage: use, Form: "artifact", ArtifactType: stranger, Platforms: []string{stranger}, Signatures: 1}
	node := usage.Node{Digest: stranger, Role: usage.RoleManifest, Broken: "missing", Children: []usage.Node{{Digest: stranger, Role: usage.RoleReferrer}}}
	path := usage.Path{Repository: stranger, Hold: usage.HoldPinned, Tag: stranger, Steps: []usage.Step{{Digest: stranger, Role: usage.RoleLayer}}}
	return map[string]interface {
		Document
	}{
		"repositories": &RepositoryList{List: list, Rows: []usage.RepositoryUsage{{Name: stranger, Broken: 2}}},
		"tags":         &TagList{List: list, Repository: usage.RepositoryUsage{Name: stranger}, Pinned: stranger, Rows: []TagRow{row}},
		"broken":       &BrokenList{List: list, Repository: stranger, Rows: []finding.BrokenTag{{Repository: stranger, Tag: stranger, Because: use.Because}}},
		"tree":         &TagTree{List: list, Repository: stranger, Pinned: stranger, Tag: row, Tree: node, Words: map[string]string{stranger: stranger}},
		"why": &Why{Check: c, Repository: stranger, Tag: stranger, Digest: stranger, Pinned: map[string]string{stranger: stranger},
			Paths: func(yield func(usage.Path) bool) { yield(path) }, Places: []graph.Object{{Key: stranger}}},
	}
}

func TestAnswersHoldNothingOfAStrangerUnescaped(t *testing.T) {
	for kind, answer := range strange() {
		for form, write := range map[string]func(io.Writer) error{
			"text":     func(w io.Writer) error { return answer.View(view.Options{}).WriteText(w, view.Options{}) },
			"verdict":  func(w io.Writer) error { return answer.Short(view.Options{}).WriteText(w, view.Options{}) },
			"csv":      Renderer("csv", answer),
			"markdown": Renderer("markdown", answer),
			"dot": func(w io.Writer) error {
				if y, ok := answer.(*Why); ok {
					return y.WriteDot(w)
				}
				return nil
			},
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.String() {
				if r != '\n' && (r < ' ' || strings.ContainsRune("\u202e\u200b\ufffd", r)) {
					t.Errorf("%s, %s: %q is in\n%q", kind, form, r, b.String())
					break
				}
			}
			if form == "text" && !strings.Contains(b.String(), `a\x1b[31m`) {
				t.Errorf("%s: the stranger isn't shown", kind)
			}
		}
	}
}

// Each answer is one document, and one table where it is a table.
func TestAnswersAreWellFormed(t *testing.T) {
	for kind, answer := range strange() {
		var b bytes.Buffer
		if err := WriteJSON(&b, answer); err != nil || !json.Valid(b.Bytes()) {
			t.Errorf("%s: %v\n%s", kind, err, b.String())
		}
		{
			b.Reset()
			err := Renderer("csv", answer)(&b)
			rows, again := csv.NewReader(&b).ReadAll()
			if err != nil || again != nil || len(rows) < 2 {
				t.Errorf("%s: %v, %v, %d rows", kind, err, again, len(rows))
			}
		}
		if err := WriteJSON(full{}, answer); !errors.Is(err, errFull) {
			t.Errorf("%s on a full disk: %v", kind, err)
		}
	}
}

var errFull = errors.New("no space left")

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

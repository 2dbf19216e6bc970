package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"regfsck/graph"
	"regfsck/graph/finding"
)

// Looked says what a check looked for. Of what it didn't look for, its report is silent.
type Looked struct {
	Verify   graph.Verify
	Thorough bool
	Untagged bool // manifests without a tag count as garbage, and so does what only they need
	Grace    time.Duration
}

// lookedFields are Looked in the document of a check.
type lookedFields struct {
	Verify       string `json:"verify"` // whose bytes were hashed: manifests, a share of all blobs like "5%", or all
	Thorough     bool   `json:"thorough"`
	Untagged     bool   `json:"untagged"`
	GraceSeconds int64  `json:"grace_seconds"`
}

func (l Looked) fields() lookedFields {
	verify := "manifests"
	switch {
	case l.Verify.All:
		verify = "all"
	case l.Verify.Percent > 0:
		verify = strconv.FormatFloat(l.Verify.Percent, 'f', -1, 64) + "%"
	}
	return lookedFields{verify, l.Thorough, l.Untagged, int64(l.Grace / time.Second)}
}

// hashed is how many percent of the blobs were hashed, whatever they are.
func (l *lookedFields) hashed() float64 {
	if l.Verify == "all" {
		return 100
	}
	share, _ := strings.CutSuffix(l.Verify, "%")
	n, _ := strconv.ParseFloat(share, 64) // "manifests" is none
	return n
}

// covers reports whether a check that looked like l would have found again what is
// called id and one that looked like other found. A report that doesn't say how it
// looked is taken for one with no flags.
func (l *lookedFields) covers(other *lookedFields, id string) bool {
	if l == nil {
		l = &lookedFields{}
	}
	if other == nil {
		other = &lookedFields{Verify: "all", Thorough: true, Untagged: true}
	}
	kind, _ := finding.Parse(id)
	switch kind {
	case finding.BlobCorrupt:
		return l.hashed() >= other.hashed()
	case finding.ForeignFile, finding.TmpStale:
		return l.Thorough || !other.Thorough
	case finding.ManifestUntagged, finding.LayerLinkUnreferenced, finding.BlobOrphan, finding.RepoEmpty:
		return l.Untagged || !other.Untagged
	}
	return true
}

// differ says what two checks looked for differently, a line each.
func (l *lookedFields) differ(to *lookedFields) (lines []string) {
	if l == nil || to == nil {
		if l == to {
			return nil
		}
		which := "old"
		if to == nil {
			which = "new"
		}
		return []string{"The " + which + " report was written by a version that didn't note what it looked for."}
	}
	say := func(what string, old, now any) {
		if old != now {
			lines = append(lines, fmt.Sprintf("%s: %v in the old one, %v in the new one", what, old, now))
		}
	}
	say("verify", l.Verify, to.Verify)
	say("thorough", l.Thorough, to.Thorough)
	say("untagged", l.Untagged, to.Untagged)
	say("grace", Span(time.Duration(l.GraceSeconds)*time.Second), Span(time.Duration(to.GraceSeconds)*time.Second))
	return lines
}

package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regfsck/graph/finding"
	"regfsck/walker/layout"
)

// A file manager's thousand files are one line, and a single one is told by itself.
func TestManyForeignFilesAreCountedByName(t *testing.T) {
	var all []finding.Finding
	for i := range 1204 {
		tag := fmt.Sprintf("%s/app%d/_manifests/tags/", layout.Repositories, i%7)
		all = append(all, finding.Finding{Kind: finding.ForeignFile, Path: fmt.Sprintf("%s@eaDir/file%d", tag, i), Bytes: 2})
	}
	all = append(all, finding.Finding{Kind: finding.ForeignFile, Path: layout.Blobs + "/.DS_Store"})
	c := manyCheck(0)
	c.Result.Findings = slices.Values(all)
	c.Result.Counts[finding.ForeignFile].Count = len(all)
	text := textOf(t, c, TextOptions{})
	if !strings.Contains(text, "@eaDir  1,204 files  2.4 KiB\n") || strings.Count(text, "@eaDir/") != 1 {
		t.Errorf("not counted:\n%s", text)
	}
	if !strings.Contains(text, layout.Blobs+"/.DS_Store\n") {
		t.Errorf("one is not told by itself:\n%s", text)
	}
}

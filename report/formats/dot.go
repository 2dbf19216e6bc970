package formats

import (
	"bufio"
	"io"
	"strings"

	"regfsck/backend/words"
	"regfsck/graph/usage"
	"regfsck/report"
)

func dotWriter(d report.Document) func(io.Writer) error {
	if y, ok := d.(*report.Why); ok {
		return func(w io.Writer) error { return writeDot(w, y) }
	}
	return nil
}

// writeDot writes all paths as a graph for Graphviz: roots as boxes, digests by repository,
// dashed lines to referrers.
func writeDot(w io.Writer, y *report.Why) error {
	out := bufio.NewWriter(w)
	out.WriteString("digraph why {\n  rankdir=LR\n  node [fontname=monospace]\n")
	drawn := map[string]bool{}
	once := func(line string) {
		if !drawn[line] {
			drawn[line] = true
			out.WriteString("  " + line + "\n")
		}
	}
	for p := range y.Paths {
		above := dotted(y.Begins(p))
		once(above + " [shape=box]")
		for _, s := range p.Steps {
			below, style := dotted(p.Repository, s.Digest), ""
			if s.Role == usage.RoleReferrer {
				style = " [style=dashed]"
			}
			once(below + " [label=" + dotted(report.StepWord(s), report.ShortDigest(s.Digest)) + "]")
			once(above + " -> " + below + style)
			above = below
		}
	}
	out.WriteString("}\n")
	return out.Flush()
}

// dotted quotes a text of several lines for Graphviz.
func dotted(lines ...string) string {
	for i, line := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(words.Clean(line))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

package report

import (
	"bufio"
	"io"
	"strings"

	"regfsck/graph/usage"
)

// drawn is a document that is a drawing for Graphviz too.
type drawn interface{ WriteDot(io.Writer) error }

func dotWriter(d Document) func(io.Writer) error {
	if t, ok := d.(drawn); ok {
		return t.WriteDot
	}
	return nil
}

// WriteDot writes all paths as one drawing for Graphviz: what a path begins with in
// a box, digests by repository, dashed lines to what is about a manifest.
func (y *Why) WriteDot(w io.Writer) error {
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
		above := dotted(y.begins(p))
		once(above + " [shape=box]")
		for _, s := range p.Steps {
			below, style := dotted(p.Repository, s.Digest), ""
			if s.Role == usage.RoleReferrer {
				style = " [style=dashed]"
			}
			once(below + " [label=" + dotted(word(s), name(s.Digest)) + "]")
			once(above + " -> " + below + style)
			above = below
		}
	}
	out.WriteString("}\n")
	return out.Flush()
}

// dotted writes a text of some lines as Graphviz takes it for one word.
func dotted(lines ...string) string {
	for i, line := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(line))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

package file

import (
	"os"
	"slices"
	"strings"

	"regfsck/backend"
)

// Known reads what a store's mark says: which state directories have been used with
// it. Left out are this one, and those of this machine that are gone, or aren't this
// store's.
func (c Claim) Known(mark string) (all []backend.StateDir) {
	for line := range strings.Lines(mark) {
		host, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		d := backend.StateDir{Host: host, Path: path, Here: host == hostname()}
		if !ok || d.Here && (path == c.State || !c.at(path).used()) || slices.Contains(all, d) {
			continue
		}
		all = append(all, d)
	}
	return all
}

// Marked is the mark with this state directory in it, and whether it wasn't yet.
func (c Claim) Marked(mark string) (string, bool) {
	line := hostname() + "\t" + c.State + "\n"
	if slices.Contains(slices.Collect(strings.Lines(mark)), line) || strings.ContainsAny(c.State, "\n\t") {
		return mark, false
	}
	if mark != "" && !strings.HasSuffix(mark, "\n") {
		mark += "\n"
	}
	return mark + line, true
}

// at is what the claim would be if another state directory were used.
func (c Claim) at(state string) Claim {
	return Claim{State: state, Store: c.Store, Local: c.Local}
}

// used reports whether the directory is there, and this store's; one in the store
// is, also where nobody has said so.
func (c Claim) used() bool {
	names, err := c.names()
	return err == nil && (len(names) > 0 || c.inside() != "")
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

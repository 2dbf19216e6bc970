package apply

import (
	"fmt"
	"slices"
	"strings"

	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// mayFollow reports whether one fix may leave another with something to do: a link
// that is rebuilt keeps what it held until then, and a tag's empty directory keeps
// its repository's manifests, as a broken revision link keeps the repository.
func mayFollow(first *plan.Plan) bool {
	return slices.ContainsFunc(first.Steps, func(s plan.Step) bool {
		return s.Op == plan.Write || s.Kind == plan.Directory && strings.Contains(s.Key, "/_manifests/tags/") ||
			s.Kind == plan.RevisionLink && s.IsLink() && string(s.Content) != s.Digest
	})
}

// halted reports whether a run wrote links and then removed nothing, since a
// removal didn't follow any more: a tag that leads somewhere again may want a
// revision link where an empty directory was to go.
func halted(p *plan.Plan, out *Outcome) bool {
	return len(out.NotDone) > 0 && writes(p) && !slices.ContainsFunc(out.NotDone, func(l NotDone) bool {
		return !strings.Contains(l.Reason, "changed while links were written")
	})
}

func writes(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Op == plan.Write })
}

func listed(p *plan.Plan) string {
	var lines []string
	for _, s := range p.Steps {
		lines = append(lines, fmt.Sprint(s.Op, " ", s.Key, ": ", s.Finding))
	}
	return strings.Join(lines, "\n")
}

// survivors are the files of a store after a plan, with what they hold: all,
// without what is removed, and with what is written. Directories that are removed
// with what is in them are those of uploads; others go if nothing is in them.
func survivors(was map[string]string, p *plan.Plan) map[string]string {
	left := bodies(was)
	for _, s := range p.Steps {
		switch {
		case s.Op == plan.Write:
			left[s.Key] = string(s.Body)
		case s.Kind == plan.Upload && strings.HasSuffix(s.Key, "/"):
			for key := range left {
				if _, foreign := layout.Parse(key); strings.HasPrefix(key, s.Key) && foreign == nil {
					delete(left, key)
				}
			}
		default:
			delete(left, s.Key)
		}
	}
	return left
}

// bodies are the files of a dump, without their times.
func bodies(all map[string]string) map[string]string {
	files := map[string]string{}
	for key, content := range all {
		if !strings.HasSuffix(key, "/") {
			_, files[key], _ = strings.Cut(content, " ")
		}
	}
	return files
}

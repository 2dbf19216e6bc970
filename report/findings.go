package report

import (
	"strings"

	"regfsck/graph"
)

// cures says what could be done about a finding.
var cures = map[graph.Cure]string{
	graph.CureNone:        "nothing on this disk can put it right",
	graph.CureRemove:      "can be removed",
	graph.CureAbort:       "can be aborted, for good",
	graph.CureRebuild:     "can be rebuilt from what the disk proves",
	graph.CureRemoveAsk:   "can be removed, if you decide so",
	graph.CureMoveAsk:     "can be moved away, if you decide so: the next push then heals it",
	graph.CureWriteAsk:    "a link can be written, if you decide so",
	graph.CureWithdrawAsk: "a push by " + lookers + " heals it; so that one by " + skippers + " does too, its images can be withdrawn, if you decide so",
}

// Clients whose push looks at every layer, and those whose push ends where the
// registry has the manifest.
const (
	lookers  = "docker or skopeo"
	skippers = "crane, ko, kaniko or regctl"
)

// cureOf says what could be done about a finding of the store.
func (t *text) cureOf(id graph.ID, cure graph.Cure) string {
	switch {
	case id == graph.CacheStateInvalid:
		return "can be moved away, if you decide so: the registry then starts, and makes a new one"
	case cure == graph.CureRebuild && (id == graph.BlobMissing || id == graph.BlobCorrupt):
		return "regfsck fix writes it anew: its digest proves which bytes it has"
	case cure == graph.CureMoveAsk && t.Result.Cache:
		return "can be moved away, if you decide so: the next pull through this cache then heals it"
	case cure == graph.CureMoveAsk && id == graph.BlobCorrupt:
		return "can be moved away, if you decide so: " + cures[graph.CureWithdrawAsk]
	}
	return cures[cure]
}

// findings writes all but garbage, worst first, a group for each id.
func (t *text) findings() {
	group, n := graph.NumIDs, 0
	var foreign strays
	end := func() {
		n += t.strays(&foreign, n)
		if group != graph.NumIDs {
			t.more(2, n)
		}
	}
	for f := range t.Result.Findings {
		if f.ID.Severity() == graph.Garbage {
			break
		}
		if f.ID != group {
			end()
			t.group(group, f)
			group, n = f.ID, 0
		}
		if f.ID == graph.ForeignFile {
			foreign.add(f)
			continue
		}
		if t.shown(n) {
			t.finding(f)
		}
		n++
	}
	end()
}

var severityTitles = [...]struct {
	title string
	style style
}{
	graph.Fatal:   {"UNKNOWN: what could not be read", red},
	graph.Error:   {"ERRORS", red},
	graph.Warning: {"WARNINGS", yellow},
	graph.Garbage: {"GARBAGE", cyan},
	graph.Asked:   {"ASKED FOR", cyan},
}

// group opens the findings of one id, of which f is the first.
func (t *text) group(before graph.ID, f graph.Finding) {
	s := f.ID.Severity()
	if before == graph.NumIDs || before.Severity() != s {
		t.heading(severityTitles[s].style, severityTitles[s].title)
	}
	t.blank()
	t.line(1, t.paint(severityTitles[s].style, f.ID.String()), "  ", Number(t.Result.Counts[f.ID].Count),
		"  ", Explain(f.ID).Brief)
}

// finding writes one: whom it hurts, where it stands, what more is known.
func (t *text) finding(f graph.Finding) {
	if name := impact(f); name != "" {
		t.line(2, t.paint(bold, name))
		t.line(3, Clean(f.Path), t.paint(dim, aside(f)))
	} else {
		t.line(2, t.paint(bold, Clean(f.Path)), t.paint(dim, aside(f)))
	}
	if f.Detail != "" {
		t.prose(3, Clean(f.Detail))
	}
	if f.Cure != graph.CureNone {
		t.prose(3, t.cureOf(f.ID, f.Cure))
	}
}

// impact names the tags that a finding hurts, or else what it is about.
func impact(f graph.Finding) string {
	if f.AffectsCount == 0 {
		return subject(f)
	}
	const names = 3
	shown := f.Affects[:min(names, len(f.Affects))]
	s := Clean(strings.Join(shown, ", "))
	if rest := f.AffectsCount - len(shown); rest > 0 {
		s += " and " + Number(rest) + " more"
	}
	return s + " can't be pulled"
}

// subject names the thing itself, tags before digests; "" where only its path
// does.
func subject(f graph.Finding) string {
	switch {
	case f.Repository != "" && f.Tag != "":
		return Clean(f.Repository + ":" + f.Tag)
	case f.Repository != "" && f.Digest != "":
		return Clean(f.Repository) + "@" + short(Clean(f.Digest))
	case f.Repository != "":
		return Clean(f.Repository)
	case f.Digest != "":
		return short(Clean(f.Digest))
	}
	return ""
}

func aside(f graph.Finding) string { return sized(f.Bytes) }

func sized(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return "  " + Size(bytes)
}

package check

import (
	"regfsck/graph"
	"regfsck/graph/finding"
)

// Prospect is what becomes of the tags that can't be pulled, once a fix under the same
// policy has done what it does without a further request.
type Prospect struct {
	Mended int // can be pulled then
	Push   int // need a push: what they lack can't be written, or is no matter of bytes
	Decide int // need a decision: a cure that is done on request
	Lost   int // lack bytes that nothing here proves and no source has
}

// prospect counts a tag that can't be pulled by what remains in its way. It goes by all
// problems of the tag, which with healed manifests are those of all that these name.
func (j *checker) prospect(tag uint32, v verdict) {
	because := v.because
	if t := &j.Current.Tags[tag]; t.Target == graph.None { // a fix has it mean the one entry of its history
		for _, h := range graph.HistoryOf(j.Current, tag) {
			because = append(because[:len(because):len(because)], j.verdictOf(h.ID).because...)
		}
	}
	var lost, push, decide bool
	for _, at := range because {
		switch p := &j.problems[at]; {
		case p.cure.Restores() && !j.Leaves(p.id), p.cure == finding.CureWriteAsk && j.Cures(p.id):
		case p.cure == finding.CureWriteAsk:
			decide = true
		case p.lacksBytes():
			lost = true
		default:
			push = true
		}
	}
	n := &j.totals.Prospect
	switch {
	case lost:
		n.Lost++
	case push:
		n.Push++
	case decide:
		n.Decide++
	default:
		n.Mended++
	}
}

// lacksBytes reports whether it would be put right by the bytes of a blob.
func (p *problem) lacksBytes() bool {
	switch p.id {
	case finding.BlobMissing, finding.BlobCorrupt, finding.ManifestMissing, finding.ManifestCorrupt, finding.TagDangling:
		return true
	}
	return false
}

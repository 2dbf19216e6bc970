// Package plan turns what a judgement found into ordered steps, and writes
// steps to files and reads them back. It touches no store.
//
// A plan is data: what was shown to a person is, step by step, what is carried
// out. Each step says what is to be done to which key, why, and what must be
// true of the key at that moment; where that isn't so any more, the step is
// skipped. Steps come in an order in which an interruption leaves garbage and
// never a reference to something that was removed.
package plan

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
)

// Op is what a step does.
type Op string

// The operations.
const (
	Write  Op = "write"  // a file is written, in place of what is there
	Remove Op = "remove" // a file, or an upload's directory with its files, is removed
	Abort  Op = "abort"  // a multipart upload is aborted; what is at its key is not touched
)

// Kind is what a step does it to.
type Kind string

// The kinds, in the order in which steps are carried out.
const (
	HealedBlob   Kind = "blob-healed"   // copied from a source, and proven by its digest
	RebuiltBlob  Kind = "blob-rebuilt"  // written, from what its digest proves
	Rebuilt      Kind = "link"          // written, whatever link it is
	FoundHistory Kind = "found-history" // written, for a tag that a lost image gets
	FoundTag     Kind = "found-tag"     // and that tag's current link, once all that it needs is there
	TagHistory   Kind = "tag-history"   // the entries of a tag that is removed, and stale ones
	Tag          Kind = "tag"           // a tag's current link, or its directory where it has none
	ReferrerTag  Kind = "referrer-tag"  // likewise of a referrers tag that is removed with its subject
	RevisionLink Kind = "revision-link" // and what lies with it: legacy signatures
	LayerLink    Kind = "layer-link"
	Upload       Kind = "upload" // and temporary files, multipart uploads, a cache's state
	Blob         Kind = "blob"
	Directory    Kind = "folder" // a stored format
)

var kinds = []Kind{HealedBlob, RebuiltBlob, Rebuilt, FoundHistory, FoundTag, TagHistory, Tag, ReferrerTag, RevisionLink, LayerLink, Upload, Blob, Directory}

// Writes reports whether it is what steps write.
func (k Kind) Writes() bool { return k.Stage() <= FoundTag.Stage() }

// IsTag reports whether it is a tag's current link.
func (k Kind) IsTag() bool { return k == Tag || k == ReferrerTag }

// Stage returns the rank of a kind: between steps of different ranks there is a
// barrier.
func (k Kind) Stage() int { return slices.Index(kinds, k) }

// Step is one change.
type Step struct {
	Op         Op           `json:"op"`
	Kind       Kind         `json:"kind"`
	Key        string       `json:"key"` // directories end in a slash
	Finding    finding.Kind `json:"finding"`
	Repository string       `json:"repository,omitempty"`
	Tag        string       `json:"tag,omitempty"`
	Digest     string       `json:"digest,omitempty"`
	Bytes      int64        `json:"bytes,omitempty"` // what a removal removes, or a copy from a source copies
	Reason     string       `json:"reason,omitempty"`
	Upload     string       `json:"upload,omitempty"` // of an abort: which of the multipart uploads at Key
	From       string       `json:"from,omitempty"`   // of a HealedBlob: the source to ask first

	// What must be so at the time of the step.
	Absent   bool  `json:"absent,omitempty"`   // there is nothing under Key
	Content  Text  `json:"content,omitempty"`  // of a link, exactly; checked where it isn't Absent and Kind is a link's
	Size     int64 `json:"size,omitempty"`     // of anything else
	Modified int64 `json:"modified,omitempty"` // of anything else, and when a tag or revision was last pushed: whole seconds since 1970, rounded up; of an upload its newest file's, of a multipart upload when it began
	Corrupt  bool  `json:"corrupt,omitempty"`  // its bytes don't hash to its digest

	// What a write writes.
	Body Text  `json:"body,omitempty"` // of a blob nothing but what hashes to its digest
	Time int64 `json:"time,omitempty"` // seconds since 1970; 0 means the time of the write
}

// Text is the bytes of a link, or of a small blob. In JSON it is a string, or, where the bytes are
// no UTF-8, their base64 behind "base64:".
type Text string

const inBase64 = "base64:"

// MarshalJSON writes the bytes so that none is lost.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.Coded()) }

// Coded returns the bytes as JSON's string holds them.
func (t Text) Coded() string {
	if !utf8.ValidString(string(t)) || strings.HasPrefix(string(t), inBase64) {
		return inBase64 + base64.StdEncoding.EncodeToString([]byte(t))
	}
	return string(t)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if coded, ok := strings.CutPrefix(s, inBase64); ok {
		raw, err := base64.StdEncoding.DecodeString(coded)
		*t = Text(raw)
		return err
	}
	*t = Text(s)
	return nil
}

// TakesAway reports whether the step removes something or writes over it, so that
// only what is kept for an undo can bring it back. An abort can't be undone at all.
func (s *Step) TakesAway() bool { return s.Op == Remove || s.Op == Write && !s.Absent }

// FullKey names what a step is about, unlike all else that a plan may be about: a
// file or directory by its key, and of the multipart uploads at a key one, upload.
func FullKey(key, upload string) string {
	if upload == "" {
		return key
	}
	return key + "\x00" + upload
}

// FullKey is Target of what the step is about.
func (s *Step) FullKey() string { return FullKey(s.Key, s.Upload) }

// StepID identifies a step of a plan.
type StepID struct {
	Op  Op
	Key string // the full key
}

// ID returns the step's id.
func (s *Step) ID() StepID { return StepID{s.Op, s.FullKey()} }

// IsLink reports whether the step's precondition is a link's content.
func (s *Step) IsLink() bool {
	switch s.Kind {
	case Rebuilt, FoundHistory, FoundTag, TagHistory, Tag, ReferrerTag, RevisionLink, LayerLink:
		return s.Key[len(s.Key)-1] != '/'
	}
	return false
}

// Plan is steps in their order.
type Plan struct {
	Steps []Step
}

// New makes the plan of what a judgement under the policy found: all cures that
// need no request, and those of also. The judgement must have been made with
// the same policy. What is in grace, what can't be cured, and names that a plan file
// can't hold are left alone. Under a removal nothing is cured but the garbage that
// it makes, and where something is denied there are no steps.
func New(r *check.Result, p gc.Policy) *Plan {
	plan := &Plan{}
	if len(r.Rejected) > 0 {
		return plan
	}
	for f := range r.Findings {
		damage := p.Removal != nil && f.Kind.Severity() < finding.Garbage
		if !f.InGrace && !damage && !p.Skips(f.Kind) {
			plan.Steps = append(plan.Steps, steps(&f, p.Cures(f.Kind))...)
		}
	}
	filled, removed := plan.writtenDirectories(), plan.removedKeys()
	plan.Steps = slices.DeleteFunc(plan.Steps, func(s Step) bool {
		return !utf8.ValidString(s.FullKey()) || p.Keep[s.FullKey()] || filled[s.Key] || s.Op == Write && removed[s.Key]
	})
	slices.SortStableFunc(plan.Steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Kind.Stage(), b.Kind.Stage()), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Upload, b.Upload))
	})
	plan.Steps = slices.CompactFunc(plan.Steps, func(a, b Step) bool { return a.Op == b.Op && a.FullKey() == b.FullKey() })
	return plan
}

// TakesAway reports whether any step does. Where none does, nothing has to be kept
// for an undo: what was written is removed again.
func (p *Plan) TakesAway() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.TakesAway() })
}

// removedKeys returns the keys that are removed: nothing is written there before.
func (p *Plan) removedKeys() map[string]bool {
	keys := map[string]bool{}
	for i := range p.Steps {
		if p.Steps[i].Op == Remove {
			keys[p.Steps[i].Key] = true
		}
	}
	return keys
}

// writtenDirectories are the directories on the way to what is written: empty as they may be,
// they aren't removed.
func (p *Plan) writtenDirectories() map[string]bool {
	dirs := map[string]bool{}
	for i := range p.Steps {
		if p.Steps[i].Op != Write {
			continue
		}
		for dir := path.Dir(p.Steps[i].Key); dir != "." && !dirs[dir+"/"]; dir = path.Dir(dir) {
			dirs[dir+"/"] = true
		}
	}
	return dirs
}

// Removal returns what the plan removes as a removal that has a plan, so that it can be
// judged again: exactly this is removed, where it still may be. It is for plans
// that were made under a removal.
func (p *Plan) Removal() *gc.Removal {
	r := &gc.Removal{Repositories: map[string]string{}, Planned: make(map[string]finding.Kind, len(p.Steps))}
	for i := range p.Steps {
		s := &p.Steps[i]
		id := s.Finding
		if id == finding.None || s.Op != Remove {
			continue
		}
		r.Planned[s.Key] = id
		if id == finding.RepositoryRemoved {
			r.Repositories[s.Repository] = ""
		}
	}
	return r
}

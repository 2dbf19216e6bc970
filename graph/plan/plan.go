// Package plan converts findings to ordered steps, and reads and writes plan files. It
// accesses no store.
//
// A plan is data: exactly the steps that were shown are carried out. Each step has a change,
// its key, the reason, and a precondition; if that is no longer true, the step is
// skipped. Steps are in an order in which an interruption leaves garbage and never a
// reference to something removed.
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

// Op is a step's operation.
type Op string

// The operations.
const (
	Write  Op = "write"  // a file is written or replaced
	Remove Op = "remove" // a file, or an upload's directory with its files, is removed
	Abort  Op = "abort"  // a multipart upload is aborted; the object at its key isn't changed
)

// Kind is the kind of object that a step changes.
type Kind string

// The kinds, in the order of execution.
const (
	HealedBlob   Kind = "blob-healed"   // copied from a source and verified
	RebuiltBlob  Kind = "blob-rebuilt"  // written from proven bytes
	Rebuilt      Kind = "link"          // any link that is written
	FoundHistory Kind = "found-history" // written for a lost image's tag
	FoundTag     Kind = "found-tag"     // likewise, the current link, after all that it needs
	TagHistory   Kind = "tag-history"   // history entries of removed tags, and stale ones
	Tag          Kind = "tag"           // a tag's current link, or its directory without one
	ReferrerTag  Kind = "referrer-tag"  // likewise, a referrers tag that is removed with its subject
	RevisionLink Kind = "revision-link" // also legacy signatures
	LayerLink    Kind = "layer-link"
	Upload       Kind = "upload" // also temporary files, multipart uploads, and a cache's state
	Blob         Kind = "blob"
	Directory    Kind = "folder" // a stored format
)

var kinds = []Kind{HealedBlob, RebuiltBlob, Rebuilt, FoundHistory, FoundTag, TagHistory, Tag, ReferrerTag, RevisionLink, LayerLink, Upload, Blob, Directory}

// Writes reports whether steps of the kind write.
func (k Kind) Writes() bool { return k.Stage() <= FoundTag.Stage() }

// IsTag reports whether it is a tag's current link.
func (k Kind) IsTag() bool { return k == Tag || k == ReferrerTag }

// Stage returns the rank of a kind. There is a barrier between ranks.
func (k Kind) Stage() int { return slices.Index(kinds, k) }

// Step is one change.
type Step struct {
	Op         Op           `json:"op"`
	Kind       Kind         `json:"kind"`
	Key        string       `json:"key"` // directories end with a slash
	Finding    finding.Kind `json:"finding"`
	Repository string       `json:"repository,omitempty"`
	Tag        string       `json:"tag,omitempty"`
	Digest     string       `json:"digest,omitempty"`
	Bytes      int64        `json:"bytes,omitempty"` // that a removal removes, or a copy copies
	Reason     string       `json:"reason,omitempty"`
	Upload     string       `json:"upload,omitempty"` // of an abort: the id of the multipart upload at Key
	From       string       `json:"from,omitempty"`   // of a HealedBlob: the preferred source

	// The precondition.
	Absent   bool  `json:"absent,omitempty"`   // there is nothing at Key
	Content  Text  `json:"content,omitempty"`  // of a link, exact; checked unless Absent, if Kind is a link's
	Size     int64 `json:"size,omitempty"`     // of other objects
	Modified int64 `json:"modified,omitempty"` // of anything else, and when a tag or revision was last pushed: whole seconds since 1970, rounded up; of an upload its newest file's, of a multipart upload when it began
	Corrupt  bool  `json:"corrupt,omitempty"`  // its bytes don't hash to its digest

	// What to write.
	Body Text  `json:"body,omitempty"` // of a blob, only bytes that hash to the digest
	Time int64 `json:"time,omitempty"` // seconds since 1970; 0 is the time of the write
}

// Text is the content of a link or small blob. In JSON it is a string or, if it isn't UTF-8,
// "base64:" and its base64.
type Text string

const inBase64 = "base64:"

// MarshalJSON encodes the bytes without loss.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.Coded()) }

// Coded returns the string that JSON has.
func (t Text) Coded() string {
	if !utf8.ValidString(string(t)) || strings.HasPrefix(string(t), inBase64) {
		return inBase64 + base64.StdEncoding.EncodeToString([]byte(t))
	}
	return string(t)
}

// UnmarshalJSON decodes the result of MarshalJSON.
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

// TakesAway reports whether the step removes or replaces something, which only a quarantine
// can restore. An abort can't be undone.
func (s *Step) TakesAway() bool { return s.Op == Remove || s.Op == Write && !s.Absent }

// FullKey returns a key that is unique to the object of a step: the key of a file or
// directory, with the id of a multipart upload.
func FullKey(key, upload string) string {
	if upload == "" {
		return key
	}
	return key + "\x00" + upload
}

// FullKey returns the full key of the step's object.
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

// Plan is an ordered list of steps.
type Plan struct {
	Steps []Step
}

// New makes the plan of a check's result: all cures that need no request, and those with one.
// The check must have had the same policy. Garbage in grace, findings without a cure, and
// names that a plan file can't contain are left out. Under a removal, only its garbage is fixed,
// and with rejections there are no steps.
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

// TakesAway reports whether any step does. If none does, nothing must be quarantined: an undo
// removes what was written.
func (p *Plan) TakesAway() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.TakesAway() })
}

// removedKeys returns the keys that are removed: nothing is written there.
func (p *Plan) removedKeys() map[string]bool {
	keys := map[string]bool{}
	for i := range p.Steps {
		if p.Steps[i].Op == Remove {
			keys[p.Steps[i].Key] = true
		}
	}
	return keys
}

// writtenDirectories returns the parents of written keys: they aren't removed, even if empty.
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

// Removal returns the removal with this plan, to judge it again: exactly its keys are
// removed, if they still may be. The plan must have been made under a removal.
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

// Package finding defines the kinds of findings, and a finding with all that a fix needs.
//
// A kind of finding is one row in kinds.go: its name, severity, whether it keeps a tag from
// being pulled, its cures, and its texts. A severity is a kind's, never a single finding's.
// The name of a kind is stable and never reused.
//
// The package reads no store and imports nothing of the program.
package finding

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// Severity is how bad a kind of finding is.
type Severity uint8

// The severities, worst first.
const (
	Fatal   Severity = iota // something is unknown: nothing may be removed
	Error                   // an image can't be pulled, or may soon not be
	Warning                 // unusual, legal or changing: a person should look
	Garbage                 // needed by nothing; no damage
	Asked                   // removed on request; no check finds it
)

var severityNames = [...]string{"fatal", "error", "warning", "garbage", "asked"}

// String returns the severity's name, which is stable.
func (s Severity) String() string { return severityNames[s] }

// Cure is what a fix does about a finding.
type Cure string

// The cures. Those ending in Ask need a request, by --also.
const (
	CureNone        Cure = "none"         // nothing
	CureRemove      Cure = "remove"       // removed
	CureAbort       Cure = "abort"        // aborted, without undo
	CureRebuild     Cure = "rebuild"      // written from what the store proves
	CureHeal        Cure = "heal"         // copied from a source
	CureRemoveAsk   Cure = "remove-ask"   // removed on request
	CureMoveAsk     Cure = "move-ask"     // moved away on request, so that a push writes it again
	CureWriteAsk    Cure = "write-ask"    // a link is written on request
	CureWithdrawAsk Cure = "withdraw-ask" // on request, the images that need it are withdrawn, so that clients push them completely
)

// Asks reports whether it needs a request.
func (c Cure) Asks() bool {
	return c == CureRemoveAsk || c == CureMoveAsk || c == CureWriteAsk || c == CureWithdrawAsk
}

// Restores reports whether it writes what is missing or wrong without a request.
func (c Cure) Restores() bool { return c == CureRebuild || c == CureHeal }

// Finding is one finding of a check. Strings are unescaped: printers must escape control
// characters.
type Finding struct {
	Kind         Kind
	Path         string // relative to the root; a directory has no trailing slash
	Repository   string // "" if it is of no single repository
	Tag          string // "" if it is of no single tag
	Digest       string // "sha256:…", or ""
	Bytes        int64  // stored bytes of the object
	Modified     time.Time
	Detail       string   // one clause, "" if the kind says all
	Affects      []string // the first tags ("repo:tag") that it blocks, or all with AllAffects; by repository and tag
	AffectsCount int      // the number of all tags that it blocks
	Cure         Cure
	Link         *Link    // of a finding about a link or tag: for a fix; else nil
	Found        []Link   // of a lost image: all links to write, those of its tag last; none if it gets no tag
	Blob         *Blob    // of a blob that is written: for a fix; else nil
	Upload       string   // of MultipartStale: the multipart upload's id, any text; Modified is when it began
	Directories  []string // of RepoEmpty and of a removed repository: which of its directories are removed, such as "_layers"; not those with foreign files
	Spare        bool     // of lost bytes: a source has them, and a fix copies them only with HealAll
	InGrace      bool     // garbage in grace: counted, not listed in text, kept by a fix
	Withdrawn    bool     // every image that needs it is withdrawn, as requested
}

// Where yields the findings that wanted selects, in order.
func Where(all iter.Seq[Finding], wanted func(*Finding) bool) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		for f := range all {
			if wanted(&f) && !yield(f) {
				return
			}
		}
	}
}

// Link is what a fix needs of a link.
type Link struct {
	Stored  string    // its content; "" for none
	Wanted  string    // the right content, "" if unknown
	Time    time.Time // of a rebuilt link; zero if unknown
	History []Link    // of a tag: its history entries, which are removed with it
	Path    string    // of an entry of History, or a lost image's link
	Present bool      // the file exists, maybe empty
}

// Blob is what a fix needs of a blob to write.
type Blob struct {
	Body    string    // its bytes, which hash to its digest; "" if they are copied
	From    string    // the source to copy from; "" for none
	Size    int64     // of CureHeal: the bytes in the source
	Present bool      // a file with other bytes exists
	Time    time.Time // of the existing file, or else of a manifest that needs it
}

// MaxAffects is the most tags in Finding.Affects without AllAffects.
const MaxAffects = 10

// BrokenTag is a tag that can't be pulled, or of which this is unknown, with the reasons.
type BrokenTag struct {
	Repository, Tag string

	// Because are findings and their keys, "blob-missing docker/registry/v2/…", sorted; at
	// most MaxAffects, and as many keys whose state is unknown: "store-unreadable …", and
	// "changed …" for a concurrent change.
	Because []string

	Outlook Outlook // what it needs
	Ask     Kind    // the kind of finding that blocks it and is cured on request only; None for none
}

// Outlook is what a broken tag needs besides a fix under the same policy, without further
// requests.
type Outlook uint8

// The outlooks.
const (
	NotJudged     Outlook = iota // of a tag whose state is unknown
	Mended                       // nothing: the fix repairs it
	MendedByCopy                 // nothing: the fix repairs it with blobs from a source
	NeedsDecision                // a cure on request, of the kind Ask
	NeedsBytes                   // bytes that neither the store nor a source has
	NeedsRestore                 // an object restored from an archive
	NeedsPush                    // a push: what it lacks can't be written, or isn't a matter of bytes
)

var outlookNames = [...]string{"not-judged", "fix", "fix-copies", "decision", "bytes", "restore", "push"}

// MarshalText returns the outlook's name, which is stable.
func (o Outlook) MarshalText() ([]byte, error) { return []byte(outlookNames[o]), nil }

// UnmarshalText parses a name. An unknown one is ErrUnknown.
func (o *Outlook) UnmarshalText(text []byte) error {
	at := slices.Index(outlookNames[:], string(text))
	if at < 0 {
		return fmt.Errorf("what a tag needs, %q, is of another version: %w", text, ErrUnknown)
	}
	*o = Outlook(at)
	return nil
}

// Ref returns "repo:tag".
func (b BrokenTag) Ref() string { return b.Repository + ":" + b.Tag }

// Count is the number of findings of one kind.
type Count struct {
	Count   int   `json:"count"` // without those in grace
	Bytes   int64 `json:"bytes"` // without those in grace
	InGrace int   `json:"young"` // garbage in grace: kept
}

// Package finding is the vocabulary of what a check says about a store: the kinds of
// findings, and a finding with all that a fix needs to know.
//
// A kind of finding is one row in kinds.go: its name, how bad it is, whether it
// keeps a tag from being pulled, what can be done about it, and the texts that
// explain it. A severity belongs to a kind, never to a single finding. The name of a
// kind is stable and never used for anything else.
//
// The package looks at no store and decides nothing. It imports nothing of the
// program, so every part of it can use it.
package finding

import (
	"fmt"
	"slices"
	"time"
)

// Severity says how bad a kind of finding is.
type Severity uint8

// The severities, worst first.
const (
	Fatal   Severity = iota // something is unknown: nothing may be deleted
	Error                   // an image can't be pulled, or soon can't be
	Warning                 // odd, legal or in motion: a person should look
	Garbage                 // takes space and nothing needs it; not damage
	Asked                   // is removed because somebody asked for it; no check finds it
)

var severityNames = [...]string{"fatal", "error", "warning", "garbage", "asked"}

// String returns the severity's stable name.
func (s Severity) String() string { return severityNames[s] }

// Cure says what a fix would do about a finding.
type Cure string

// The cures. Those that end in Ask are done only on request, with --also.
const (
	CureNone        Cure = "none"         // nothing in this store can put it right
	CureRemove      Cure = "remove"       // removed
	CureAbort       Cure = "abort"        // aborted, which nothing can take back
	CureRebuild     Cure = "rebuild"      // written anew from what the store proves
	CureHeal        Cure = "heal"         // copied from a source
	CureRemoveAsk   Cure = "remove-ask"   // removed on request
	CureMoveAsk     Cure = "move-ask"     // moved away on request, so that a push heals it
	CureWriteAsk    Cure = "write-ask"    // a link is written on request
	CureWithdrawAsk Cure = "withdraw-ask" // the images that need it are withdrawn on request, so that every client pushes them whole
)

// Asks reports whether it is done only on request.
func (c Cure) Asks() bool {
	return c == CureRemoveAsk || c == CureMoveAsk || c == CureWriteAsk || c == CureWithdrawAsk
}

// Restores reports whether it writes what is missing or wrong, without a request.
func (c Cure) Restores() bool { return c == CureRebuild || c == CureHeal }

// Finding is one thing that a check found. Strings are as they are in the
// store: whoever prints them escapes control characters.
type Finding struct {
	Kind         Kind
	Path         string // key below the root; a directory without a trailing slash
	Repository   string // "" where the thing belongs to no single repository
	Tag          string // "" likewise
	Digest       string // "sha256:…", or ""
	Bytes        int64  // that the thing uses in the store
	Modified     time.Time
	Detail       string   // one clause of plain words, "" where the kind says all
	Affects      []string // the first tags ("repo:tag") that can't be pulled because of it, or all where that was asked for; by repository and tag
	AffectsCount int      // how many there are in all
	Cure         Cure
	Link         *Link    // of a finding about a link or a tag: what a fix needs to know; else nil
	Found        []Link   // of a lost image: all links that it gets, those of its tag last; none where it gets no tag
	Blob         *Blob    // of a blob that is written anew: what a fix needs to know; else nil
	Upload       string   // of MultipartStale: the multipart upload's id, which may be any text; Modified is when it began
	Directories  []string // of RepoEmpty and of a repository that is removed: which of its directories are removed, such as "_layers"; not those with foreign files in them
	Spare        bool     // of bytes that are lost: a source has them, and a fix copies them only if it is told to copy what no tag is known to need
	InGrace      bool     // garbage in grace: counted, not listed in text, kept by a fix
	Withdrawn    bool     // every image that needs it is withdrawn, as was asked for
}

// Link is what a fix needs to know of a link.
type Link struct {
	Stored  string    // the bytes that are there; "" for none
	Wanted  string    // the bytes that it should have, "" where nobody can say
	Time    time.Time // that a rebuilt link is to have; zero where nothing tells
	History []Link    // of a tag: the entries of its history, which are removed with it
	Path    string    // of an entry of History, and of a lost image's link
	Present bool      // there is a file, empty perhaps
}

// Blob is what a fix needs to know of a blob that it writes anew.
type Blob struct {
	Body    string    // its bytes, which hash to its digest; "" where they are copied
	From    string    // the source that they are copied from; "" for none
	Size    int64     // of CureHeal: how many bytes the source has
	Present bool      // there is a file, with other bytes
	Time    time.Time // that it is to have: that of what is there, or else of a manifest that needs it
}

// MaxAffects is how many tags Finding.Affects names at most, unless all are asked for.
const MaxAffects = 10

// BrokenTag is a tag that can't be pulled, and why; or one of which nobody can say
// whether it can be, and what that depends on.
type BrokenTag struct {
	Repository, Tag string

	// Because are findings and their keys, "blob-missing docker/registry/v2/…", sorted;
	// at most MaxAffects, and as many of what could not be judged: "store-unreadable …",
	// and "changed …" where a key was written or removed meanwhile.
	Because []string

	Outlook Outlook // what it needs
	Ask     Kind    // the kind of finding that is cured on request only and keeps it from being pulled; None where there is none
}

// Outlook says what a tag that can't be pulled needs, besides what a fix under the
// same policy does without a further request.
type Outlook uint8

// The outlooks.
const (
	NotJudged     Outlook = iota // of a tag of which nobody can say whether it can be pulled
	Mended                       // nothing: the fix heals it
	MendedByCopy                 // nothing: the fix heals it, with blobs from a source
	NeedsDecision                // a cure that is done on request, that of Ask
	NeedsBytes                   // bytes that nothing here proves and no source has
	NeedsRestore                 // an object back from an archive
	NeedsPush                    // a push: what it lacks can't be written, or is no matter of bytes
)

var outlookNames = [...]string{"not-judged", "fix", "fix-copies", "decision", "bytes", "restore", "push"}

// MarshalText returns the outlook's stable name.
func (o Outlook) MarshalText() ([]byte, error) { return []byte(outlookNames[o]), nil }

// UnmarshalText accepts such a name. Another one is ErrUnknown.
func (o *Outlook) UnmarshalText(text []byte) error {
	at := slices.Index(outlookNames[:], string(text))
	if at < 0 {
		return fmt.Errorf("what a tag needs, %q, is of another version: %w", text, ErrUnknown)
	}
	*o = Outlook(at)
	return nil
}

// Ref returns the tag's usual notation, "repo:tag".
func (b BrokenTag) Ref() string { return b.Repository + ":" + b.Tag }

// Count sums up the findings of one kind.
type Count struct {
	Count   int   `json:"count"` // without those in grace
	Bytes   int64 `json:"bytes"` // without those in grace
	InGrace int   `json:"young"` // garbage in grace: kept
}

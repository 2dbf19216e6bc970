package history

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"regfsck/backend"
)

// ErrLost: the file neither exists nor is kept.
var ErrLost = fmt.Errorf("is neither kept nor in the store: %w", fs.ErrNotExist)

// Token is the content of a receipt's Undo: the version to restore.
type Token struct {
	Marker bool   // ID is that of the delete marker that hides the version
	Run    string // the id of the run that made the receipt
	ID     string // of the version
}

// String returns the text that ParseToken parses.
func (t Token) String() string {
	kind := "version"
	if t.Marker {
		kind = "marker"
	}
	return kind + "/" + t.Run + "/" + t.ID
}

// ParseToken is the inverse of String; ok is false for an invalid token.
func ParseToken(undo string) (t Token, ok bool) {
	parts := strings.SplitN(undo, "/", 3)
	if len(parts) != 3 || parts[0] != "marker" && parts[0] != "version" || parts[2] == "" {
		return Token{}, false
	}
	return Token{parts[0] == "marker", parts[1], parts[2]}, true
}

// Since is the time after which a run may have changed something, by the server's clock, in
// nanoseconds since 1970; 0 if unknown.
type Since struct {
	Strictly int64 // earlier by the error of whole seconds and of the clock comparison
	Roughly  int64 // earlier also by a possible adjustment of a clock
}

// SinceBegan returns the Since of a run that began at a time by this machine's clock, which is
// behind nanoseconds behind the server's.
func SinceBegan(at time.Time, behind int64) Since {
	if at.IsZero() {
		return Since{}
	}
	began := at.UnixNano() + behind
	return Since{Strictly: began - int64(2*time.Second), Roughly: began - int64(5*time.Minute)}
}

// Way is a way to restore a version.
type Way uint8

const (
	// InPlace: nothing has to be restored, as far as the history shows.
	InPlace Way = iota
	// RemoveMarkers: removing the markers above the version restores it.
	RemoveMarkers
	// Copy: the version is copied, because versions other than markers are above it. After that
	// it and the markers directly above it are removed.
	Copy
)

// Restoration is how to restore what a run removed.
type Restoration struct {
	Way     Way
	Version Version // to restore; zero for InPlace
	Markers History // directly above Version
}

// Restoration returns how to restore the version of a run's receipt: the version that the
// receipt names or else, as after a crash, the one below the newest markers if these were
// created since the run began. If another object has the key the error is fs.ErrExist; if the
// version isn't kept it is ErrLost; if it isn't the original it is backend.ErrAltered.
func (h History) Restoration(run backend.Run, since Since, receipt backend.Receipt) (Restoration, error) {
	at := -1
	t, ok := ParseToken(receipt.Undo)
	if ok && t.Run != run.ID {
		if !h.Exists() {
			return Restoration{}, ErrLost
		}
		return Restoration{}, nil
	}
	if ok {
		at = h.Find(t.ID)
	}
	top := h.Markers(0)
	switch {
	case at < 0:
		return h.restorationByTime(since, receipt.Was)
	case h[at].Marker && h.Exists(), !h[at].Marker && at > 0 && h.Exists():
		return Restoration{}, fs.ErrExist
	case at == 0 && !h[at].Marker:
		return Restoration{}, nil
	case at <= top && top < len(h):
		return h.below(RemoveMarkers, 0, receipt.Was)
	case at+h.Markers(at) < len(h):
		return h.below(Copy, at, receipt.Was)
	}
	return Restoration{}, ErrLost
}

// restorationByTime is Restoration for a receipt whose version isn't known or doesn't exist.
func (h History) restorationByTime(since Since, was *backend.Original) (Restoration, error) {
	switch {
	case len(h) == 0:
		return Restoration{}, ErrLost
	case h.Exists() && since.Strictly > 0 && h.changed(since.Strictly):
		return Restoration{}, fs.ErrExist
	case h.Exists():
		return Restoration{}, nil
	case h.Markers(0) == len(h), h.markedAt(0) < since.Roughly:
		return Restoration{}, ErrLost
	}
	return h.below(RemoveMarkers, 0, was)
}

// below returns the restoration of the version below the markers at index at, if it is the
// original.
func (h History) below(way Way, at int, was *backend.Original) (Restoration, error) {
	below := at + h.Markers(at)
	return Restoration{way, h[below], h[at:below]}, h[below].Check(was)
}

// Kept returns what a run keeps of the key, by the Undo texts of its receipts: what the run's
// markers, and those consecutive with them, hide, and what the run replaced. The current
// version is never included. Remove the markers after the versions.
func (h History) Kept(run backend.Run, since Since, undos []string) (versions, markers History) {
	marked := make([]bool, len(h))
	for _, undo := range undos {
		at := -1
		if t, ok := ParseToken(undo); ok && t.Run == run.ID {
			at = h.Find(t.ID)
		} else if undo == "" {
			at = h.oldest(since.Strictly)
		}
		if at >= 0 {
			h.mark(at, marked)
		}
	}
	for i, v := range h {
		switch {
		case marked[i] && v.Marker:
			markers = append(markers, v)
		case marked[i] && i > 0:
			versions = append(versions, v)
		}
	}
	return versions, markers
}

// ErrKept: the change would give up a version that the run keeps.
var ErrKept = errors.New("was replaced since this run began, which keeps the earlier file; what is there now is not changed")

// Current returns the current version; nil if the key doesn't exist. If a run with Keep set
// has replaced it the error is ErrKept.
func (h History) Current(run backend.Run, since Since) (*Version, error) {
	switch {
	case !h.Exists():
		return nil, nil
	case run.Keep && since.Strictly > 0 && h.replaced(0) && h[0].At >= since.Strictly:
		return nil, ErrKept
	}
	return &h[0], nil
}

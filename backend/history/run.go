package history

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"regfsck/backend"
)

// ErrLost is what neither stands under its key nor is kept.
var ErrLost = fmt.Errorf("is neither kept nor in its place: %w", fs.ErrNotExist)

// Token is what a receipt's Undo says: which version to bring back.
type Token struct {
	Marker bool   // the version is the delete marker that hides it
	Run    string // that made the receipt
	ID     string // of the version
}

// String is what ParseToken reads.
func (t Token) String() string {
	kind := "version"
	if t.Marker {
		kind = "marker"
	}
	return kind + "/" + t.Run + "/" + t.ID
}

// ParseToken is String's inverse; ok is false for what isn't a token.
func ParseToken(undo string) (t Token, ok bool) {
	parts := strings.SplitN(undo, "/", 3)
	if len(parts) != 3 || parts[0] != "marker" && parts[0] != "version" || parts[2] == "" {
		return Token{}, false
	}
	return Token{parts[0] == "marker", parts[1], parts[2]}, true
}

// Since is the moment since which a run may have changed something, by the server's
// clock, in nanoseconds since 1970; 0 where nobody knows.
type Since struct {
	Strictly int64 // with what whole seconds and the compared clocks may be wrong by
	Roughly  int64 // and with what a clock may have been set by meanwhile
}

// SinceBegan returns the moment for a run that began at a time by this machine's clock,
// which is behind the server's by so many nanoseconds.
func SinceBegan(at time.Time, behind int64) Since {
	if at.IsZero() {
		return Since{}
	}
	began := at.UnixNano() + behind
	return Since{Strictly: began - int64(2*time.Second), Roughly: began - int64(5*time.Minute)}
}

// Way is how something comes back.
type Way uint8

const (
	// Stands: it is in its place, as far as the history tells.
	Stands Way = iota
	// Lift: once the markers above it are removed.
	Lift
	// Copy: as a copy, since more than markers is above it; it and the markers right
	// above it are then to be removed.
	Copy
)

// Return is how what a run took away comes back.
type Return struct {
	Way     Way
	Version Version // that comes back, but for Stands
	Markers History // those right above it
}

// Return tells how what a receipt of the run speaks of comes back: by the version that
// the receipt names, or else, as after a crash, by the markers that are uppermost and
// were made since the run began. Where something else stands the error is fs.ErrExist;
// where it isn't kept it is ErrLost; where what is kept isn't what it was it is
// backend.ErrAltered.
func (h History) Return(run backend.Run, since Since, receipt backend.Receipt) (Return, error) {
	at := -1
	t, ok := ParseToken(receipt.Undo)
	if ok && t.Run != run.ID {
		if !h.Stands() {
			return Return{}, ErrLost
		}
		return Return{}, nil
	}
	if ok {
		at = h.Find(t.ID)
	}
	top := h.Markers(0)
	switch {
	case at < 0:
		return h.returnByTime(since, receipt.Was)
	case h[at].Marker && h.Stands(), !h[at].Marker && at > 0 && h.Stands():
		return Return{}, fs.ErrExist
	case at == 0 && !h[at].Marker:
		return Return{}, nil
	case at <= top && top < len(h):
		return h.back(Lift, 0, receipt.Was)
	case at+h.Markers(at) < len(h):
		return h.back(Copy, at, receipt.Was)
	}
	return Return{}, ErrLost
}

// returnByTime is Return where the version that a receipt speaks of isn't known, or isn't
// there.
func (h History) returnByTime(since Since, was *backend.Original) (Return, error) {
	switch {
	case len(h) == 0:
		return Return{}, ErrLost
	case h.Stands() && since.Strictly > 0 && h.touched(since.Strictly):
		return Return{}, fs.ErrExist
	case h.Stands():
		return Return{}, nil
	case h.Markers(0) == len(h), h.hidden(0) < since.Roughly:
		return Return{}, ErrLost
	}
	return h.back(Lift, 0, was)
}

// back returns the version below the markers at a place, if it is what it was.
func (h History) back(way Way, at int, was *backend.Original) (Return, error) {
	below := at + h.Markers(at)
	return Return{way, h[below], h[at:below]}, h[below].Check(was)
}

// Kept returns what a run keeps of the key, by the Undo words of its receipts: of each
// marker that is the run's, and of those in a row with it, what they hide; and what the
// run wrote over. What stands there is never among it. The markers are to be removed
// after the versions.
func (h History) Kept(run backend.Run, since Since, undos []string) (versions, markers History) {
	given := make([]bool, len(h))
	for _, undo := range undos {
		at := -1
		if t, ok := ParseToken(undo); ok && t.Run == run.ID {
			at = h.Find(t.ID)
		} else if undo == "" {
			at = h.oldest(since.Strictly)
		}
		if at >= 0 {
			h.give(at, given)
		}
	}
	for i, v := range h {
		switch {
		case given[i] && v.Marker:
			markers = append(markers, v)
		case given[i] && i > 0:
			versions = append(versions, v)
		}
	}
	return versions, markers
}

// ErrKept is a change that would give up what the run keeps.
var ErrKept = errors.New("was written over since this run began, and what stood there then is kept; what stands there now is left")

// Standing returns what stands under the key, nil for nothing. Where a run that keeps
// has written over it the error is ErrKept.
func (h History) Standing(run backend.Run, since Since) (*Version, error) {
	switch {
	case !h.Stands():
		return nil, nil
	case run.Keep && since.Strictly > 0 && h.over(0) && h[0].At >= since.Strictly:
		return nil, ErrKept
	}
	return &h[0], nil
}

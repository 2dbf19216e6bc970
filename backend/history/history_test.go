package history

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"regfsck/backend"
)

const minute = int64(time.Minute)

// made parses a history, newest first: "v3" is a version created in minute 3, "m5" a marker.
func made(words string) (h History) {
	for i, word := range strings.Fields(words) {
		v := Version{ID: word, Marker: word[0] == 'm', Latest: i == 0, Size: 1}
		fmt.Sscan(word[1:], &v.At)
		v.At *= minute
		h = append(h, v)
	}
	return h
}

// ids is the inverse of made.
func (h History) ids() string {
	var all []string
	for _, v := range h {
		all = append(all, v.ID)
	}
	return strings.Join(all, " ")
}

var run = backend.Run{ID: "run", Keep: true, Began: time.Unix(0, 100*minute)}

func TestTokens(t *testing.T) {
	for _, want := range []Token{{true, "run-1", "a/b"}, {false, "", "x"}} {
		if got, ok := ParseToken(want.String()); !ok || got != want {
			t.Errorf("%q: %+v", want, got)
		}
	}
	for _, bad := range []string{"", "marker", "marker/run", "marker/run/", "other/run/x"} {
		if got, ok := ParseToken(bad); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestRestoration(t *testing.T) {
	for _, c := range []struct {
		history, undo string
		want          string // "way version | markers"
		err           error
	}{
		{"m101 v1", "marker/run/m101", "1 v1 | m101", nil},
		{"m102 m101 v1", "marker/run/m101", "1 v1 | m102 m101", nil},
		{"m101 v1", "", "1 v1 | m101", nil},
		{"m1 v101", "", "1 v101 | m1", nil}, // a marker isn't older than what it hides
		{"m1 v1", "", "", ErrLost},          // an older delete
		{"m101", "", "", ErrLost},           // hides no version
		{"", "", "", ErrLost},               //
		{"v1", "", "0  | ", nil},            // never removed
		{"v101 m101 v1", "", "", fs.ErrExist},
		{"v101 v1", "version/run/v1", "", fs.ErrExist},
		{"v101 m101 v1", "marker/run/m101", "", fs.ErrExist},
		{"v1", "version/run/v1", "0  | ", nil},
		{"m102 v101 v1", "version/run/v1", "2 v1 | ", nil},
		{"m103 v102 m101 v1", "marker/run/m101", "2 v1 | m101", nil},
		{"v1", "marker/other/m101", "0  | ", nil}, // another run's
		{"m101 v1", "marker/other/m101", "", ErrLost},
	} {
		got, err := made(c.history).Restoration(run, SinceBegan(run.Began, 0), backend.Receipt{Undo: c.undo})
		if err == nil && fmt.Sprintf("%d %s | %s", got.Way, got.Version.ID, got.Markers.ids()) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q, %q: %+v, %v; want %s, %v", c.history, c.undo, got, err, c.want, c.err)
		}
	}
	was := &backend.Original{Size: 2}
	for _, words := range []string{"m101 v1", "m103 v102 m101 v1"} {
		if _, err := made(words).Restoration(run, Since{}, backend.Receipt{Undo: "marker/run/m101", Was: was}); !errors.Is(err, backend.ErrAltered) {
			t.Errorf("%q: %v", words, err)
		}
	}
}

func TestKept(t *testing.T) {
	for _, c := range []struct{ history, undos, versions, markers string }{
		{"m101 v2 v1", "marker/run/m101", "v2 v1", "m101"},
		{"m102 m101 v1", "marker/run/m101", "v1", "m102 m101"},
		{"v101 v1", "version/run/v1", "v1", ""},
		{"v1", "version/run/v1", "", ""}, // the current version
		{"m101 v1 m1 v0", "-", "v1", "m101"},
		{"m1 v1", "-", "", ""},
		{"m1 v101", "-", "v101", "m1"},
		{"m101 v1", "marker/other/m101", "", ""},
	} {
		versions, markers := made(c.history).Kept(run, SinceBegan(run.Began, 0), []string{strings.Trim(c.undos, "-")})
		if versions.ids() != c.versions || markers.ids() != c.markers {
			t.Errorf("%q, %q: %q and %q", c.history, c.undos, versions.ids(), markers.ids())
		}
	}
}

func TestCurrent(t *testing.T) {
	for words, want := range map[string]error{"v1": nil, "v101 v1": ErrKept, "v2 v1": nil, "v101": nil, "v101 m99 v1": nil} {
		v, err := made(words).Current(run, SinceBegan(run.Began, 0))
		if err != want || err == nil && v.ID != strings.Fields(words)[0] {
			t.Errorf("%q: %+v, %v", words, v, err)
		}
	}
	if v, err := made("m1 v1").Current(run, Since{}); v != nil || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestRepeats: only versions with the same content are of one request.
func TestRepeats(t *testing.T) {
	for _, c := range []struct {
		content string // by version, newest first
		want    int
	}{{"a", 1}, {"a a b", 2}, {"a a a", 3}, {"a b a", 1}, {"a a:2", 1}, {"a - a", 1}, {"? ?", 1}} {
		var h History
		for _, word := range strings.Fields(c.content) {
			etag, size, _ := strings.Cut(word, ":")
			h = append(h, Version{ETag: strings.Trim(etag, "?-"), Size: int64(len(size)), Marker: word == "-"})
		}
		if n := h.Repeats(); n != c.want {
			t.Errorf("%s: %d, want %d", c.content, n, c.want)
		}
	}
}

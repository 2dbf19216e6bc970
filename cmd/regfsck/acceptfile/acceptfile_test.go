package acceptfile

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"regfsck/report/accept"
)

var now = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// TestWrittenIsRead: a file that was written is read unchanged, with any characters in names.
func TestWrittenIsRead(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	signs := []rune("aZ09/.-_:#'\"\\|>&*!%@`{}[],?~ \t\n\r\x00\x01\x1b\x7f\u0080\u0085\u00a0\u200b\u2028\u2029\u202e\ufeff\ufffd\ufffe\U0001f600üß日yntfoe<=")
	text := func() string {
		var b strings.Builder
		for range random.IntN(12) + 1 {
			if random.IntN(20) == 0 {
				if r := rune(random.IntN(utf8.MaxRune)); utf8.ValidRune(r) {
					b.WriteRune(r)
				}
				continue
			}
			b.WriteRune(signs[random.IntN(len(signs))])
		}
		return b.String() + "x"
	}
	for range 5000 {
		want := accept.File{Schema: accept.Schema, Target: text()}
		for range random.IntN(3) + 1 {
			want.Entries = append(want.Entries, accept.Entry{ID: "foreign-file", Key: text(), Tags: random.IntN(2) * random.IntN(9), Reason: text(), Until: []string{"", "2030-01-31"}[random.IntN(2)]})
		}
		var b bytes.Buffer
		if err := Write(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(bytes.NewReader(b.Bytes()), "f.yml", now)
		if err != nil || got.Target != want.Target || len(got.Rules) != len(want.Entries) {
			t.Fatalf("%q: %+v, %v, of\n%s", want.Target, got, err, b.String())
		}
		for i, r := range got.Rules {
			if r.Entry != want.Entries[i] {
				t.Fatalf("%+v, want %+v, of\n%s", r.Entry, want.Entries[i], b.String())
			}
		}
	}
}

// TestLines: a rule has the line of its entry.
func TestLines(t *testing.T) {
	f, err := Read(strings.NewReader("# one\nschema: regfsck.accept/1\n\naccepted:\n  # two\n  - id: foreign-file\n    key: a\n    reason: |\n      over\n      lines\n  - {id: foreign-file, key: b,\n     reason: r}\n"), "f.yml", now)
	if err != nil || len(f.Rules) != 2 || f.Rules[0].Where() != "f.yml, line 6" || f.Rules[1].Where() != "f.yml, line 11" || f.Target != "" {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestTooLarge: a file that could not be read again isn't written.
func TestTooLarge(t *testing.T) {
	file := accept.File{Schema: accept.Schema}
	for range MaxBytes/1000 + 1 {
		file.Entries = append(file.Entries, accept.Entry{ID: "foreign-file", Key: strings.Repeat("k", 1000), Reason: "r"})
	}
	var b bytes.Buffer
	if err := Write(&b, file); err == nil || b.Len() > 0 || !strings.Contains(err.Error(), "choose fewer findings") {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

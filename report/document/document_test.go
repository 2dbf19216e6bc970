package document

import (
	"bytes"
	"iter"
	"slices"
	"strings"
	"testing"
)

type part struct {
	Key string `json:"key"`
	N   int    `json:"n,omitempty"`
}

type sample struct {
	Name   string                  `json:"name"`
	Note   string                  `json:"note,omitempty"`
	Of     *part                   `json:"of,omitempty"`
	Counts iter.Seq2[string, int]  `json:"counts"`
	Parts  iter.Seq[part]          `json:"parts"`
	Ptrs   iter.Seq[*part]         `json:"pointers,omitzero"`
	More   iter.Seq2[string, part] `json:",inline"`
}

func counts(yield func(string, int) bool) { _ = yield("b", 2) && yield("a", 1) }

func more(yield func(string, part) bool) { yield("bucket", part{"x", 0}) }

// TestWriteAndRead writes documents, reads them and writes them again, and iterates over what
// was read twice, and partly.
func TestWriteAndRead(t *testing.T) {
	for _, w := range []sample{
		{},
		{Name: "\x1b\u2028<&>", Of: &part{"k", 1}, Counts: counts, Parts: slices.Values([]part{{"a", 0}, {"b", 2}}), More: more},
		{Ptrs: slices.Values([]*part{{"p", 1}})},
	} {
		var first, second bytes.Buffer
		if err := Write(&first, w); err != nil {
			t.Fatal(err)
		}
		var read sample
		if err := Read(bytes.NewReader(first.Bytes()), &read); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for range read.Parts {
				break
			}
			for range read.Counts {
				break
			}
			second.Reset()
			if err := Write(&second, read); err != nil || second.String() != first.String() {
				t.Errorf("%v\n%s\n%s", err, first.String(), second.String())
			}
		}
		for n := range first.Len() - 1 {
			if err := Read(bytes.NewReader(first.Bytes()[:n]), &sample{}); err == nil || err.Error() != "it is cut short" && !strings.Contains(err.Error(), "unexpected end") && !strings.Contains(err.Error(), "unexpected EOF") {
				t.Errorf("the first %d bytes: %v", n, err)
			}
		}
	}
}

func TestInvalidDocuments(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "[ was found where { is expected", `{"name":1}`: `its member "name"`, `{"counts":{"a":"b"}}`: `its member "counts": "a"`, `{"parts":{}}`: `its member "parts"`,
		`{"name":"","counts":{}}`: `it has no "parts"`, `{"name":"","counts":{},"parts":[]}{}`: "something follows", `{"bucket":1}`: `"bucket"`, `x`: "invalid character",
	} {
		if err := Read(strings.NewReader(text), &sample{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"

	"regfsck/graph/finding"
)

// Schema names the form of the document that Check.WriteJSON writes. Fields may
// be added to a schema; none changes its meaning.
const Schema = "regfsck.check/1"

// WriteJSON writes the report as one JSON document. Every field is there, a
// list is never null, a time is RFC 3339 in UTC or "". The findings stream: one
// a line, in the order of the result. The same check gives the same bytes.
func (c *Check) WriteJSON(w io.Writer) error {
	d := newDocument(w)
	c.head(d, Schema)
	d.field("complete", c.Result.Complete)
	d.field("verdict", c.Verdict())
	d.field("totals", totalsOf(&c.Result.Totals))
	d.field("cost", c.costs())
	d.counts(&c.Result.Counts)
	d.field("notes", listed(c.Result.Notes))
	d.brokenTags("broken_tags", c.Result.Broken)
	d.brokenTags("unknown_tags", c.Result.Unknown)
	d.open("findings")
	for f := range c.Result.Findings {
		if !d.element(findingOf(&f)) {
			break
		}
	}
	d.shut()
	d.exit(c.Exit)
	return d.close()
}

// head writes the members with which every document begins.
func (c *Check) head(d *document, schema string) {
	d.field("schema", schema)
	d.field("tool", jsonTool{c.Version})
	d.field("target", c.Target)
	d.field("started", stamp(c.Started))
	d.field("finished", stamp(c.Finished))
}

// exit writes the member with which every document ends.
func (d *document) exit(e Exit) {
	d.field("exit", struct {
		Code int      `json:"code"`
		Bits []string `json:"bits"`
	}{int(e), e.Names()})
}

// document writes the members of one JSON object, in order. The first error is
// kept and ends the writing.
type document struct {
	out   *bufio.Writer
	buf   bytes.Buffer
	enc   *json.Encoder
	comma string
	err   error
}

func newDocument(w io.Writer) *document {
	d := &document{out: bufio.NewWriterSize(w, 64<<10), comma: "{"}
	d.enc = json.NewEncoder(&d.buf)
	d.enc.SetEscapeHTML(false)
	return d
}

// value writes v on the line that has been begun.
func (d *document) value(v any) {
	if d.err != nil {
		return
	}
	d.buf.Reset()
	if d.err = d.enc.Encode(v); d.err == nil {
		_, d.err = d.out.Write(bytes.TrimSuffix(d.buf.Bytes(), []byte("\n")))
	}
}

func (d *document) begin(name string) {
	d.out.WriteString(d.comma + `"` + name + `":`)
	d.comma = ",\n "
}

func (d *document) field(name string, v any) {
	d.begin(name)
	d.value(v)
}

// open begins a list, element adds to it and reports whether to go on, shut ends
// it.
func (d *document) open(name string) {
	d.begin(name)
	d.comma = "[\n  "
}

func (d *document) element(v any) bool {
	d.out.WriteString(d.comma)
	d.value(v)
	d.comma = ",\n  "
	return d.err == nil
}

func (d *document) shut() {
	if d.comma[0] == '[' {
		d.out.WriteByte('[')
	}
	d.out.WriteByte(']')
	d.comma = ",\n "
}

// counts writes the ids that were found, in their order.
func (d *document) counts(counts *[finding.NumKinds]finding.Count) {
	d.begin("counts")
	d.comma = "{"
	for id := range finding.Kinds {
		if n := counts[id]; n.Count > 0 || n.Young > 0 {
			d.begin(id.String())
			d.value(jsonCount{n.Count, n.Bytes, n.Young})
		}
	}
	if d.comma == "{" {
		d.out.WriteByte('{')
	}
	d.out.WriteByte('}')
	d.comma = ",\n "
}

func (d *document) close() error {
	d.out.WriteString("}\n")
	if d.err != nil {
		return d.err
	}
	return d.out.Flush()
}

// stamp writes a time; the zero time is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// listed makes nil an empty list.
func listed(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

package plan

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"regfsck/graph/finding"
)

// Schema is the name and version of the format of plan files.
const Schema = "regfsck.plan/1"

// Header is the first line of a plan file: what the plan was made for and how, so that it can
// be made again and compared.
type Header struct {
	Schema    string    `json:"schema"`
	Tool      string    `json:"tool"`    // its version
	Command   string    `json:"command"` // "fix", "rm" or "prune"
	Target    string    `json:"target"`
	Made      time.Time `json:"made"`
	Grace     string    `json:"grace"`   // durations in Go's notation
	Uploads   string    `json:"uploads"` // --uploads-older-than
	Untagged  bool      `json:"untagged,omitempty"`
	Thorough  bool      `json:"thorough,omitempty"`
	Verify    string    `json:"verify,omitempty"`
	Off       []string  `json:"left,omitempty"`      // ids that are not fixed
	OnRequest []string  `json:"also,omitempty"`      // ids that are fixed on request
	From      []string  `json:"from,omitempty"`      // the sources in order
	FromAll   bool      `json:"from_all,omitempty"`  // copy also what no tag is known to need
	Repo      []string  `json:"repo,omitempty"`      // with tag-from-source: the repositories whose tags are copied; none for all
	FromRepo  []string  `json:"from_repo,omitempty"` // OLD=NEW: other names of repositories in registries among the sources
	Until     time.Time `json:"until,omitzero"`      // when the lists or logs of images in use expire; zero for none

	// Kept are the tags that the rules of a prune keep, by repository in which it removes
	// something.
	Kept map[string][]string `json:"kept,omitempty"`
}

// Flags returns the flags of the command that make such a plan, as far as the header has them.
func (h *Header) Flags() []string {
	flags := []string{"--grace", h.Grace, "--uploads-older-than", h.Uploads}
	add := func(given bool, more ...string) {
		if given {
			flags = append(flags, more...)
		}
	}
	each := func(flag string, values []string) {
		for _, v := range values {
			flags = append(flags, flag, v)
		}
	}
	add(h.Untagged, "--untagged")
	add(h.Thorough, "--thorough")
	add(h.Verify == "all", "--verify", "all")
	add(len(h.Off) > 0, "--skip", strings.Join(h.Off, ","))
	add(len(h.OnRequest) > 0, "--also", strings.Join(h.OnRequest, ","))
	each("--from", h.From)
	add(h.FromAll, "--from-all")
	each("--repo", h.Repo)
	each("--from-repo", h.FromRepo)
	return flags
}

// footer is the last line of a plan file.
type footer struct {
	Steps  int    `json:"steps"`
	Bytes  int64  `json:"bytes"`
	ID     string `json:"id"`
	Digest string `json:"sha256"` // of all bytes before this line
}

// ErrEdited means that a plan file was changed or is incomplete.
var ErrEdited = errors.New("the plan was edited, or is cut short")

// ID returns the plan's id: twelve hex digits of the hash of its steps. Equal steps have
// equal ids.
func (p *Plan) ID() string {
	h := sha256.New()
	var line []byte
	for i := range p.Steps {
		line = append(p.Steps[i].appendJSON(line[:0]), '\n')
		h.Write(line)
	}
	return idOf(h)
}

func idOf(steps hash.Hash) string { return hex.EncodeToString(steps.Sum(nil)[:6]) }

// Bytes returns the bytes that the plan removes.
func (p *Plan) Bytes() (n int64) {
	for i := range p.Steps {
		if p.Steps[i].Op == Remove {
			n += p.Steps[i].Bytes
		}
	}
	return n
}

// Save writes a plan file: JSON lines with a header, the steps, and a footer with the digest
// of all before it.
func (p *Plan) Save(w io.Writer, h Header) error {
	h.Schema = Schema
	sum := sha256.New()
	buf := bufio.NewWriter(w)
	both := io.MultiWriter(buf, sum)
	if err := json.NewEncoder(both).Encode(h); err != nil {
		return err
	}
	var line []byte
	id := sha256.New()
	for i := range p.Steps {
		line = append(p.Steps[i].appendJSON(line[:0]), '\n')
		id.Write(line)
		if _, err := both.Write(line); err != nil {
			return err
		}
	}
	end := footer{len(p.Steps), p.Bytes(), idOf(id), hex.EncodeToString(sum.Sum(nil))}
	if err := json.NewEncoder(buf).Encode(end); err != nil {
		return err
	}
	return buf.Flush()
}

// Load reads a plan file and verifies it; if it was changed, the error is ErrEdited. A plan
// with kinds of findings of another version is finding.ErrUnknown.
func Load(r io.Reader) (*Plan, Header, error) {
	var h Header
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, h, err
	}
	head, rest, _ := bytes.Cut(all, []byte("\n"))
	if err := json.Unmarshal(head, &h); err != nil || h.Schema != Schema {
		if other := schemaOf(all); other != "" && other != Schema {
			return nil, h, fmt.Errorf("this is no plan but a document of another form, %s", other)
		}
		return nil, h, fmt.Errorf("not a plan: its first line hasn't the form %s", Schema)
	}
	last := bytes.LastIndexByte(bytes.TrimSuffix(rest, []byte("\n")), '\n') + 1
	var end footer
	if err := strict(rest[last:], &end); err != nil {
		return nil, h, fmt.Errorf("%w: its last line is no closing line", ErrEdited)
	}
	if sum := sha256.Sum256(all[:len(head)+1+last]); hex.EncodeToString(sum[:]) != end.Digest {
		return nil, h, fmt.Errorf("%w: its closing line has another digest", ErrEdited)
	}
	p := &Plan{}
	for line := range bytes.Lines(rest[:last]) {
		var s Step
		switch err := strict(line, &s); {
		case errors.Is(err, finding.ErrUnknown):
			return nil, h, fmt.Errorf("step %d: %w: apply the plan with the version that made it, or make it anew", len(p.Steps)+1, err)
		case err != nil:
			return nil, h, fmt.Errorf("%w: step %d: %v", ErrEdited, len(p.Steps)+1, err)
		}
		p.Steps = append(p.Steps, s)
	}
	if p.ID() != end.ID || len(p.Steps) != end.Steps {
		return nil, h, fmt.Errorf("%w: its closing line has another id", ErrEdited)
	}
	return p, h, nil
}

// schemaOf returns the schema name at the beginning of a document, "" for none.
func schemaOf(doc []byte) string {
	d := json.NewDecoder(bytes.NewReader(doc))
	for _, want := range []json.Token{json.Delim('{'), "schema"} {
		if got, err := d.Token(); err != nil || got != want {
			return ""
		}
	}
	name, _ := d.Token()
	text, _ := name.(string)
	return text
}

// strict decodes a line of exactly one JSON value without unknown fields.
func strict(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows it on its line")
	}
	return nil
}

// appendJSON appends the step as encoding/json does, in half the time and without allocations
// (BenchmarkStep): a plan has a line for each removed blob, and its id is their hash.
func (s *Step) appendJSON(b []byte) []byte {
	b = AppendField(b, `{"op":`, string(s.Op))
	b = AppendField(b, `,"kind":`, string(s.Kind))
	b = AppendField(b, `,"key":`, s.Key)
	b = AppendField(b, `,"finding":`, s.Finding.String())
	b = AppendText(b, `,"repository":`, s.Repository)
	b = AppendText(b, `,"tag":`, s.Tag)
	b = AppendText(b, `,"digest":`, s.Digest)
	b = AppendNumber(b, `,"bytes":`, s.Bytes)
	b = AppendText(b, `,"reason":`, s.Reason)
	b = AppendText(b, `,"upload":`, s.Upload)
	b = AppendText(b, `,"from":`, s.From)
	b = AppendTrue(b, `,"absent":`, s.Absent)
	b = AppendText(b, `,"content":`, s.Content.Coded())
	b = AppendNumber(b, `,"size":`, s.Size)
	b = AppendNumber(b, `,"modified":`, s.Modified)
	b = AppendTrue(b, `,"corrupt":`, s.Corrupt)
	b = AppendText(b, `,"body":`, s.Body.Coded())
	b = AppendNumber(b, `,"time":`, s.Time)
	return append(b, '}')
}

// AppendField appends a name, with the characters before its value, and a string as JSON.
func AppendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(value) // no string is an error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// AppendText is AppendField, except that it omits an empty string.
func AppendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return AppendField(b, name, value)
}

// AppendNumber appends a name and a number, except 0.
func AppendNumber(b []byte, name string, value int64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), value, 10)
}

// AppendTrue appends a name and true, except for false.
func AppendTrue(b []byte, name string, value bool) []byte {
	if !value {
		return b
	}
	return append(append(b, name...), "true"...)
}

// Fields reads, in the same order, what AppendField and the others have written, a quarter as
// long as encoding/json (BenchmarkRead of package journal). Anything else, also texts with
// escapes and other fields, makes it fail: encoding/json must read the line then.
type Fields struct {
	Rest   string // what wasn't read yet
	Failed bool
}

// Field reads a name, with the characters before its value, and a string.
func (f *Fields) Field(name string) string {
	if !f.Skip(name) {
		f.Failed = true
	}
	return f.text()
}

// Text is Field, except that the name may be missing: "".
func (f *Fields) Text(name string) string {
	if !f.Skip(name) {
		return ""
	}
	return f.text()
}

// Content is Text of what Text.Coded returned. It fails for base64.
func (f *Fields) Content(name string) Text {
	text := f.Text(name)
	f.Failed = f.Failed || strings.HasPrefix(text, inBase64)
	return Text(text)
}

// Number reads a name and a number; 0 if the name is missing.
func (f *Fields) Number(name string) int64 {
	if !f.Skip(name) {
		return 0
	}
	end := 0
	for end < len(f.Rest) && (f.Rest[end] == '-' || f.Rest[end] >= '0' && f.Rest[end] <= '9') {
		end++
	}
	n, err := strconv.ParseInt(f.Rest[:end], 10, 64)
	f.Failed = f.Failed || err != nil
	f.Rest = f.Rest[end:]
	return n
}

// True reports whether a name and true are next, and reads them.
func (f *Fields) True(name string) bool {
	if !f.Skip(name) {
		return false
	}
	f.Failed = !f.Skip("true") || f.Failed
	return true
}

// Skip reports whether s is next, and reads it.
func (f *Fields) Skip(s string) (ok bool) {
	f.Rest, ok = strings.CutPrefix(f.Rest, s)
	return ok
}

// text reads a string without escapes.
func (f *Fields) text() string {
	if !f.Skip(`"`) {
		f.Failed = true
		return ""
	}
	for i := range len(f.Rest) {
		switch c := f.Rest[i]; {
		case c == '"':
			text := f.Rest[:i]
			f.Rest = f.Rest[i+1:]
			return text
		case c < ' ' || c > '~' || c == '\\':
			f.Failed = true
			return ""
		}
	}
	f.Failed = true
	return ""
}

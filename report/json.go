package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"reflect"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/graph/finding"
)

// forMachines is an answer that has Document's form for machines, and perhaps no other.
type forMachines interface{ Fields() any }

// WriteJSON writes the answer for machines as one JSON document. Every field is there
// that its schema requires, a list is never null, a time is RFC 3339 in UTC or "".
// Lists stream: an element a line, in the order of the answer. The same answer gives
// the same bytes.
func WriteJSON(w io.Writer, d forMachines) error {
	j := &jsonWriter{out: bufio.NewWriterSize(w, 64<<10)}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	j.between = "{"
	j.members(reflect.ValueOf(d.Fields()))
	j.out.WriteString("}\n")
	if j.err != nil {
		return j.err
	}
	return j.out.Flush()
}

func jsonWriterOf(d Document) func(io.Writer) error {
	return func(w io.Writer) error { return WriteJSON(w, d) }
}

// jsonWriter writes the members of one JSON object, each on a line of its own. The
// first error is kept and ends the writing.
type jsonWriter struct {
	out     *bufio.Writer
	buf     bytes.Buffer
	enc     *json.Encoder
	between string // what stands before the next member
	err     error
}

// members writes the fields of a struct. A field that is a sequence of values is
// written as a list, one of names and values as an object, or, with the option inline,
// as members like the others.
func (j *jsonWriter) members(v reflect.Value) {
	for f := range fieldsOf(v.Type()) {
		of := v.FieldByIndex(f.Index)
		switch {
		case f.omitted && of.IsZero():
		case f.inline:
			j.named(of)
		default:
			j.begin(f.name)
			j.member(of)
		}
	}
}

func (j *jsonWriter) begin(name string) {
	j.out.WriteString(j.between + `"` + name + `":`)
	j.between = ",\n "
}

func (j *jsonWriter) member(v reflect.Value) {
	switch sequenceOf(v.Type()) {
	case ofValues:
		j.between = "[\n  "
		if !v.IsNil() {
			for e := range v.Seq() {
				j.out.WriteString(j.between)
				j.value(e)
				j.between = ",\n  "
				if j.err != nil {
					break
				}
			}
		}
		if j.between[0] == '[' {
			j.out.WriteByte('[')
		}
		j.out.WriteByte(']')
		j.between = ",\n "
	case ofMembers:
		j.between = "{"
		j.named(v)
		if j.between == "{" {
			j.out.WriteByte('{')
		}
		j.out.WriteByte('}')
		j.between = ",\n "
	default:
		j.value(v)
	}
}

// named writes the members that a sequence gives.
func (j *jsonWriter) named(v reflect.Value) {
	if v.IsNil() {
		return
	}
	for name, e := range v.Seq2() {
		j.begin(name.String())
		j.value(e)
	}
}

// value writes v on the line that has been begun.
func (j *jsonWriter) value(v reflect.Value) {
	if j.err != nil {
		return
	}
	j.buf.Reset()
	if j.err = j.enc.Encode(v.Interface()); j.err == nil {
		_, j.err = j.out.Write(bytes.TrimSuffix(j.buf.Bytes(), []byte("\n")))
	}
}

// jsonField is a field of a struct that is written.
type jsonField struct {
	reflect.StructField
	name    string
	omitted bool // where it is empty
	inline  bool // it is a sequence of names and values, each a member of its own
}

// fieldsOf are the fields of a struct that are written, in order; those of embedded
// structs in their place.
func fieldsOf(t reflect.Type) iter.Seq[jsonField] {
	return func(yield func(jsonField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			tag := f.Tag.Get("json")
			name, options, _ := strings.Cut(tag, ",")
			if f.Anonymous || !f.IsExported() || tag == "-" {
				continue
			}
			field := jsonField{f, name, strings.Contains(options, "omit"), options == "inline"}
			if !yield(field) {
				return
			}
		}
	}
}

// sequence says what kind of iterator a type is.
type sequence int

const (
	noSequence sequence = iota
	ofValues            // iter.Seq
	ofMembers           // iter.Seq2 of names and values
)

func sequenceOf(t reflect.Type) sequence {
	switch {
	case t.Kind() != reflect.Func:
		return noSequence
	case t.CanSeq2():
		return ofMembers
	}
	return ofValues
}

// mapped is a sequence of what of makes of each value.
func mapped[A, B any](all iter.Seq[A], of func(A) B) iter.Seq[B] {
	return func(yield func(B) bool) {
		for a := range all {
			if !yield(of(a)) {
				return
			}
		}
	}
}

// each is a sequence of what of makes of each element, which it is given where it
// stands.
func each[A, B any](all []A, of func(*A) B) iter.Seq[B] {
	return func(yield func(B) bool) {
		for i := range all {
			if !yield(of(&all[i])) {
				return
			}
		}
	}
}

// stamp writes a time; the zero time is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// listed makes nil an empty list.
func listed[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// The parts that documents have in common.

// headFields are those with which every document begins.
type headFields struct {
	Schema string     `json:"schema"`
	Tool   toolFields `json:"tool"`
	Target string     `json:"target"`
}

// timedFields are those of an answer to something that took its time.
type timedFields struct {
	headFields
	Started  string `json:"started"`
	Finished string `json:"finished"`
}

func timed(schema, version, target string, started, finished time.Time) timedFields {
	return timedFields{headFields{schema, toolOf(version), target}, stamp(started), stamp(finished)}
}

type exitFields struct {
	Code int      `json:"code"`
	Bits []string `json:"bits"`
}

func exitOf(e Exit) exitFields { return exitFields{int(e), e.Names()} }

type phaseFields struct {
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Unit    string  `json:"unit"`
	Seconds float64 `json:"seconds"`
}

type costFields struct {
	Seconds     float64       `json:"seconds"`
	Objects     int64         `json:"objects_listed"`
	Requests    backend.Cost  `json:"requests"`
	Calls       int64         `json:"calls"`
	BytesRead   int64         `json:"bytes_read"`
	LinksRead   int64         `json:"links_read"`
	LinksByETag int64         `json:"links_proven_by_etag"`
	Cached      int64         `json:"manifests_cached"`
	Phases      []phaseFields `json:"phases"`
}

func (c *Check) costs() costFields {
	cost := costFields{
		Seconds: c.Finished.Sub(c.Started).Seconds(), Objects: c.Objects,
		Requests: c.Cost, Calls: c.Cost.Calls, BytesRead: c.Cost.BytesRead,
		LinksRead: c.LinksRead, LinksByETag: c.LinksByETag, Cached: c.ManifestsCached,
		Phases: []phaseFields{},
	}
	for _, p := range c.Phases {
		cost.Phases = append(cost.Phases, phaseFields{p.Name, p.Count, p.Unit, p.Duration.Seconds()})
	}
	return cost
}

// askedFields is what a change asked of a store where that costs.
type askedFields struct {
	Requests backend.Cost `json:"requests"`
}

func askedOf(requests bool, c backend.Cost) *askedFields {
	if !requests {
		return nil
	}
	return &askedFields{c}
}

// countsOf are the kinds that were found, in their order.
func countsOf(counts *[finding.NumKinds]finding.Count) iter.Seq2[string, finding.Count] {
	return func(yield func(string, finding.Count) bool) {
		for id := range finding.Kinds {
			if n := counts[id]; (n.Count > 0 || n.InGrace > 0) && !yield(id.String(), n) {
				return
			}
		}
	}
}

type brokenFields struct {
	Ref      string         `json:"ref"`
	Because  []reasonFields `json:"because"`
	Accepted bool           `json:"accepted,omitempty"` // so is each finding that breaks it
}

// reasonFields are why a tag can't be pulled, or could not be judged.
type reasonFields struct {
	ID   string `json:"id"`   // of the finding, or "changed"
	Path string `json:"path"` // the finding's
}

func brokenOf(b finding.BrokenTag) brokenFields {
	return brokenFields{Ref: b.Ref(), Because: reasonsOf(b.Because)}
}

func reasonsOf(because []string) []reasonFields {
	all := []reasonFields{}
	for _, why := range because {
		id, path, _ := strings.Cut(why, " ")
		all = append(all, reasonFields{id, path})
	}
	return all
}

type findingFields struct {
	ID           string   `json:"id"`
	Severity     string   `json:"severity"`
	Path         string   `json:"path"`
	Repository   string   `json:"repository"`
	Tag          string   `json:"tag"`
	Digest       string   `json:"digest"`
	Bytes        int64    `json:"bytes"`
	Modified     string   `json:"modified"`
	Detail       string   `json:"detail"`
	Affects      []string `json:"affects"`
	AffectsCount int      `json:"affects_count"`
	Cure         string   `json:"cure"`
	From         string   `json:"from,omitempty"` // of a cure that copies a blob: the source
	Young        bool     `json:"young,omitempty"`

	Accepted *acceptedFields `json:"accepted,omitempty"` // by an entry of --accept
}

// acceptedFields are the entry by which a finding is accepted.
type acceptedFields struct {
	Reason string `json:"reason"`
	Until  string `json:"until"` // the last day, or ""
	File   string `json:"file"`
	Line   int    `json:"line"`
}

func findingOf(f finding.Finding) findingFields {
	is := findingFields{
		ID: f.Kind.String(), Severity: f.Kind.Severity().String(),
		Path: f.Path, Repository: f.Repository, Tag: f.Tag, Digest: f.Digest,
		Bytes: f.Bytes, Modified: stamp(f.Modified), Detail: f.Detail,
		Affects: listed(f.Affects), AffectsCount: f.AffectsCount,
		Cure: string(f.Cure), Young: f.InGrace,
	}
	if f.Blob != nil {
		is.From = f.Blob.From
	}
	return is
}

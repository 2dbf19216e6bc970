// Package document gives answers of the program to machines: it writes one as a JSON
// document, reads such a document back, and makes the JSON Schema of its form. All three
// go by the type of the document, so that none can say anything else.
//
// The type is a struct whose tags are those of encoding/json. Lists in it may be
// sequences: iter.Seq is a list, and iter.Seq2 of names and values an object, or with the
// option inline members like the others.
package document

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"reflect"
	"strings"
)

// Write writes a struct as one JSON document. A member that isn't omitted where it is
// empty is always there. Sequences stream: an element a line, in their order. The same
// values give the same bytes.
func Write(w io.Writer, fields any) error {
	j := &writer{out: bufio.NewWriterSize(w, 64<<10)}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	j.between = "{"
	j.members(reflect.ValueOf(fields))
	j.out.WriteString("}\n")
	if j.err != nil {
		return j.err
	}
	return j.out.Flush()
}

// writer writes the members of one JSON object, each on a line of its own. The
// first error is kept and ends the writing.
type writer struct {
	out     *bufio.Writer
	buf     bytes.Buffer
	enc     *json.Encoder
	between string // what is written before the next member
	err     error
}

// members writes the fields of a struct. A field that is a sequence of values is
// written as a list, one of names and values as an object, or, with the option inline,
// as members like the others.
func (j *writer) members(v reflect.Value) {
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

func (j *writer) begin(name string) {
	j.out.WriteString(j.between + `"` + name + `":`)
	j.between = ",\n "
}

func (j *writer) member(v reflect.Value) {
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
func (j *writer) named(v reflect.Value) {
	if v.IsNil() {
		return
	}
	for name, e := range v.Seq2() {
		j.begin(name.String())
		j.value(e)
	}
}

// value writes v on the line that has been begun.
func (j *writer) value(v reflect.Value) {
	if j.err != nil {
		return
	}
	j.buf.Reset()
	if j.err = j.enc.Encode(v.Interface()); j.err == nil {
		_, j.err = j.out.Write(bytes.TrimSuffix(j.buf.Bytes(), []byte("\n")))
	}
}

// field is a field of a struct that is written.
type field struct {
	reflect.StructField
	name    string
	omitted bool // where it is empty
	inline  bool // it is a sequence of names and values, each a member of its own
}

// fieldsOf are the fields of a struct that are written, in order; those of embedded
// structs in their place.
func fieldsOf(t reflect.Type) iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range reflect.VisibleFields(t) {
			tag := f.Tag.Get("json")
			name, options, _ := strings.Cut(tag, ",")
			if f.Anonymous || !f.IsExported() || tag == "-" {
				continue
			}
			is := field{f, name, strings.Contains(options, "omit"), options == "inline"}
			if !yield(is) {
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

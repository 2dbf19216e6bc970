// Package document writes an answer as a JSON document, reads it back, and generates its JSON
// Schema. All three use the type of the document, so that they can't differ.
//
// The type is a struct with tags of encoding/json. Lists may be sequences: iter.Seq is a
// list, and iter.Seq2 of names and values an object, or with the option inline further
// members.
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

// Write writes a struct as one JSON document. Only members with omitempty or omitzero are
// omitted. Sequences are streamed, an element a line, in order. The same values give the same
// bytes.
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

// writer writes the members of one JSON object, each on a line. It keeps the first error.
type writer struct {
	out     *bufio.Writer
	buf     bytes.Buffer
	enc     *json.Encoder
	between string // the separator before the next member
	err     error
}

// members writes the fields of a struct. A sequence of values is written as a list, one of
// names and values as an object, or with the option inline as members.
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

// named writes the members of a sequence.
func (j *writer) named(v reflect.Value) {
	if v.IsNil() {
		return
	}
	for name, e := range v.Seq2() {
		j.begin(name.String())
		j.value(e)
	}
}

// value writes v on the current line.
func (j *writer) value(v reflect.Value) {
	if j.err != nil {
		return
	}
	j.buf.Reset()
	if j.err = j.enc.Encode(v.Interface()); j.err == nil {
		_, j.err = j.out.Write(bytes.TrimSuffix(j.buf.Bytes(), []byte("\n")))
	}
}

// field is a field of a struct to write.
type field struct {
	reflect.StructField
	name    string
	omitted bool // if it is empty
	inline  bool // it is a sequence of names and values to write as members
}

// fieldsOf yields the fields of a struct to write, in order, with those of embedded structs.
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

// sequence is a kind of iterator.
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

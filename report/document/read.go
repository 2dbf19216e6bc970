package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Read fills the struct to from a document of Write. Unknown members are ignored: another
// version may have added them. A missing member that Write never omits is an error, and so is
// data after the document. Sequences can be iterated any number of times.
func Read(r io.Reader, to any) error {
	d := json.NewDecoder(r)
	v := reflect.ValueOf(to).Elem()
	members, inline := map[string]field{}, field{}
	for f := range fieldsOf(v.Type()) {
		if f.inline {
			inline = f
			continue
		}
		members[f.name] = f
	}
	var others pairs
	err := object(d, func(name string) error {
		f, known := members[name]
		switch {
		case known:
			delete(members, name)
			if err := member(d, v.FieldByIndex(f.Index)); err != nil {
				return fmt.Errorf("its member %q: %w", name, err)
			}
			return nil
		case inline.Type != nil:
			return others.add(d, name, inline.Type)
		}
		var unknown json.RawMessage
		return d.Decode(&unknown)
	})
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the document; a file holds one")
		}
	}
	if err != nil {
		return whole(err)
	}
	for f := range fieldsOf(v.Type()) {
		if _, missing := members[f.name]; missing && !f.omitted {
			return fmt.Errorf("it has no %q: it is damaged, or an earlier version wrote it", f.name)
		}
	}
	if inline.Type != nil && others != nil {
		v.FieldByIndex(inline.Index).Set(others.sequence(inline.Type))
	}
	return nil
}

// whole returns the error of an incomplete document for err, if it is one.
func whole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is cut short")
	}
	return err
}

// object calls each with the names of the members of the next object. each must read the
// value.
func object(d *json.Decoder, each func(name string) error) error {
	if err := expect(d, json.Delim('{')); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // always a string
		if err := each(name); err != nil {
			return err
		}
	}
	return expect(d, json.Delim('}'))
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v was found where %v is expected", t, want)
	}
	return nil
}

// member reads the value of a member.
func member(d *json.Decoder, to reflect.Value) error {
	switch t := to.Type(); sequenceOf(t) {
	case ofValues:
		all := reflect.MakeSlice(reflect.SliceOf(t.In(0).In(0)), 0, 0)
		if err := expect(d, json.Delim('[')); err != nil {
			return err
		}
		for d.More() { // the list may be as large as the document
			e := reflect.New(t.In(0).In(0))
			if err := d.Decode(e.Interface()); err != nil {
				return err
			}
			all = reflect.Append(all, e.Elem())
		}
		if err := expect(d, json.Delim(']')); err != nil {
			return err
		}
		to.Set(reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
			for i := range all.Len() {
				if !args[0].Call([]reflect.Value{all.Index(i)})[0].Bool() {
					break
				}
			}
			return nil
		}))
		return nil
	case ofMembers:
		var all pairs
		if err := object(d, func(name string) error { return all.add(d, name, t) }); err != nil {
			return err
		}
		to.Set(all.sequence(t))
		return nil
	}
	return d.Decode(to.Addr().Interface())
}

// pairs are names and values in order.
type pairs []pair

type pair struct{ name, value reflect.Value }

// add reads the value of a member; sequence is the type of the sequence.
func (p *pairs) add(d *json.Decoder, name string, sequence reflect.Type) error {
	yield := sequence.In(0)
	value := reflect.New(yield.In(1))
	if err := d.Decode(value.Interface()); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	*p = append(*p, pair{reflect.ValueOf(name).Convert(yield.In(0)), value.Elem()})
	return nil
}

func (p pairs) sequence(t reflect.Type) reflect.Value {
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
		for _, of := range p {
			if !args[0].Call([]reflect.Value{of.name, of.value})[0].Bool() {
				break
			}
		}
		return nil
	})
}

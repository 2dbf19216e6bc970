package document

import (
	"encoding"
	"encoding/json"
	"path"
	"reflect"
	"strings"
)

// Schema is the part of JSON Schema that documents need.
type Schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Not         *Schema            `json:"not,omitempty"`
	OneOf       []*Schema          `json:"oneOf,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Others      *Schema            `json:"additionalProperties,omitempty"` // nil: any, since fields may be added
	Items       *Schema            `json:"items,omitempty"`
	Defs        map[string]*Schema `json:"$defs,omitempty"`
}

// New returns the JSON Schema of the document name with one of the types forms; about is its
// description.
func New(name, about string, forms []any) *Schema {
	defs := map[string]*Schema{}
	whole := &Schema{
		Dialect: "https://json-schema.org/draft/2020-12/schema", Title: name,
		Description: "The document is " + about + ". Fields may be added to it; none changes its meaning. Times are RFC 3339 in UTC, or empty.", Defs: defs,
	}
	for _, form := range forms {
		of := structSchema(reflect.TypeOf(form), defs)
		of.Properties["schema"] = &Schema{Const: name}
		whole.OneOf = append(whole.OneOf, of)
	}
	if len(whole.OneOf) == 1 {
		one := whole.OneOf[0]
		whole.OneOf, whole.Type, whole.Required, whole.Properties, whole.Others = nil, one.Type, one.Required, one.Properties, one.Others
	}
	return whole
}

// structSchema returns the schema of an object; types that it refers to are added to defs.
func structSchema(t reflect.Type, defs map[string]*Schema) *Schema {
	s := &Schema{Type: "object", Properties: map[string]*Schema{}}
	for f := range fieldsOf(t) {
		if f.inline {
			s.Others = typeSchema(f.Type.In(0).In(1), defs)
			continue
		}
		of := typeSchema(f.Type, defs)
		of.Description = f.Tag.Get("about")
		s.Properties[f.name] = of
		if !f.omitted {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// typeSchema returns the schema of a value.
func typeSchema(t reflect.Type, defs map[string]*Schema) *Schema {
	switch sequenceOf(t) { // func(yield func(V) bool), or func(yield func(K, V) bool)
	case ofValues:
		return &Schema{Type: "array", Items: typeSchema(t.In(0).In(0), defs)}
	case ofMembers:
		return &Schema{Type: "object", Others: typeSchema(t.In(0).In(1), defs)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), defs)
	case reflect.Slice:
		return &Schema{Type: "array", Items: typeSchema(t.Elem(), defs)}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Struct:
		name := defName(t)
		if _, ok := defs[name]; !ok {
			defs[name] = nil // types may be recursive
			defs[name] = structSchema(t, defs)
		}
		return &Schema{Ref: "#/$defs/" + name}
	}
	if t.Implements(textMarshaler) {
		return &Schema{Type: "string"}
	}
	return &Schema{Type: "integer"}
}

// defName returns the name of a type in the schema, without the suffix Fields.
func defName(t reflect.Type) string {
	if name, ok := strings.CutSuffix(t.Name(), "Fields"); ok {
		return name
	}
	return path.Base(t.PkgPath()) + t.Name()
}

// Text returns the schema as a JSON document.
func (s *Schema) Text() []byte {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // it contains only strings
	}
	return append(text, '\n')
}

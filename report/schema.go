package report

import (
	"encoding"
	"encoding/json"
	"path"
	"reflect"
	"strings"

	"regfsck/graph/finding"
	"regfsck/report/accept"
)

// A document is named in its member "schema": "regfsck.check/1". Its form is the type
// of what Fields returns, and a schema is made from that type, so that it can't say
// anything else.

// documents are the forms of all documents, by the part of their name that people
// type. ls has one for each kind of list.
var documents = []struct {
	name, schema, about string
	forms               []any
}{
	{"check", Schema, "what regfsck check found", []any{checkFields{}}},
	{"shard", ShardSchema, "what regfsck check --shard hashed", []any{shardFields{}}},
	{"dry-run", PlanSchema, "a plan of regfsck fix, rm or prune", []any{planFields{}}},
	{"apply", RunSchema, "what became of a plan, or of an undo", []any{runFields{}}},
	{"runs", RunsSchema, "the runs that regfsck undo --list names", []any{runsFields{}}},
	{"purge", PurgeSchema, "what regfsck purge gave up", []any{purgeFields{}}},
	{"ls", ListSchema, "a list of regfsck ls: repositories, tags, broken tags, or one tag", []any{repositoriesFields{}, tagsFields{}, brokenTagsFields{}, treeFields{}}},
	{"diff", DiffSchema, "what two reports of regfsck check differ in", []any{diffFields{}}},
	{"error", FailureSchema, "why a command has no answer", []any{failureFields{}}},
	{"why", WhySchema, "what keeps a blob or a manifest", []any{whyFields{}}},
	{"version", VersionSchema, "the program itself", []any{programFields{}}},
	{"accept", accept.Schema, "the accepted findings of regfsck check --accept", []any{accept.File{}}},
}

// SchemaNames are the names of the documents that have a schema, each with what it is.
func SchemaNames() (all [][2]string) {
	for _, d := range documents {
		all = append(all, [2]string{d.name, d.about})
	}
	return all
}

// SchemaOf returns the JSON Schema of a document. ok is false where there is none of
// that name.
func SchemaOf(name string) (text []byte, ok bool) {
	for _, d := range documents {
		if d.name != name {
			continue
		}
		whole := documentSchema(d.schema, d.about, d.forms)
		if d.schema == accept.Schema {
			whole.ofPeople()
		}
		text, err := json.MarshalIndent(whole, "", "  ")
		if err != nil {
			panic(err) // it holds nothing but texts
		}
		return append(text, '\n'), true
	}
	return nil, false
}

// schema is a JSON Schema, as far as documents need it.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Not         *schema            `json:"not,omitempty"`
	OneOf       []*schema          `json:"oneOf,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Others      *schema            `json:"additionalProperties,omitempty"` // nil: anything, since fields may be added
	Items       *schema            `json:"items,omitempty"`
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

// ofPeople makes the schema one of the accepted findings, which people write: what it
// doesn't tell is refused.
func (s *schema) ofPeople() {
	entry := s.Defs["acceptEntry"]
	s.Description = "A YAML file of " + strings.TrimPrefix(s.Description[:strings.Index(s.Description, ". ")], "The document is ") + ": regfsck help accepted."
	s.Others, entry.Others = &schema{Not: &schema{}}, &schema{Not: &schema{}}
	for id := range finding.Kinds {
		if id.Severity() != finding.Fatal {
			entry.Properties["id"].Enum = append(entry.Properties["id"].Enum, id.String())
		}
	}
	entry.Properties["reason"].Pattern, entry.Properties["until"].Pattern = `\S`, `^\d{4}-\d{2}-\d{2}$`
	entry.OneOf = []*schema{{Required: []string{"key"}}, {Required: []string{"glob"}}}
}

func documentSchema(name, about string, forms []any) *schema {
	defs := map[string]*schema{}
	whole := &schema{
		Dialect: "https://json-schema.org/draft/2020-12/schema", Title: name,
		Description: "The document is " + about + ". Fields may be added to it; none changes its meaning. Times are RFC 3339 in UTC, or empty.", Defs: defs,
	}
	for _, form := range forms {
		of := structSchema(reflect.TypeOf(form), defs)
		of.Properties["schema"] = &schema{Const: name}
		whole.OneOf = append(whole.OneOf, of)
	}
	if len(whole.OneOf) == 1 {
		one := whole.OneOf[0]
		whole.OneOf, whole.Type, whole.Required, whole.Properties, whole.Others = nil, one.Type, one.Required, one.Properties, one.Others
	}
	return whole
}

// structSchema is the schema of an object; what it refers to goes to defs.
func structSchema(t reflect.Type, defs map[string]*schema) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}}
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

// typeSchema is the schema of a value.
func typeSchema(t reflect.Type, defs map[string]*schema) *schema {
	switch sequenceOf(t) { // func(yield func(V) bool), or func(yield func(K, V) bool)
	case ofValues:
		return &schema{Type: "array", Items: typeSchema(t.In(0).In(0), defs)}
	case ofMembers:
		return &schema{Type: "object", Others: typeSchema(t.In(0).In(1), defs)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), defs)
	case reflect.Slice:
		return &schema{Type: "array", Items: typeSchema(t.Elem(), defs)}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Struct:
		name := defName(t)
		if _, ok := defs[name]; !ok {
			defs[name] = nil // it may be a part of itself
			defs[name] = structSchema(t, defs)
		}
		return &schema{Ref: "#/$defs/" + name}
	}
	if t.Implements(textMarshaler) {
		return &schema{Type: "string"}
	}
	return &schema{Type: "integer"}
}

// defName names a type: those of this package by what they are the fields of.
func defName(t reflect.Type) string {
	if name, ok := strings.CutSuffix(t.Name(), "Fields"); ok {
		return name
	}
	return path.Base(t.PkgPath()) + t.Name()
}

// Package acceptfile reads and writes files of accepted findings in YAML. Package accept
// applies them.
package acceptfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/cmd/regfsck/yamldoc"
	"regfsck/report/accept"
)

// MaxBytes is the most bytes of a file, enough for 40,000 entries.
const MaxBytes = 8 << 20

// File is the content of a file.
type File struct {
	Target string // the store that it applies to; "" for any
	Rules  []accept.Rule
}

// Read reads a file. Entries that expired before now are marked. The error begins with name
// and, if it is about a line, the line: "accepted.yml, line 3: …".
func Read(r io.Reader, name string, now time.Time) (f File, err error) {
	body, err := yamldoc.ReadAll(r, MaxBytes)
	if err != nil {
		if len(body) > MaxBytes {
			err = fmt.Errorf("%w: let globs take the place of keys", err)
		}
		return f, fmt.Errorf("%s: %w", name, err)
	}
	p := parser{name: name, now: now}
	var doc yaml.Node
	err = yamldoc.Decode(body, &doc)
	switch {
	case err == nil && doc.Content[0].Tag == "!!null":
		err = yamldoc.ErrEmpty
	case err != nil && err != yamldoc.ErrEmpty && err != yamldoc.ErrMore:
		err = errors.New("no YAML: " + strings.TrimPrefix(backend.OneLine(err.Error()), "yaml: "))
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	p.file(doc.Content[0])
	return p.File, p.err
}

// parser parses nodes until the first error.
type parser struct {
	File
	name string
	now  time.Time
	err  error
}

// fail records an error at a line.
func (p *parser) fail(line int, format string, values ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s, line %d: %w", p.name, line, fmt.Errorf(format, values...))
	}
}

// file parses a document.
func (p *parser) file(n *yaml.Node) {
	form, entries := "", (*yaml.Node)(nil)
	p.mapping(n, "the file", []string{"schema", "target", "accepted"}, func(key string, value *yaml.Node) {
		switch key {
		case "schema":
			form = p.text(key, value)
		case "target":
			p.Target = p.text(key, value)
		default:
			entries = value
		}
	})
	switch {
	case p.err != nil:
	case form != accept.Schema:
		p.fail(n.Line, "schema is %q, and this program reads %s", form, accept.Schema)
	case entries == nil || entries.Kind != yaml.SequenceNode && entries.Tag != "!!null":
		p.fail(n.Line, "accepted is a list of entries, and there is none")
	case len(entries.Content) == 0:
		p.fail(entries.Line, "it has no entries; where nothing is accepted, leave out --accept")
	default:
		for _, entry := range entries.Content {
			p.entry(entry)
		}
	}
}

// entry parses one entry.
func (p *parser) entry(n *yaml.Node) {
	var e accept.Entry
	texts := map[string]*string{"id": &e.ID, "key": &e.Key, "glob": &e.Glob, "reason": &e.Reason, "until": &e.Until}
	p.mapping(n, "an entry", []string{"id", "key", "glob", "tags", "reason", "until"}, func(key string, value *yaml.Node) {
		text := p.text(key, value)
		if to := texts[key]; to != nil {
			*to = text
			return
		}
		var err error
		if e.Tags, err = strconv.Atoi(text); err != nil && p.err == nil {
			p.fail(value.Line, "tags is a number from 0, not %q", text)
		}
	})
	if p.err != nil {
		return
	}
	r, err := accept.NewRule(e, p.name, n.Line, p.now)
	if err != nil {
		p.fail(n.Line, "%w", err)
		return
	}
	p.Rules = append(p.Rules, r)
}

// mapping parses keys with their values. A repeated key is an error.
func (p *parser) mapping(n *yaml.Node, what string, keys []string, read func(key string, value *yaml.Node)) {
	if n = yamldoc.Content(n); n.Kind != yaml.MappingNode {
		p.fail(n.Line, "%s has lines like %s: …", what, keys[0])
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case !slices.Contains(keys, key.Value):
			p.fail(key.Line, "there is no key %q: %s has %s", key.Value, what, strings.Join(keys, ", "))
		case seen[key.Value]:
			p.fail(key.Line, "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			read(key.Value, n.Content[i+1])
		}
	}
}

// text returns a scalar as text.
func (p *parser) text(key string, n *yaml.Node) string {
	n = yamldoc.Content(n)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!binary":
		p.fail(n.Line, "%s is a text", key)
	case n.Tag == "!!null":
		p.fail(n.Line, "%s has no value: give one, or leave the key out", key)
	}
	return n.Value
}

// text is a string that is quoted in YAML unless it is plain: the encoder's form of tabs and
// line ends can't always be parsed again.
type text string

var plain = regexp.MustCompile(`^[0-9A-Za-z./_@:+ -]*$`)

// MarshalYAML implements yaml.Marshaler.
func (t text) MarshalYAML() (any, error) {
	if plain.MatchString(string(t)) {
		return string(t), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: string(t)}, nil
}

type fields struct {
	Schema  string  `yaml:"schema"`
	Target  text    `yaml:"target,omitempty"`
	Entries []entry `yaml:"accepted"`
}

type entry struct {
	ID     string `yaml:"id"`
	Key    text   `yaml:"key,omitempty"`
	Glob   text   `yaml:"glob,omitempty"`
	Tags   int    `yaml:"tags,omitempty"`
	Reason text   `yaml:"reason"`
	Until  string `yaml:"until,omitempty"`
}

// Write writes a file that Read accepts, for people to edit.
func Write(w io.Writer, f accept.File) error {
	file := fields{Schema: f.Schema, Target: text(f.Target)}
	for _, e := range f.Entries {
		file.Entries = append(file.Entries, entry{e.ID, text(e.Key), text(e.Glob), e.Tags, text(e.Reason), e.Until})
	}
	var b bytes.Buffer
	b.WriteString("# Accepted findings: known, and not counted by regfsck check --accept FILE.\n" +
		"# regfsck help accepted explains each line, regfsck schema accept prints the schema.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(file)
	if err == nil && b.Len() > MaxBytes {
		err = fmt.Errorf("it would be larger than %d bytes: choose fewer findings, or write entries with globs", MaxBytes)
	}
	if err == nil {
		_, err = w.Write(b.Bytes())
	}
	return err
}

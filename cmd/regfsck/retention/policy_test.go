package retention

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"regfsck/graph/retain"
)

// TestTheSchemaIsTheParsers: the schema accepts what the parser accepts.
func TestTheSchemaIsTheParsers(t *testing.T) {
	var schema struct {
		Defs struct {
			Names struct{ AnyOf []struct{ MinItems int } }
			Rule  struct {
				Properties map[string]struct {
					Description string
					Ref         string `json:"$ref"`
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(Schema(retain.Rows())), &schema); err != nil {
		t.Fatal(err)
	}
	if lists := schema.Defs.Names.AnyOf; len(lists) != 2 || lists[1].MinItems != 1 {
		t.Errorf("an empty list of names is as good as one: %+v", lists)
	}
	var names []string
	for name, p := range schema.Defs.Rule.Properties {
		names = append(names, name)
		if p.Description == "" {
			t.Errorf("%s isn't described", name)
		}
		at := slices.IndexFunc(retain.Rows(), func(row retain.Row) bool { return row.Name == name })
		if at >= 0 && retain.Rows()[at].Many() != (p.Ref == "#/$defs/names") {
			t.Errorf("%s takes several values here and one there", name)
		}
	}
	var known []string
	for _, row := range retain.Rows() {
		known = append(known, row.Name)
	}
	slices.Sort(names)
	slices.Sort(known)
	if !slices.Equal(names, known) {
		t.Errorf("the schema has %q, the parser %q", names, known)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("version: 1\nrules:\n- &a {keep-last: 3, repo: [a, b]}\n- *a\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePolicy(body, retain.Rows())
		if err == nil && (len(p) == 0 || p.Check() != nil) {
			t.Errorf("%q is read as %+v", body, p)
		}
	})
}

// TestInvalidPolicyFiles: invalid files are refused.
func TestInvalidPolicyFiles(t *testing.T) {
	for file, want := range map[string]string{
		"":                                   "empty",
		"version: 2\nrules: []":              "version",
		"version: 1":                         "no rules",
		"version: 1\nrules: 3":               "",
		"version: 1\nrulez: []":              "rulez",
		"version: 1\nrules: [3]":             "line 2",
		"version: 1\nrules: [{keep-lst: 3}]": "did you mean keep-last",
		"version: 1\nrules: [{keep-last: 3, keep-last: 4}]":      "twice",
		"version: 1\nrules: [{keep-last: [3]}]":                  "one value",
		"version: 1\nrules: [{keep-last: }]":                     "one value",
		"version: 1\nrules: [{repo: [], keep-last: 1}]":          "empty list",
		"version: 1\nrules: [{keep-list: [], keep-last: 1}]":     "empty list",
		"version: 1\nrules: [{keep-tags: {a: b}}]":               "list",
		"version: 1\nrules: [{keep-within: 3m}]":                 "mo",
		"version: 1\nrules: [{keep-last: 0}]":                    "keeps nothing",
		"version: 1\nrules: [{honour-expiry: soon}]":             "true or false",
		"version: 1\nrules: [{keep-semver: 3}]":                  "major:N",
		"version: 1\nrules: [{keep-list: \"\"}]":                 "name of a file",
		"version: 1\nrules: [{keep-list-age: 1d, keep-last: 1}]": "is the allowed age of a list",
		"version: 1\nrules: [{keep-last: 1}, {keep-last: 2}]":    "never reached",
		"version: 1\nrules: [{keep-last: 1}]\n---\nversion: 1":   "more than one document",
	} {
		if _, err := parsePolicy([]byte(file), retain.Rows()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", file, err)
		}
	}
}

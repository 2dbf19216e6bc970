// Package retention reads prune's files: the retention policy, and the lists and logs of
// images in use that its rules name. Package retain applies the rules.
//
// A policy file is YAML: rules for repositories, of which the first match applies. Unknown
// keys, empty lists and second documents are errors.
package retention

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"regfsck/backend"
	"regfsck/backend/words"
	"regfsck/cmd/regfsck/failure"
	"regfsck/cmd/regfsck/spelling"
	"regfsck/cmd/regfsck/yamldoc"
	"regfsck/graph/retain"
)

// policyFrame is the JSON Schema of a policy file without the keys of a rule.
//
//go:embed policy.schema.json
var policyFrame string

// Schema returns the JSON Schema of a policy file. The rows that select repositories come
// first.
func Schema(table []retain.Row) string {
	var keys []string
	for _, selects := range []bool{true, false} {
		for _, row := range table {
			if row.Selects == selects {
				keys = append(keys, fmt.Sprintf("        %q: {\"description\": %q, %s}", row.Name, row.Describe, valueForms[row.Form]))
			}
		}
	}
	return strings.Replace(policyFrame, `"properties": {}`, "\"properties\": {\n"+strings.Join(keys, ",\n")+"\n      }", 1)
}

// valueForms are the schemas of rows' values.
var valueForms = map[retain.Form]string{
	retain.FormCount:    `"$ref": "#/$defs/count"`,
	retain.FormDuration: `"$ref": "#/$defs/duration"`,
	retain.FormNames:    `"$ref": "#/$defs/names"`,
	retain.FormTime:     `"enum": ["pushed", "created"]`,
	retain.FormSwitch:   `"type": "boolean"`,
	retain.FormLevels:   `"type": "string", "pattern": "^(major|minor|patch):([0-9]{1,9}|all)(,(major|minor|patch):([0-9]{1,9}|all)){0,2}$"`,
}

// policyVersion is the version of the format.
const policyVersion = "1"

// maxPolicy is the most bytes of a policy file.
const maxPolicy = 1 << 20

// ReadPolicy reads a policy file. Its keys are the rows of the table.
func ReadPolicy(path string, table []retain.Row) (retain.Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failure.Misuse("", "--policy %w", failure.Unreadable(path, err))
	}
	defer f.Close()
	body, err := yamldoc.ReadAll(f, maxPolicy)
	var p retain.Policy
	if err == nil {
		p, err = parsePolicy(body, table)
	}
	if err != nil {
		return nil, failure.Misuse("regfsck prune --schema prints the form of a policy file.", "--policy %s: %w", path, err)
	}
	return p, nil
}

var inType = regexp.MustCompile(` not found in type .*`)

// complaint returns a parser's error on one line.
func complaint(err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return errors.New(backend.OneLine(err.Error()))
	}
	lines := make([]string, len(wrong.Errors))
	for i, line := range wrong.Errors {
		lines[i] = inType.ReplaceAllString(line, " is none that a policy has")
	}
	return errors.New(strings.Join(lines, "; "))
}

// parsePolicy parses the one document of a file, strictly.
func parsePolicy(body []byte, table []retain.Row) (retain.Policy, error) {
	var doc struct {
		Version string      `yaml:"version"`
		Rules   []yaml.Node `yaml:"rules"`
	}
	if err := yamldoc.Decode(body, &doc); err != nil {
		return nil, complaint(err)
	}
	if doc.Version != policyVersion {
		return nil, fmt.Errorf("version is %q, and this program reads %s", doc.Version, policyVersion)
	}
	if len(doc.Rules) == 0 {
		return nil, errors.New("it has no rules")
	}
	var p retain.Policy
	for i := range doc.Rules {
		rule, err := parseRule(&doc.Rules[i], table)
		if err != nil {
			return nil, fmt.Errorf("rule %d, %w", i+1, err)
		}
		p = append(p, rule)
	}
	return p, p.Check()
}

// parseRule parses one rule.
func parseRule(n *yaml.Node, table []retain.Row) (rule retain.Rule, err error) {
	if n = yamldoc.Content(n); n.Kind != yaml.MappingNode {
		return rule, fmt.Errorf("line %d: a rule is a list of keys like keep-last", n.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := slices.IndexFunc(table, func(row retain.Row) bool { return row.Name == key.Value })
		if at < 0 {
			names := words.All(table, func(row retain.Row) string { return row.Name })
			return rule, fmt.Errorf("line %d: there is no key %q%s", key.Line, key.Value, spelling.DidYouMean(key.Value, names, ""))
		}
		row := table[at]
		if seen[key.Value] {
			return rule, fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		values, err := yamldoc.Scalars(n.Content[i+1], row.Many())
		if err != nil {
			return rule, fmt.Errorf("line %d: %s (%s): %w", key.Line, row.Name, row.Value, err)
		}
		for _, v := range values {
			if err := row.Set(&rule, v); err != nil {
				return rule, fmt.Errorf("line %d: %s %s: %w", key.Line, key.Value, v, err)
			}
		}
	}
	return rule, nil
}

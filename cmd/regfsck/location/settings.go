package location

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"regfsck/cmd/regfsck/yamldoc"
)

// settings are the parts of a configuration that are read leniently: the file and, over it,
// the variables REGISTRY_<KEY>_<KEY>… with YAML values, as the registry takes them. The more
// specific variable wins.
type settings struct {
	top    *yaml.Node
	getenv func(name string) string
}

// at returns the node at a path of keys, and the variable that sets it; "" if the file does.
// List entries are addressed by number.
func (s settings) at(keys ...string) (n *yaml.Node, variable string) {
	n = s.top
	name := "REGISTRY"
	for _, k := range keys {
		n = value(n, k)
		name += "_" + strings.ToUpper(k)
		if v := s.getenv(name); v != "" {
			n, variable = ofVariable(v), name
		}
	}
	return yamldoc.Content(n), variable
}

// ofVariable parses a variable's value. A value that is no YAML is text.
func ofVariable(v string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(v), &doc); err != nil || len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	}
	return yamldoc.Content(&doc)
}

// text returns the scalar at a path of keys; "" if there is none.
func (s settings) text(keys ...string) string {
	n, _ := s.at(keys...)
	return scalar(n)
}

// said names a setting's variable or its path in the file.
func (s settings) said(variable, file string, keys ...string) string {
	if variable != "" {
		return variable
	}
	return strings.Join(keys, ".") + " in " + file
}

// database returns the setting that puts the registry's links into a database, as in GitLab's
// registry; unlessMarked reports whether it does so only for a store that isn't marked as one
// of files ("prefer"). An invalid value counts as true: no registry starts with it, and its
// meaning is unknown.
func (s settings) database(file string) (where string, unlessMarked bool) {
	keys := []string{"database", "enabled"}
	n, variable := s.at(keys...)
	if n == nil || n.Tag == "!!null" {
		return "", false
	}
	var enabled bool
	switch word := strings.ToLower(scalar(n)); {
	case word == "prefer":
		unlessMarked = true
	case word == "false", n.Decode(&enabled) == nil && !enabled: // quoted, it is text
		return "", false
	}
	return s.said(variable, file, keys...), unlessMarked
}

// harbor returns the setting that shows that Harbor runs the registry, with tags in its
// database; "" for none. A cache in Redis doesn't show it.
func (s settings) harbor(file string) string {
	for _, own := range []struct {
		value string
		keys  []string
	}{
		{"harbor-registry-basic-realm", []string{"auth", "htpasswd", "realm"}},
		{"harbor-registry", []string{"auth", "token", "service"}},
		{"harbor-token-issuer", []string{"auth", "token", "issuer"}},
	} {
		if n, variable := s.at(own.keys...); scalar(n) == own.value {
			return s.said(variable, file, own.keys...)
		}
	}
	for i := 0; ; i++ { // a registry notifies Harbor of pushes
		keys := []string{"notifications", "endpoints", strconv.Itoa(i)}
		endpoint, _ := s.at(keys...)
		keys = append(keys, "url")
		url, variable := s.at(keys...)
		if endpoint == nil && url == nil {
			return ""
		}
		if strings.HasSuffix(strings.TrimRight(scalar(url), "/"), "/service/notifications") {
			return s.said(variable, file, keys...)
		}
	}
}

// maxMerges is the greatest depth of merged mappings; a file can merge a mapping into itself.
const maxMerges = 16

// value returns the value of a key, or of an index in a list; nil if there is none. A
// mapping's own keys come before merged ones (<<).
func value(n *yaml.Node, key string) *yaml.Node { return valueWithin(n, key, maxMerges) }

func valueWithin(n *yaml.Node, key string, merges int) *yaml.Node {
	n = yamldoc.Content(n)
	switch {
	case n == nil || merges == 0:
		return nil
	case n.Kind == yaml.SequenceNode:
		if at, err := strconv.Atoi(key); err == nil && at >= 0 && at < len(n.Content) {
			return n.Content[at]
		}
		return nil
	case n.Kind != yaml.MappingNode:
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			if found := merged(yamldoc.Content(n.Content[i+1]), key, merges-1); found != nil {
				return found
			}
		}
	}
	return nil
}

// merged is valueWithin for the value of <<: a mapping or a list of mappings.
func merged(n *yaml.Node, key string, merges int) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return valueWithin(n, key, merges)
	}
	for _, one := range n.Content {
		if found := valueWithin(one, key, merges); found != nil {
			return found
		}
	}
	return nil
}

// scalar returns the text of a node; "" if it isn't a scalar or is null.
func scalar(n *yaml.Node) string {
	if n = yamldoc.Content(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

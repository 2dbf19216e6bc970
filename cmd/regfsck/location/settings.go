package location

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settings are the parts of a configuration that are read leniently: the file, and
// over it the variables REGISTRY_<KEY>_<KEY>…, whose values are YAML, as the
// registry takes them. The more specific variable wins.
type settings struct {
	top    *yaml.Node
	getenv func(name string) string
}

// at returns what stands at the end of a path of keys, and the variable that says
// so; "" where the file does. An entry of a list goes by its number.
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
	return content(n), variable
}

// ofVariable reads the value of a variable. What is no YAML is taken as text.
func ofVariable(v string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(v), &doc); err != nil || len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	}
	return content(&doc)
}

// text returns the scalar at the end of a path of keys; "" if there is none.
func (s settings) text(keys ...string) string {
	n, _ := s.at(keys...)
	return scalar(n)
}

// said names where a setting stands, for people.
func (s settings) said(variable, file string, keys ...string) string {
	if variable != "" {
		return variable
	}
	return strings.Join(keys, ".") + " in " + file
}

// database returns where the configuration says that the registry keeps its links
// in a database, as GitLab's can, and whether it says so only for a store that
// isn't marked as one of files ("prefer"). A value that nobody understands is taken
// for a yes: no registry starts with it, and what it was meant to say is unknown.
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

// harbor returns what of the configuration is Harbor's own, whose tags are in a
// database; "" for nothing. A cache in Redis is no sign: others have one too.
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
	for i := 0; ; i++ { // a registry reports its pushes to Harbor's core
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

// content returns the node that a document or an alias stands for.
func content(n *yaml.Node) *yaml.Node {
	for n != nil {
		switch {
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		default:
			return n
		}
	}
	return nil
}

// maxMerges bounds how deep mappings are merged into each other: a file can merge
// one into itself.
const maxMerges = 16

// value returns what stands under a key, or in a list under a number; nil if
// nothing does. What is merged in (<<) stands behind a mapping's own keys.
func value(n *yaml.Node, key string) *yaml.Node { return valueWithin(n, key, maxMerges) }

func valueWithin(n *yaml.Node, key string, merges int) *yaml.Node {
	n = content(n)
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
			if found := merged(content(n.Content[i+1]), key, merges-1); found != nil {
				return found
			}
		}
	}
	return nil
}

// merged is valueWithin for what is merged in: a mapping, or a list of them.
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

// scalar returns the text of a node; "" if it is no scalar, or null.
func scalar(n *yaml.Node) string {
	if n = content(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

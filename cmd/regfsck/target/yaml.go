package target

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

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

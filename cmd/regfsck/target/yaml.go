package target

import "go.yaml.in/yaml/v3"

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

// value returns what stands under a key; nil if nothing does.
func value(n *yaml.Node, key string) *yaml.Node {
	n = content(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// text returns the scalar at the end of a path of keys; "" if there is none.
func text(n *yaml.Node, keys ...string) string {
	for _, k := range keys {
		n = value(n, k)
	}
	if n = content(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

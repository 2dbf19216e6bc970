// Package yamldoc reads files with exactly one YAML document.
//
// Errors are clauses that follow the name of the file or key: "it is empty".
package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Errors of a file that doesn't have exactly one document.
var (
	ErrEmpty = errors.New("it is empty")
	ErrMore  = errors.New("it holds more than one document")
)

// ReadAll reads r to its end. More than max bytes are an error.
func ReadAll(r io.Reader, max int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(body)) > max {
		err = fmt.Errorf("it is larger than %d bytes", max)
	}
	return body, err
}

// Decode decodes the one document of a file. A field that into doesn't have is an error. The
// other errors are ErrEmpty, ErrMore and the parser's.
func Decode(body []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(body))
	d.KnownFields(true)
	if err := d.Decode(into); errors.Is(err, io.EOF) {
		return ErrEmpty
	} else if err != nil {
		return err
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return ErrMore
	}
	return nil
}

// Content returns the content of a document, the target of an alias, and any other node
// unchanged.
func Content(n *yaml.Node) *yaml.Node {
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

// Scalars returns a scalar, or the scalars of a list if many is set.
func Scalars(n *yaml.Node, many bool) ([]string, error) {
	n = Content(n)
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		return []string{n.Value}, nil
	case n.Kind == yaml.SequenceNode && many && len(n.Content) == 0:
		return nil, errors.New("it is an empty list: name something in it, or leave the key out")
	case n.Kind == yaml.SequenceNode && many:
		var all []string
		for _, item := range n.Content {
			one, err := Scalars(item, false)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	case many:
		return nil, errors.New("it takes a value or a list of them")
	}
	return nil, errors.New("it takes one value")
}

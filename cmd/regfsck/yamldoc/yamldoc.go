// Package yamldoc reads files that hold one YAML document, and the values in it.
//
// Errors are clauses that follow the name of the file or of the key: "it is empty".
package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// ErrEmpty and ErrMore are about a file that doesn't hold exactly one document.
var (
	ErrEmpty = errors.New("it is empty")
	ErrMore  = errors.New("it holds more than one document")
)

// ReadAll reads to the end of r. More than max bytes are an error.
func ReadAll(r io.Reader, max int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(body)) > max {
		err = fmt.Errorf("it is larger than %d bytes", max)
	}
	return body, err
}

// Decode reads the one document of a file into a value, which must have all fields that the
// document has. Besides ErrEmpty and ErrMore there are the parser's errors.
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

// Content returns the node that an alias stands for, and any other as it is.
func Content(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Scalars returns a value, or the values of a list where there may be several.
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

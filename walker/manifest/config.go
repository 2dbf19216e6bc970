package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ImageConfig is what an image's config says of the image.
type ImageConfig struct {
	Created                   time.Time // UTC; zero where it isn't said, or isn't a time
	OS, Architecture, Variant string    // "" likewise
}

// ParseConfig reads a config of at most MaxSize bytes. One of an artifact says
// nothing of all this, which is no error; a field of a wrong type says nothing
// either. An error means that the bytes are no JSON object.
func ParseConfig(body []byte) (ImageConfig, error) {
	var doc *struct{ Created, OS, Architecture, Variant text }
	if err := decode(body, &doc); err != nil {
		return ImageConfig{}, err
	}
	if doc == nil {
		return ImageConfig{}, errNoObject
	}
	c := ImageConfig{OS: string(doc.OS), Architecture: string(doc.Architecture), Variant: string(doc.Variant)}
	if at, err := time.Parse(time.RFC3339Nano, string(doc.Created)); err == nil && !at.IsZero() {
		c.Created = at.UTC()
	}
	return c, nil
}

// Platform returns "linux/arm64/v8" and the like; "" where no system is named.
func (c ImageConfig) Platform() string { return platform(c.OS, c.Architecture, c.Variant) }

func platform(parts ...string) (name string) {
	for _, part := range parts {
		if part == "" {
			break
		}
		if name != "" {
			name += "/"
		}
		name += part
	}
	return name
}

var errNoObject = errors.New("not a JSON object")

// decode reads a document. A field of a wrong type stays empty.
func decode(body []byte, doc any) error {
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(body, doc); {
	case errors.As(err, &wrong) && wrong.Field == "":
		return errNoObject
	case err != nil && wrong == nil:
		return fmt.Errorf("%w: %w", errNoObject, err)
	}
	return nil
}

// text is a string, or whatever else stands in its place, which is none.
type text string

// UnmarshalJSON takes in a string, and nothing of anything else.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

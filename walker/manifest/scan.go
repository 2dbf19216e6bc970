package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// scanner reads strict JSON from front to back: exactly what encoding/json
// takes. The first error sticks, and moves it to the end of the body, where
// every loop over members ends.
type scanner struct {
	body  []byte
	at    int // the next byte
	depth int
	err   error
	name  [len("schemaversion")]byte // of the last key
}

// stop notes the first error and ends the reading.
func (s *scanner) stop(err error) {
	if s.err == nil {
		s.err = err
	}
	s.at = len(s.body)
}

// failAt notes that the body is of no known form at that offset.
func (s *scanner) failAt(offset int, what string) {
	if s.err == nil {
		s.stop(fmt.Errorf("%w: %s at byte %d", ErrForm, what, offset))
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.body); s.at++ {
		switch c := s.body[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// here skips white space and returns the offset of the next byte.
func (s *scanner) here() int {
	s.peek()
	return s.at
}

// end expects the end of the body.
func (s *scanner) end() {
	if s.here() < len(s.body) {
		s.failAt(s.at, "something after the object's end")
	}
}

// open enters an object or an array, as bracket says.
func (s *scanner) open(bracket byte) {
	switch c := s.peek(); {
	case c != bracket && bracket == '{':
		s.failAt(s.at, "not an object")
	case c != bracket:
		s.failAt(s.at, "not an array")
	case s.depth == MaxDepth:
		s.stop(ErrTooDeep)
	default:
		s.at++
		s.depth++
	}
}

// more goes to the next member of an object or array, or leaves it at its
// closing bracket and is false. first is true before the first call.
func (s *scanner) more(first *bool, bracket byte) bool {
	c := s.peek()
	if c == bracket {
		s.at++
		s.depth--
		return false
	}
	if !*first && c != ',' {
		s.failAt(s.at, "neither a comma nor a closing bracket")
	} else if !*first {
		s.at++
	}
	*first = false
	return s.err == nil
}

// key reads a member's key and the colon. It returns the key with its ASCII
// letters in lower case if it can be one of those that matter, else nil; valid
// until the next call.
func (s *scanner) key() []byte {
	raw, plain := s.quoted()
	if s.peek() != ':' {
		s.failAt(s.at, "no colon after a key")
		return nil
	}
	s.at++
	if !plain {
		const escaped = len(`\u0000`)
		if len(raw) > escaped*len(s.name) {
			return nil
		}
		// The one letter outside ASCII that encoding/json takes for one inside
		// it, among those that the keys have.
		raw = []byte(strings.ReplaceAll(s.unquote(raw), "\u017f", "s"))
	}
	if len(raw) > len(s.name) {
		return nil
	}
	for i, c := range raw {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.name[i] = c
	}
	return s.name[:len(raw)]
}

// text reads a string; it is false for null and after an error. The bytes may
// be those of the body.
func (s *scanner) text() ([]byte, bool) {
	if s.null() {
		return nil, false
	}
	raw, plain := s.quoted()
	if !plain {
		raw = []byte(s.unquote(raw))
	}
	return raw, s.err == nil
}

// unquote returns the text of a string, given without its quotes.
func (s *scanner) unquote(raw []byte) (text string) {
	quoted := append(append([]byte{'"'}, raw...), '"')
	if err := json.Unmarshal(quoted, &text); err != nil {
		s.failAt(s.at-len(quoted), err.Error())
	}
	return text
}

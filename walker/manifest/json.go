package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"regfsck/walker/layout"
)

// scanner reads strict JSON from start to end: exactly what encoding/json accepts. The
// first error is kept and moves the scanner to the end of the body, where every loop over
// members ends.
type scanner struct {
	body  []byte
	at    int // the next byte
	depth int
	err   error
	name  [len("schemaversion")]byte // of the last key
}

// stop records the first error and ends the reading.
func (s *scanner) stop(err error) {
	if s.err == nil {
		s.err = err
	}
	s.at = len(s.body)
}

// failAt records that the body is malformed at that offset.
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

// open enters the object or array that begins with bracket.
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

// more moves to the next member of an object or array and returns true, or leaves it at its
// closing bracket and returns false. *first must be true before the first call.
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

// key reads a member's key and the colon. It returns the key with its ASCII letters in
// lower case, valid until the next call; nil for a key that is too long to be one of those
// used.
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
		// The one letter outside ASCII that encoding/json matches with an ASCII letter of
		// these keys.
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

// text reads a string; ok is false for null and after an error. The bytes may be part of
// the body.
func (s *scanner) text() (text []byte, ok bool) {
	if s.null() {
		return nil, false
	}
	raw, plain := s.quoted()
	if !plain {
		raw = []byte(s.unquote(raw))
	}
	return raw, s.err == nil
}

// unquote returns the text of a string whose quotes were removed.
func (s *scanner) unquote(raw []byte) (text string) {
	quoted := append(append([]byte{'"'}, raw...), '"')
	if err := json.Unmarshal(quoted, &text); err != nil {
		s.failAt(s.at-len(quoted), err.Error())
	}
	return text
}

// quoted reads a string and returns the bytes between its quotes. plain reports whether
// these are its text: ASCII without escapes.
func (s *scanner) quoted() (raw []byte, plain bool) {
	if s.peek() != '"' {
		s.failAt(s.at, "not a string")
		return nil, true
	}
	start := s.at + 1
	plain = true
	for at := start; at < len(s.body); at++ {
		switch c := s.body[at]; {
		case c == '"':
			s.at = at + 1
			return s.body[start:at], plain
		case c < ' ':
			s.failAt(at, "a control character in a string")
			return nil, true
		case c == '\\':
			plain = false
			length := escape(s.body[at:])
			if length == 0 {
				s.failAt(at, "an unknown escape in a string")
				return nil, true
			}
			at += length - 1
		case c >= 0x80:
			plain = false
		}
	}
	s.failAt(start-1, "a string without an end")
	return nil, true
}

// escape returns the length of the escape sequence at the start of b; 0 if it is invalid.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		const length = len(`\u0000`)
		if len(b) < length {
			return 0
		}
		for _, c := range b[2:length] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return length
	}
	return 0
}

// skip reads a value of any type.
func (s *scanner) skip() {
	switch s.peek() {
	case '{':
		s.open('{')
		for first := true; s.more(&first, '}'); {
			s.key()
			s.skip()
		}
	case '[':
		s.open('[')
		for first := true; s.more(&first, ']'); {
			s.skip()
		}
	case '"':
		s.quoted()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// null reads a null, and reports whether there was one.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.literal("null")
	return true
}

func (s *scanner) literal(word string) {
	if end := s.at + len(word); end <= len(s.body) && string(s.body[s.at:end]) == word {
		s.at = end
	} else {
		s.failAt(s.at, "not a value")
	}
}

// number reads a number and returns its text; it is empty after an error.
func (s *scanner) number() []byte {
	start := s.here()
	s.take("-")
	if whole := s.digits(); whole == 0 || whole > 1 && s.body[s.at-whole] == '0' {
		s.failAt(start, "not a value, or not one of the type wanted")
		return nil
	}
	if s.take(".") && s.digits() == 0 {
		s.failAt(start, "not a number")
	}
	if s.take("eE") {
		s.take("+-")
		if s.digits() == 0 {
			s.failAt(start, "not a number")
		}
	}
	return s.body[start:s.at]
}

// take reads one byte if it is in set, and reports whether it was.
func (s *scanner) take(set string) bool {
	for i := range len(set) {
		if s.at < len(s.body) && s.body[s.at] == set[i] {
			s.at++
			return true
		}
	}
	return false
}

// digits reads decimal digits and returns their number.
func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.body) && '0' <= s.body[s.at] && s.body[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// maxPairwise is how many references are compared with each other; for more a map is used.
const maxPairwise = 32

// unique removes references to the same digest in the same role, in place. The first is
// kept, with the size of the first that registries read, else of the first that has one.
func unique(refs []Ref) []Ref {
	if len(refs) > maxPairwise {
		return uniqueMany(refs)
	}
	kept := refs[:0]
next:
	for _, ref := range refs {
		for i := range kept {
			if kept[i].Role == ref.Role && kept[i].Digest == ref.Digest && kept[i].Other == ref.Other {
				kept[i].merge(ref)
				continue next
			}
		}
		kept = append(kept, ref)
	}
	return kept
}

func uniqueMany(refs []Ref) []Ref {
	type target struct {
		role   Role
		digest layout.Digest
		other  string
	}
	kept := refs[:0]
	places := make(map[target]int, len(refs))
	for _, ref := range refs {
		to := target{ref.Role, ref.Digest, ref.Other}
		if i, known := places[to]; known {
			kept[i].merge(ref)
			continue
		}
		places[to] = len(kept)
		kept = append(kept, ref)
	}
	return kept
}

func (r *Ref) merge(same Ref) {
	if r.Size < 0 || same.Read && !r.Read {
		r.Size = same.Size
	}
	r.Read = r.Read || same.Read
}

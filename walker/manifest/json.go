package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"regfsck/walker/layout"
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

// quoted reads a string and returns what stands between its quotes. It is plain
// if that is its text: ASCII without escapes.
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

// escape returns the length of the escape with which b begins, 0 if it is none.
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

// null reads a null, if there is one.
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

// number reads a number and returns its text, which is empty after an error.
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

// take reads one byte if it is one of those in set.
func (s *scanner) take(set string) bool {
	for i := range len(set) {
		if s.at < len(s.body) && s.body[s.at] == set[i] {
			s.at++
			return true
		}
	}
	return false
}

// digits reads decimal digits and returns how many they were.
func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.body) && '0' <= s.body[s.at] && s.body[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// few is how many references are compared each with each; more go into a map.
const few = 32

// unique removes what refers to the same digest in the same role, in place. The
// first stays, with the first size that was stated, or the first that a registry reads.
func unique(refs []Ref) []Ref {
	if len(refs) > few {
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

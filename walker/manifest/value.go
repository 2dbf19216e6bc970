package manifest

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

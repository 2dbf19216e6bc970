package s3

import (
	"bytes"
)

// space goes past white space.
func (s *scanner) space() {
	for s.at < len(s.buf) {
		switch s.buf[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// tag reads a tag. Names consist of letters and digits, and attributes are
// plain; comments, instructions and sections are none of them.
func (s *scanner) tag() (name []byte, k kind) {
	if s.at+1 >= len(s.buf) || s.buf[s.at] != '<' {
		return nil, broken
	}
	k = opening
	at := s.at + 1
	if s.buf[at] == '/' {
		k = closing
		at++
	}
	from := at
	for at < len(s.buf) && isWord(s.buf[at]) {
		at++
	}
	if name = s.buf[from:at]; len(name) == 0 || name[0] <= '9' || at == len(s.buf) {
		return nil, broken
	}
	if s.buf[at] == ' ' && k == opening {
		at = s.attributes(at)
	}
	if at+1 < len(s.buf) && s.buf[at] == '/' && k == opening {
		k = empty
		at++
	}
	if at >= len(s.buf) || s.buf[at] != '>' {
		return nil, broken
	}
	s.at = at + 1
	return name, k
}

// attributes returns where the attributes that begin at at end; the end of the
// page if they have no plain form.
func (s *scanner) attributes(at int) int {
	for at < len(s.buf) && s.buf[at] == ' ' {
		at++
		from := at
		for at < len(s.buf) && (isWord(s.buf[at]) || s.buf[at] == ':' && at > from && s.buf[at-1] != ':') {
			at++
		}
		if at == from || s.buf[from] <= '9' || s.buf[at-1] == ':' || !bytes.HasPrefix(s.buf[at:], []byte(`="`)) ||
			bytes.Count(s.buf[from:at], []byte(":")) > 1 {
			return len(s.buf)
		}
		at += 2
		n := bytes.IndexByte(s.buf[at:], '"')
		if n < 0 || !isPlain(s.buf[at:at+n]) {
			return len(s.buf)
		}
		at += n + 1
	}
	return at
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// skip goes past the rest of an element that doesn't matter. Elements inside it
// are plain only in an Owner.
func (s *scanner) skip(name []byte) bool {
	for owner := string(name) == "Owner"; ; {
		n := bytes.IndexByte(s.buf[s.at:], '<')
		if n < 0 {
			return false
		}
		if _, ok := s.text(s.buf[s.at : s.at+n]); !ok {
			return false
		}
		s.at += n
		inner, k := s.tag()
		switch {
		case k == closing:
			return bytes.Equal(inner, name)
		case !owner || k == opening && !s.skip(inner) || k == broken || string(inner) == "Owner":
			return false
		}
	}
}

// value reads the text of an element whose opening tag was read, and the
// closing tag.
func (s *scanner) value(name string) ([]byte, bool) {
	n := bytes.IndexByte(s.buf[s.at:], '<')
	if n < 0 {
		return nil, false
	}
	raw := s.buf[s.at : s.at+n]
	rest := s.buf[s.at+n:]
	if len(rest) < len(name)+3 || rest[1] != '/' || string(rest[2:2+len(name)]) != name || rest[2+len(name)] != '>' {
		return nil, false
	}
	s.at += n + len(name) + 3
	return s.text(raw)
}

// etag reads an ETag without its quotes, which come as entities.
func (s *scanner) etag() ([]byte, bool) {
	const quote = "&quot;"
	from := s.at
	if n := bytes.IndexByte(s.buf[from:], '<'); n >= 2*len(quote) {
		raw := s.buf[from : from+n]
		if string(raw[:len(quote)]) == quote && string(raw[n-len(quote):]) == quote {
			if inner := raw[len(quote) : n-len(quote)]; isPlain(inner) {
				s.at += n
				_, ok := s.value("ETag")
				return inner, ok
			}
		}
	}
	v, ok := s.value("ETag")
	return bytes.Trim(v, `"`), ok
}

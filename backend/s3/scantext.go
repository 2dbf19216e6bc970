package s3

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// plain says of each byte whether it may stand anywhere and means itself.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = true
	}
	for _, c := range []byte{'&', '<', ']', '"'} {
		t[c] = false
	}
	return t
}()

func isPlain(text []byte) bool {
	for _, c := range text {
		if !plain[c] {
			return false
		}
	}
	return true
}

// text returns what raw text means: raw itself where it is plain. False means
// that the decoder of the SDK should judge.
func (s *scanner) text(raw []byte) ([]byte, bool) {
	if isPlain(raw) {
		return raw, true
	}
	if bytes.IndexByte(raw, '\r') >= 0 || bytes.Contains(raw, []byte("]]>")) || !utf8.Valid(raw) {
		return nil, false
	}
	from := len(s.p.spare)
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if raw[0] == '&' {
			r, n = entity(raw)
		}
		if !isChar(r) {
			return nil, false
		}
		s.p.spare = utf8.AppendRune(s.p.spare, r)
		raw = raw[n:]
	}
	return s.p.spare[from:len(s.p.spare):len(s.p.spare)], true
}

// isChar reports whether XML may hold r; a carriage return has rules of its own
// and is left to others.
func isChar(r rune) bool {
	return r >= ' ' && r < 0xd800 || r == '\t' || r == '\n' || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}

// entity reads the entity at the beginning of raw, and returns its length. What
// isn't one is the character 0.
func entity(raw []byte) (r rune, length int) {
	n := bytes.IndexByte(raw[:min(len(raw), 12)], ';')
	if n < 2 {
		return 0, 1
	}
	switch name := string(raw[1:n]); name {
	case "amp":
		return '&', n + 1
	case "lt":
		return '<', n + 1
	case "gt":
		return '>', n + 1
	case "quot":
		return '"', n + 1
	case "apos":
		return '\'', n + 1
	default:
		return reference(name), n + 1
	}
}

// reference reads a character's number, as "#10" or "#xA"; 0 if it is none.
func reference(name string) (r rune) {
	base := rune(10)
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	if name = name[1:]; name[0] == 'x' {
		base, name = 16, name[1:]
	}
	for _, c := range []byte(name) {
		digit := base
		switch {
		case '0' <= c && c <= '9':
			digit = rune(c - '0')
		case 'a' <= c && c <= 'f':
			digit = rune(c-'a') + 10
		case 'A' <= c && c <= 'F':
			digit = rune(c-'A') + 10
		}
		if r = r*base + digit; digit >= base || r > utf8.MaxRune {
			return 0
		}
	}
	return r
}

// number reads a number of at most 18 digits.
func number(v []byte) (n int64, ok bool) {
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0 && len(v) <= 18
}

// moment reads a time like 2026-11-20T18:55:00.000Z, and returns its whole
// seconds in nanoseconds since 1970: other answers of a server have no more.
func moment(v []byte) (int64, bool) {
	if len(v) < 20 || len(v) > 30 || v[4] != '-' || v[7] != '-' || v[10] != 'T' || v[13] != ':' || v[16] != ':' || v[len(v)-1] != 'Z' {
		return 0, false
	}
	if len(v) > 20 {
		if _, ok := number(v[20 : len(v)-1]); !ok || v[19] != '.' {
			return 0, false
		}
	}
	var parts [6]int
	for i, at := range [...]int{0, 5, 8, 11, 14, 17} {
		n, ok := number(v[at : at+2+2*max(0, 1-i)])
		if !ok {
			return 0, false
		}
		parts[i] = int(n)
	}
	year, month, day := parts[0], time.Month(parts[1]), parts[2]
	t := time.Date(year, month, day, parts[3], parts[4], parts[5], 0, time.UTC)
	if year < 1970 || year > 2261 || t.Day() != day || t.Month() != month || t.Hour() != parts[3] || t.Minute() != parts[4] {
		return 0, false
	}
	return t.Unix() * int64(time.Second), true
}

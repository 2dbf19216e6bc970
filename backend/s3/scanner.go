package s3

import (
	"bytes"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"regfsck/backend/lister"
)

// scanner parses the XML of a page in one pass, without a token, a copy or an allocation for
// each key. It accepts only the plain form that servers send: for anything else it fails, and
// the SDK's decoder parses the page. So it need not be complete.
type scanner struct {
	p   *page
	buf []byte
	at  int
}

// scan fills in the page from p.Body. It reports false for an unknown form; the page is then
// invalid, and p.Body unchanged.
func (p *page) scan() bool {
	s := scanner{p: p, buf: p.Body}
	return s.prolog() && s.result() && s.end() && p.listing
}

// prolog skips the XML declaration, which may be missing.
func (s *scanner) prolog() bool {
	const declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	if n := len(declaration); len(s.buf) > n && s.buf[1] == '?' {
		if !bytes.EqualFold(s.buf[:n], []byte(declaration)) || !bytes.HasPrefix(s.buf, []byte("<?xml version")) {
			return false
		}
		s.at = n
	}
	s.space()
	return true
}

// kind is the kind of a tag.
type kind uint8

const (
	broken kind = iota // invalid, or not of the plain form
	opening
	closing
	empty
)

func (s *scanner) result() bool {
	if name, k := s.tag(); k != opening || string(name) != "ListBucketResult" {
		return false
	}
	for {
		s.space()
		name, k := s.tag()
		switch {
		case k == closing:
			return string(name) == "ListBucketResult"
		case k == empty && !known(name):
		case k != opening || !s.element(name):
			return false
		}
	}
}

// end reports whether only white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.buf)
}

// element parses one element of the result.
func (s *scanner) element(name []byte) bool {
	switch string(name) {
	case "Contents":
		return s.contents()
	case "CommonPrefixes":
		return s.commonPrefixes()
	case "IsTruncated":
		return s.truncated()
	case "NextContinuationToken":
		v, ok := s.value("NextContinuationToken")
		s.p.Token = string(v)
		return ok
	case "KeyCount", "MaxKeys":
		v, ok := s.value(string(name))
		n, digits := number(v)
		if string(name) == "KeyCount" {
			s.p.count = n
		}
		return ok && digits && n <= math.MaxInt32
	case "EncodingType":
		v, ok := s.value("EncodingType")
		s.p.encoded = string(v) == "url"
		return ok
	}
	return !known(name) && s.skip(name)
}

func (s *scanner) truncated() bool {
	v, ok := s.value("IsTruncated")
	s.p.Truncated, s.p.listing = string(v) == "true", true
	return ok && (s.p.Truncated || string(v) == "false")
}

// known reports whether the SDK's decoder, which ignores case, would use the content of an
// element with that name.
func known(name []byte) bool {
	for _, word := range [...]string{
		"Contents", "CommonPrefixes", "IsTruncated", "NextContinuationToken", "KeyCount", "MaxKeys", "EncodingType",
		"Key", "LastModified", "ETag", "Size", "StorageClass", "RestoreStatus",
	} {
		if len(name) == len(word) && strings.EqualFold(string(name), word) {
			return true
		}
	}
	return false
}

// contents parses one object.
func (s *scanner) contents() bool {
	o := lister.Object{Size: -1}
	dated := false
	for {
		s.space()
		name, k := s.tag()
		ok := true
		switch {
		case k == closing:
			s.p.Objects = append(s.p.Objects, o)
			return string(name) == "Contents" && len(o.Key) > 0 && o.Size >= 0 && dated
		case k == empty && !known(name):
		case k != opening:
			return false
		case string(name) == "Key":
			o.Key, ok = s.value("Key")
		case string(name) == "LastModified":
			var v []byte
			if v, ok = s.value("LastModified"); ok {
				o.Modified, ok = moment(v)
			}
			dated = true
		case string(name) == "ETag":
			o.ETag, ok = s.etag()
		case string(name) == "Size":
			var v []byte
			if v, ok = s.value("Size"); ok {
				o.Size, ok = number(v)
			}
		case string(name) == "StorageClass":
			var v []byte
			v, ok = s.value("StorageClass")
			o.Archived = archived(string(v))
		default:
			ok = !known(name) && s.skip(name)
		}
		if !ok {
			return false
		}
	}
}

func (s *scanner) commonPrefixes() bool {
	for found := false; ; {
		s.space()
		name, k := s.tag()
		switch {
		case k == closing:
			return string(name) == "CommonPrefixes" && found
		case k != opening || string(name) != "Prefix" || found:
			return false
		}
		found = true
		v, ok := s.value("Prefix")
		if !ok {
			return false
		}
		s.p.Prefixes = append(s.p.Prefixes, string(v))
	}
}

// space skips white space.
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

// tag parses a tag. Names consist of letters and digits, and attributes are plain; comments,
// instructions and sections are rejected.
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

// attributes returns the end of the attributes that begin at at; the end of the page if they
// aren't of the plain form.
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

// skip skips the rest of an element that isn't used. It accepts elements inside it only in an
// Owner.
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

// value parses the text of an element after its opening tag, and the closing tag.
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

// etag parses an ETag without its quotes, which are entities.
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

// plain reports for each byte whether it may occur anywhere and represents itself.
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

// text decodes raw text; it returns raw itself if that is plain. It reports false if the SDK's
// decoder should decide.
func (s *scanner) text(raw []byte) ([]byte, bool) {
	if isPlain(raw) {
		return raw, true
	}
	if bytes.IndexByte(raw, '\r') >= 0 || bytes.Contains(raw, []byte("]]>")) || !utf8.Valid(raw) {
		return nil, false
	}
	from := len(s.p.Spare)
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if raw[0] == '&' {
			r, n = entity(raw)
		}
		if !isChar(r) {
			return nil, false
		}
		s.p.Spare = utf8.AppendRune(s.p.Spare, r)
		raw = raw[n:]
	}
	return s.p.Spare[from:len(s.p.Spare):len(s.p.Spare)], true
}

// isChar reports whether XML may contain r. A carriage return, which has special rules, is
// left to the SDK's decoder.
func isChar(r rune) bool {
	return r >= ' ' && r < 0xd800 || r == '\t' || r == '\n' || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}

// entity decodes the entity at the beginning of raw, and returns its length; r is 0 if it is
// invalid.
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

// reference parses a character reference like "#10" or "#xA"; 0 if it is invalid.
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

// number parses a number of at most 18 digits.
func number(v []byte) (n int64, ok bool) {
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0 && len(v) <= 18
}

// moment parses a time like 2026-11-20T18:55:00.000Z, and returns its whole seconds in
// nanoseconds since 1970: other responses have only seconds.
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

package s3

import (
	"bytes"
	"math"
	"strings"
)

// scanner reads the XML of a page in one pass, without a token, a copy or an
// allocation for each key. It knows the plain form that servers send and no
// more: at anything it isn't sure of it gives up, and the SDK's decoder reads
// the page. So it is right where it is done, and never needs to be complete.
type scanner struct {
	p   *page
	buf []byte
	at  int
}

// scan fills in the page from p.body. False means that the form isn't known;
// nothing of the page may be used then, and p.body is as it was.
func (p *page) scan() bool {
	s := scanner{p: p, buf: p.body}
	return s.prolog() && s.result() && s.end() && p.listing
}

// prolog goes past the declaration, which may be missing.
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

// kind says what a tag is.
type kind uint8

const (
	broken kind = iota // or of no plain form
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

// end reports whether nothing follows but space.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.buf)
}

// element reads one element of the result.
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
		s.p.token = string(v)
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
	s.p.truncated, s.p.listing = string(v) == "true", true
	return ok && (s.p.truncated || string(v) == "false")
}

// known reports whether the SDK's decoder, which heeds no case, would take the
// name for one whose content it judges.
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

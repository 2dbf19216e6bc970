package manifest

import "regfsck/walker/layout"

// descriptor reads one descriptor. It may name several digests, if its key
// stands there several times.
func (p *parser) descriptor(at place) {
	from, start := len(p.refs), p.here()
	size, types, urls := int64(-1), 0, false
	var mediaType []byte
	var seen fields
	if !p.enter('{') {
		return
	}
	for first := true; p.more(&first, '}'); {
		switch name := p.key(); string(name) {
		case "digest":
			p.once(&seen, fieldDigest)
			p.digest()
		case "size":
			p.once(&seen, fieldSize)
			size = p.size(size)
		case "mediatype":
			p.once(&seen, fieldMediaType)
			if text, ok := p.word(); ok {
				mediaType = text
				types++
			}
		case "urls":
			p.once(&seen, fieldURLs)
			urls = p.filled() || urls
		case "data":
			p.inline = true
			p.skip()
		case "annotations":
			p.annotations()
		case "platform":
			p.platform()
		default:
			p.skip()
		}
	}
	if types > 1 {
		mediaType = nil // said twice, it says nothing
	}
	p.settle(p.refs[from:], start, roleOf(at, mediaType, urls), size)
}

func (p *parser) fsLayer() {
	from, start := len(p.refs), p.here()
	if !p.enter('{') {
		return
	}
	for first := true; p.more(&first, '}'); {
		if name := p.key(); string(name) == "blobsum" {
			p.digest()
		} else {
			p.skip()
		}
	}
	p.settle(p.refs[from:], start, Layer, -1)
}

// settle gives the references of one descriptor, which began at start, what was
// known only at its end.
func (p *parser) settle(refs []Ref, start int, role Role, size int64) {
	if len(refs) == 0 {
		p.strange(start, "a descriptor without a digest")
	}
	for i := range refs {
		refs[i].Role, refs[i].Size = role, size
	}
}

// digest reads a digest and appends a reference to it, without role and size.
func (p *parser) digest() {
	start := p.here()
	text, ok := p.word()
	if !ok {
		return
	}
	if ref, ok := refTo(text); ok {
		p.refs = append(p.refs, ref)
	} else {
		p.strange(start, "not a digest")
	}
}

// refTo returns a reference to a digest, without role and size.
func refTo[T string | []byte](digest T) (Ref, bool) {
	if d, ok := layout.ParseDigestBytes([]byte(digest)); ok {
		return Ref{Digest: d}, true
	}
	other := string(digest)
	_, _, ok := layout.SplitDigest(other)
	return Ref{Other: other}, ok
}

// size reads a size; null leaves the one known so far.
func (p *parser) size(known int64) int64 {
	switch c := p.peek(); {
	case c == 'n':
		p.odd = true
		p.skip()
		return known
	case c != '-' && (c < '0' || c > '9'):
		p.strange(p.at, "not a number")
		p.skip()
		return known
	}
	var size int64
	for _, c := range p.number() {
		const most = 1<<63 - 1
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 || size > (most-digit)/10 {
			p.odd = true
			return -1
		}
		size = size*10 + digit
	}
	return size
}

// filled reads an array of strings, and reports whether it has anything in it.
// What else is in it is odd.
func (p *parser) filled() bool {
	if p.null() {
		p.odd = true
		return false
	}
	if !p.enter('[') {
		return false
	}
	filled := false
	for first := true; p.more(&first, ']'); filled = true {
		p.odd = p.odd || p.peek() != '"'
		p.skip()
	}
	return filled
}

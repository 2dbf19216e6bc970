package manifest

import "regfsck/walker/layout"

// descriptor reads one descriptor. It may name several digests, if its key
// stands there several times.
func (p *parser) descriptor(at place) {
	from, start := len(p.refs), p.here()
	size, types, urls := int64(-1), 0, false
	var mediaType []byte
	p.open('{')
	for first := true; p.more(&first, '}'); {
		switch name := p.key(); string(name) {
		case "digest":
			p.digest()
		case "size":
			size = p.size(size)
		case "mediatype":
			if text, ok := p.text(); ok {
				mediaType = text
				types++
			}
		case "urls":
			urls = p.filled() || urls
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
	p.open('{')
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
		p.failAt(start, "a descriptor without a digest")
	}
	for i := range refs {
		refs[i].Role, refs[i].Size = role, size
	}
}

// digest reads a digest and appends a reference to it, without role and size.
func (p *parser) digest() {
	start := p.here()
	text, ok := p.text()
	if !ok {
		return
	}
	if len(p.refs) == MaxRefs {
		p.stop(ErrTooMany)
		return
	}
	if d, ok := layout.ParseDigestBytes(text); ok {
		p.refs = append(p.refs, Ref{Digest: d})
		return
	}
	other := string(text)
	if _, _, ok := layout.SplitDigest(other); !ok {
		p.failAt(start, "not a digest")
		return
	}
	p.refs = append(p.refs, Ref{Other: other})
}

// size reads a size; null leaves the one known so far.
func (p *parser) size(known int64) int64 {
	if p.null() {
		return known
	}
	var size int64
	for _, c := range p.number() {
		const most = 1<<63 - 1
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 || size > (most-digit)/10 {
			return -1
		}
		size = size*10 + digit
	}
	return size
}

// filled reads an array, and tells whether it has anything in it.
func (p *parser) filled() bool {
	if p.null() {
		return false
	}
	filled := false
	p.open('[')
	for first := true; p.more(&first, ']'); filled = true {
		p.skip()
	}
	return filled
}

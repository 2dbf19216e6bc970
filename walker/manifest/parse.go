package manifest

import (
	"encoding/json"
	"fmt"

	"regfsck/walker/layout"
)

var errNoReferences = fmt.Errorf("%w: it has no references where one could be expected", ErrForm)

// place is a field of a manifest that has references.
type place uint8

const (
	inConfig place = iota
	inLayers
	inManifests
	inBlobs
	inFSLayers
	inSubject
)

// parser parses one manifest. Everything that could be a reference is one. While irregular
// is false, encoding/json reads the same references.
type parser struct {
	scanner
	refs      []Ref
	mediaType string
	version   bool                // schemaVersion is 2
	seen      [inSubject + 1]bool // places that exist and aren't null
	spans     [inSubject + 1]span // their references, while irregular is false
	fields    fields              // of the outermost object
	inline    bool                // a descriptor has the field data
	irregular bool                // encoding/json may read the bytes differently
	form      error               // the first field that no manifest form allows, in valid JSON
}

// span is refs[from:to].
type span struct{ from, to int }

// fields is the set of relevant keys that an object had.
type fields uint16

const (
	fieldVersion fields = 1 << iota
	fieldMediaType
	fieldConfig
	fieldSubject
	fieldLayers
	fieldManifests
	fieldBlobs
	fieldDigest
	fieldSize
	fieldURLs
)

// once records a key. A key that occurs twice is irregular.
func (p *parser) once(in *fields, field fields) {
	p.irregular = p.irregular || *in&field != 0
	*in |= field
}

// malformed records that a value isn't allowed in a manifest; parsing continues.
func (p *parser) malformed(offset int, what string) {
	p.irregular = true
	if p.form == nil {
		p.form = fmt.Errorf("%w: %s at byte %d", ErrForm, what, offset)
	}
}

// enter enters the object or array that begins with bracket. Any other value is malformed,
// and is skipped.
func (p *parser) enter(bracket byte) bool {
	if p.peek() == bracket {
		p.open(bracket)
		return p.err == nil
	}
	what := "not an array"
	if bracket == '{' {
		what = "not an object"
	}
	p.malformed(p.at, what)
	p.skip()
	return false
}

// word reads a string. null is irregular, any other value is malformed.
func (p *parser) word() ([]byte, bool) {
	switch p.peek() {
	case '"':
		return p.text()
	case 'n':
		p.irregular = true
	default:
		p.malformed(p.at, "not a string")
	}
	p.skip()
	return nil, false
}

// manifest reads the outermost object.
func (p *parser) manifest() {
	p.open('{')
	for first := true; p.more(&first, '}'); {
		switch name := p.key(); string(name) {
		case "schemaversion":
			p.once(&p.fields, fieldVersion)
			p.schemaVersion()
		case "mediatype":
			p.once(&p.fields, fieldMediaType)
			if text, ok := p.word(); ok {
				p.mediaType = intern(text)
			}
		case "config":
			p.once(&p.fields, fieldConfig)
			p.one(inConfig)
		case "subject":
			p.one(inSubject)
		case "layers":
			p.once(&p.fields, fieldLayers)
			p.list(inLayers)
		case "manifests":
			p.once(&p.fields, fieldManifests)
			p.list(inManifests)
		case "blobs":
			p.list(inBlobs)
		case "fslayers":
			p.irregular = true
			p.list(inFSLayers)
		case "name": // of schema 1: see unchecked
			p.irregular = true
			p.skip()
		case "annotations":
			p.annotations()
		default:
			p.skip()
		}
	}
}

func (p *parser) schemaVersion() {
	start := p.here()
	p.skip()
	p.version = p.err == nil && string(p.body[start:p.at]) == "2"
	p.irregular = p.irregular || !p.version
}

func (p *parser) one(at place) {
	if p.null() {
		p.irregular = true
		return
	}
	p.seen[at] = true
	from := len(p.refs)
	p.descriptor(at)
	p.spans[at] = span{from, len(p.refs)}
}

func (p *parser) list(at place) {
	if p.null() {
		p.irregular = true
		return
	}
	if !p.enter('[') {
		return
	}
	p.seen[at] = true
	from := len(p.refs)
	for first := true; p.more(&first, ']'); {
		if at == inFSLayers {
			p.fsLayer()
		} else {
			p.descriptor(at)
		}
	}
	p.spans[at] = span{from, len(p.refs)}
}

// annotations reads an object of strings; anything else is irregular.
func (p *parser) annotations() {
	if p.peek() != '{' {
		p.irregular = true
		p.skip()
		return
	}
	p.open('{')
	for first := true; p.more(&first, '}'); {
		p.key()
		p.irregular = p.irregular || p.peek() != '"'
		p.skip()
	}
}

// platform reads an object of strings, two of whose fields may be arrays of strings;
// anything else is irregular.
func (p *parser) platform() {
	if p.peek() != '{' {
		p.irregular = true
		p.skip()
		return
	}
	p.open('{')
	for first := true; p.more(&first, '}'); {
		name := p.key()
		if lists := string(name) == "os.features" || string(name) == "features"; !lists || p.peek() != '[' {
			p.irregular = p.irregular || lists || p.peek() != '"'
			p.skip()
			continue
		}
		p.open('[')
		for first := true; p.more(&first, ']'); {
			p.irregular = p.irregular || p.peek() != '"'
			p.skip()
		}
	}
}

// read marks the references that registries read, after all were parsed. It returns the
// form in which registries read the manifest; 0 if they don't.
func (p *parser) read() Kind {
	image := p.seen[inConfig] || p.seen[inLayers]
	if p.irregular || image && p.seen[inManifests] {
		kind, refs := registryReads(p.body)
		p.refs = append(p.refs, refs...)
		return kind
	}
	kind := kindOf(p.mediaType)
	if p.mediaType == "" && p.seen[inManifests] {
		kind = Index
	} else if p.mediaType == "" && image {
		kind = Image
	}
	switch {
	case !p.version:
		return 0
	case kind == Index:
		p.mark(inManifests)
	case kind == Image:
		p.mark(inConfig)
		p.mark(inLayers)
	default:
		return 0
	}
	return kind
}

func (p *parser) mark(at place) {
	for i := p.spans[at].from; i < p.spans[at].to; i++ {
		p.refs[i].Read = true
	}
}

// result returns the parsed manifest or the error.
func (p *parser) result() (Manifest, error) {
	if p.err != nil {
		return Manifest{}, p.err
	}
	kind := p.read()
	if kind == 0 {
		if p.form != nil {
			return Manifest{}, p.form
		}
		kind = p.kind()
	}
	m := Manifest{Kind: kind, MediaType: p.mediaType, Inline: p.inline, Refs: unique(p.refs)}
	if !m.plausible() {
		return Manifest{}, errNoReferences
	}
	return m, nil
}

// kind returns the manifest's form; 0 if it has none.
func (p *parser) kind() Kind {
	has := [Artifact + 1]bool{
		Image:    p.seen[inConfig] || p.seen[inLayers],
		Index:    p.seen[inManifests],
		Schema1:  p.seen[inFSLayers],
		Artifact: p.seen[inBlobs],
	}
	declared := kindOf(p.mediaType)
	for _, kind := range [...]Kind{declared, Index, Schema1, Image, Artifact} {
		if has[kind] {
			return kind
		}
	}
	return declared
}

// descriptor reads one descriptor. It has several digests if the key occurs several times.
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
		mediaType = nil // of several, none counts
	}
	p.complete(p.refs[from:], start, roleOf(at, mediaType, urls), size)
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
	p.complete(p.refs[from:], start, Layer, -1)
}

// complete sets the role and the size of the references of one descriptor, which began at
// start.
func (p *parser) complete(refs []Ref, start int, role Role, size int64) {
	if len(refs) == 0 {
		p.malformed(start, "a descriptor without a digest")
	}
	for i := range refs {
		refs[i].Role, refs[i].Size = role, size
	}
}

// digest reads a digest and appends a reference to it, without Role and Size.
func (p *parser) digest() {
	start := p.here()
	text, ok := p.word()
	if !ok {
		return
	}
	if ref, ok := refTo(text); ok {
		p.refs = append(p.refs, ref)
	} else {
		p.malformed(start, "not a digest")
	}
}

// refTo returns a reference to a digest, without Role and Size.
func refTo[T string | []byte](digest T) (Ref, bool) {
	d, ok := layout.ParseAnyDigest(digest)
	return Ref{Digest: d.Digest, Other: d.Other}, ok
}

// size reads a size; for null it returns known.
func (p *parser) size(known int64) int64 {
	switch c := p.peek(); {
	case c == 'n':
		p.irregular = true
		p.skip()
		return known
	case c != '-' && (c < '0' || c > '9'):
		p.malformed(p.at, "not a number")
		p.skip()
		return known
	}
	var size int64
	for _, c := range p.number() {
		const most = 1<<63 - 1
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 || size > (most-digit)/10 {
			p.irregular = true
			return -1
		}
		size = size*10 + digit
	}
	return size
}

// filled reads an array of strings, and reports whether it has an element. An element of
// another type is irregular.
func (p *parser) filled() bool {
	if p.null() {
		p.irregular = true
		return false
	}
	if !p.enter('[') {
		return false
	}
	filled := false
	for first := true; p.more(&first, ']'); filled = true {
		p.irregular = p.irregular || p.peek() != '"'
		p.skip()
	}
	return filled
}

// MaxInline is the largest blob that InlineData returns, in bytes.
const MaxInline = 1 << 20

// Inline is a blob whose bytes are in a manifest.
type Inline struct {
	Digest layout.AnyDigest
	Data   []byte
}

// InlineData returns the blobs whose bytes are in a manifest, as the data of a descriptor
// (OCI 1.1). Each is verified: it has the size and the digest of its descriptor.
func InlineData(body []byte) (all []Inline) {
	type descriptor struct {
		Digest string
		Size   int64
		Data   []byte
	}
	var m struct {
		Config                   descriptor
		Layers, Manifests, Blobs []descriptor
	}
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	for _, list := range [][]descriptor{{m.Config}, m.Layers, m.Manifests, m.Blobs} {
		for _, d := range list {
			digest, ok := layout.ParseAnyDigest(d.Digest)
			if ok && d.Data != nil && int64(len(d.Data)) == d.Size && len(d.Data) <= MaxInline && digest.Proves(d.Data) {
				all = append(all, Inline{digest, d.Data})
			}
		}
	}
	return all
}

package manifest

import "fmt"

var errNoReferences = fmt.Errorf("%w: it has no references where one could be expected", ErrForm)

// place is a field of a manifest in which references stand.
type place uint8

const (
	inConfig place = iota
	inLayers
	inManifests
	inBlobs
	inFSLayers
	inSubject
)

// parser reads one manifest.
type parser struct {
	scanner
	refs      []Ref
	mediaType string
	seen      [inSubject + 1]bool // places that were there and not null
}

// manifest reads the outermost object.
func (p *parser) manifest() {
	p.open('{')
	for first := true; p.more(&first, '}'); {
		switch name := p.key(); string(name) {
		case "mediatype":
			if text, ok := p.text(); ok {
				p.mediaType = intern(text)
			}
		case "config":
			p.one(inConfig)
		case "subject":
			p.one(inSubject)
		case "layers":
			p.list(inLayers)
		case "manifests":
			p.list(inManifests)
		case "blobs":
			p.list(inBlobs)
		case "fslayers":
			p.list(inFSLayers)
		default:
			p.skip()
		}
	}
}

func (p *parser) one(at place) {
	if !p.null() {
		p.seen[at] = true
		p.descriptor(at)
	}
}

func (p *parser) list(at place) {
	if p.null() {
		return
	}
	p.seen[at] = true
	p.open('[')
	for first := true; p.more(&first, ']'); {
		if at == inFSLayers {
			p.fsLayer()
		} else {
			p.descriptor(at)
		}
	}
}

// kind returns the manifest's form, 0 if it has none.
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

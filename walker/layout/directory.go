package layout

import "strings"

// DirKind is what a directory of the layout is.
type DirKind uint8

// The kinds of directories, each with its path in the layout. All kinds below Repositories
// except DirRepositories have a Repository. A kind whose children have variable names is
// followed by the kind of these.
const (
	DirOther    DirKind = iota // not part of the layout, or below such a directory
	DirReserved                // an unknown directory whose name begins with "_", or below one
	DirStore                   // the store's root, key ""
	DirAbove                   // between DirStore and Root
	DirLocks                   // Locks
	DirRoot                    // Root

	DirBlobs      // blobs
	DirBlobAlg    // blobs/<alg>
	DirBlobPrefix // blobs/<alg>/<two hex digits>
	DirBlob       // blobs/<alg>/<two hex digits>/<hex>

	DirRepositories // repositories
	DirRepository   // repositories/a/b: a repository, or a directory above one

	DirManifests    // _manifests
	DirRevisions    // _manifests/revisions
	DirRevisionAlg  // _manifests/revisions/<alg>
	DirRevision     // _manifests/revisions/<alg>/<hex>
	DirSignatures   // _manifests/revisions/<alg>/<hex>/signatures
	DirSignatureAlg // _manifests/revisions/<alg>/<hex>/signatures/<alg>
	DirSignature    // _manifests/revisions/<alg>/<hex>/signatures/<alg>/<hex>

	DirTags         // _manifests/tags
	DirTag          // _manifests/tags/<tag>
	DirNoTag        // _manifests/tags/<invalid tag name>: a tag's only if it has current or index
	DirTagCurrent   // _manifests/tags/<tag>/current
	DirHistory      // _manifests/tags/<tag>/index
	DirHistoryAlg   // _manifests/tags/<tag>/index/<alg>
	DirHistoryEntry // _manifests/tags/<tag>/index/<alg>/<hex>

	DirLayers        // _layers
	DirLayerAlg      // _layers/<alg>
	DirLayer         // _layers/<alg>/<hex>
	DirTarsum        // _layers/tarsum
	DirTarsumVersion // _layers/tarsum/<version>
	DirTarsumAlg     // _layers/tarsum/<version>/<alg>
	DirTarsumEntry   // _layers/tarsum/<version>/<alg>/<hex>

	DirUploads      // _uploads
	DirUpload       // _uploads/<id>
	DirNoUpload     // _uploads/<invalid id>: an upload's only if it has data, startedat or hashstates
	DirHashstates   // _uploads/<id>/hashstates
	DirHashstateAlg // _uploads/<id>/hashstates/<alg>
)

// Directory is the parsed key of a directory: the names in its path; the others are empty.
// DirOther and DirReserved have the names of the path's part that is in the layout.
type Directory struct {
	Kind               DirKind
	Repository         string
	Tag                string
	Algorithm          string
	Hex                string
	Prefix             string // below blobs: the two hex digits
	Version            string // of a tarsum: "v1"
	SignatureAlgorithm string
	SignatureHex       string
	Upload             string // the upload's id, valid or not
	NoTag              string // of DirNoTag: the invalid name
}

// ParseDirectory parses the key of a directory, given without a trailing slash. It never
// fails: a directory outside the layout is DirOther, without names if a component is empty,
// "." or "..". It allocates nothing; the fields are substrings of dir.
func ParseDirectory(dir string) Directory {
	f := Directory{Kind: DirStore}
	for rest, end := dir, 0; rest != ""; end++ {
		var name string
		var more bool
		name, rest, more = strings.Cut(rest, "/")
		if !isComponent(name) || more && rest == "" {
			return Directory{}
		}
		end += len(name)
		f.enter(dir[:end], name)
	}
	return f
}

// known reports whether f is a directory in which a registry may write.
func (f *Directory) known() bool {
	switch f.Kind {
	case DirOther, DirReserved, DirAbove, DirNoTag, DirNoUpload:
		return false
	}
	return true
}

// Stray returns the name in a foreign file's key that isn't part of the layout: the file's
// own, or that of the topmost directory above it that no registry makes.
func Stray(key string) string {
	start := 0
	for i := range len(key) {
		if key[i] != '/' {
			continue
		}
		if !ParseDirectory(key[:i]).Known() {
			return key[start:i]
		}
		start = i + 1
	}
	return key[start:]
}

// IsUpload reports whether dir can be the directory of an upload.
func IsUpload(dir string) bool {
	kind := ParseDirectory(dir).Kind
	return kind == DirUpload || kind == DirNoUpload
}

// Known reports whether f is a directory of the layout, or above one.
func (f Directory) Known() bool { return f.Kind == DirAbove || f.known() }

// isComponent reports whether s can be one component of a key.
func isComponent(s string) bool { return s != "" && s != "." && s != ".." }

// enter replaces f by its child name, whose key is path.
func (f *Directory) enter(path, name string) {
	switch f.Kind {
	case DirOther, DirReserved:
	case DirStore, DirAbove:
		f.Kind = above(path)
	case DirRepositories, DirRepository:
		f.enterRepository(path, name)
	case DirTags:
		f.enterTag(name)
	case DirNoTag:
		if f.Kind = f.fixed(name); f.Kind != DirOther {
			f.Tag = f.NoTag
		}
		f.NoTag = ""
	case DirNoUpload:
		f.Kind = f.fixed(name)
	default:
		if kind := f.fixed(name); kind != DirOther {
			f.Kind = kind
		} else if name[0] == '_' {
			f.Kind = DirReserved
		} else {
			f.Kind = f.variable(name)
		}
	}
}

// above returns the kind of a directory outside Root.
func above(path string) DirKind {
	switch path {
	case Root:
		return DirRoot
	case Locks:
		return DirLocks
	case "docker", "docker/registry":
		return DirAbove
	}
	return DirOther
}

func (f *Directory) enterRepository(path, name string) {
	switch {
	case name[0] != '_':
		f.Kind, f.Repository = DirRepository, path[len(Repositories)+1:]
	case f.Kind == DirRepositories:
		f.Kind = DirReserved
	case name == "_manifests":
		f.Kind = DirManifests
	case name == "_layers":
		f.Kind = DirLayers
	case name == "_uploads":
		f.Kind = DirUploads
	default:
		f.Kind = DirReserved
	}
}

// enterTag replaces a repository's directory of tags by its child name. File systems and
// file managers make directories of their own there, under names that no tag has.
func (f *Directory) enterTag(name string) {
	if ValidTag(name) {
		f.Kind, f.Tag = DirTag, name
	} else {
		f.Kind, f.NoTag = DirNoTag, name
	}
}

// fixed returns the kind of f's child if the layout has a directory of that name, else
// DirOther.
func (f *Directory) fixed(name string) DirKind {
	switch {
	case f.Kind == DirRoot && name == "blobs":
		return DirBlobs
	case f.Kind == DirRoot && name == "repositories":
		return DirRepositories
	case f.Kind == DirManifests && name == "revisions":
		return DirRevisions
	case f.Kind == DirManifests && name == "tags":
		return DirTags
	case f.Kind == DirRevision && name == "signatures":
		return DirSignatures
	case (f.Kind == DirTag || f.Kind == DirNoTag) && name == "current":
		return DirTagCurrent
	case (f.Kind == DirTag || f.Kind == DirNoTag) && name == "index":
		return DirHistory
	case f.Kind == DirLayers && name == "tarsum":
		return DirTarsum
	case (f.Kind == DirUpload || f.Kind == DirNoUpload) && name == "hashstates":
		return DirHashstates
	}
	return DirOther
}

// variable returns the kind of f's child whose name the layout restricts but doesn't fix, and
// sets the field of that name; DirOther if the name isn't valid.
func (f *Directory) variable(name string) DirKind {
	var field *string
	valid := true
	switch f.Kind {
	case DirBlobs, DirRevisions, DirHistory, DirLayers, DirTarsumVersion, DirHashstates:
		field, valid = &f.Algorithm, isAlgorithm(name)
	case DirRevisionAlg, DirHistoryAlg, DirLayerAlg, DirTarsumAlg:
		field, valid = &f.Hex, isHexOf(f.Algorithm, name)
	case DirBlobAlg:
		field, valid = &f.Prefix, len(name) == 2 && nibbles[name[0]] <= 0xf && nibbles[name[1]] <= 0xf
	case DirBlobPrefix:
		field, valid = &f.Hex, len(name) > 2 && name[:2] == f.Prefix && isHexOf(f.Algorithm, name)
	case DirSignatures:
		field, valid = &f.SignatureAlgorithm, isAlgorithm(name)
	case DirSignatureAlg:
		field, valid = &f.SignatureHex, isHexOf(f.SignatureAlgorithm, name)
	case DirTarsum:
		field = &f.Version
	case DirUploads:
		if f.Upload = name; !ValidUpload(name) {
			return DirNoUpload
		}
		return DirUpload
	default:
		return DirOther
	}
	if !valid {
		return DirOther
	}
	*field = name
	return f.Kind + 1
}

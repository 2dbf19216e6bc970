package layout

import (
	"errors"
	"strings"
)

// Kind is what a file of the layout is.
type Kind uint8

// The kinds of files. The zero Kind is none of them.
const (
	Blob          Kind = iota + 1 // Algorithm, Hex
	Revision                      // Repository, Algorithm, Hex
	TagCurrent                    // Repository, Tag
	TagHistory                    // Repository, Tag, Algorithm, Hex
	LayerLink                     // Repository, Algorithm, Hex
	Tarsum                        // Repository, Version, Algorithm, Hex; 2.0 to 2.2
	Signature                     // Repository, Algorithm, Hex, SignatureAlgorithm, SignatureHex; 2.0 to 2.4
	UploadData                    // Repository, Upload
	UploadStarted                 // Repository, Upload
	UploadHash                    // Repository, Upload, Algorithm, and the offset in Rest
	Temp                          // Repository where there is one, and the whole key in Rest
	Lock                          // the file's name in Rest
	Scheduler
)

// Key is the parsed key of a file. Its Kind determines which fields are set; the others are
// empty. Parse sets them to substrings of its argument.
type Key struct {
	Kind               Kind
	Repository         string
	Tag                string
	Algorithm          string
	Hex                string
	Version            string // of a Tarsum: "v1"
	SignatureAlgorithm string
	SignatureHex       string
	Upload             string // the upload's id
	Rest               string
}

// Digest returns the digest that the path names; false if it names none, or one that is no
// sha256 of bytes (a tarsum, another algorithm).
func (k Key) Digest() (Digest, bool) {
	if k.Algorithm != sha256Name || k.Kind == Tarsum {
		return Digest{}, false
	}
	return ParseHex(k.Hex)
}

// String returns the key as text; "" for a Key without a Kind.
func (k Key) String() string {
	var buf [512]byte
	return string(k.Append(buf[:0]))
}

// Append appends the key as text to dst.
func (k Key) Append(dst []byte) []byte {
	switch k.Kind {
	case Blob:
		return join(dst, Blobs, k.Algorithm, k.Hex[:min(2, len(k.Hex))], k.Hex, "data")
	case Revision:
		return join(k.appendRepository(dst), "/_manifests/revisions", k.Algorithm, k.Hex, "link")
	case TagCurrent:
		return join(k.appendTag(dst), "/current/link")
	case TagHistory:
		return join(k.appendTag(dst), "/index", k.Algorithm, k.Hex, "link")
	case LayerLink:
		return join(k.appendRepository(dst), "/_layers", k.Algorithm, k.Hex, "link")
	case Tarsum:
		return join(k.appendRepository(dst), "/_layers/tarsum", k.Version, k.Algorithm, k.Hex, "link")
	case Signature:
		return join(k.appendRepository(dst), "/_manifests/revisions", k.Algorithm, k.Hex,
			"signatures", k.SignatureAlgorithm, k.SignatureHex, "link")
	case UploadData:
		return join(k.appendUpload(dst), "/data")
	case UploadStarted:
		return join(k.appendUpload(dst), "/startedat")
	case UploadHash:
		return join(k.appendUpload(dst), "/hashstates", k.Algorithm, k.Rest)
	case Temp:
		return append(dst, k.Rest...)
	case Lock:
		return join(dst, Locks, k.Rest)
	case Scheduler:
		return append(dst, SchedulerKey...)
	}
	return dst
}

func (k Key) appendRepository(dst []byte) []byte {
	return join(dst, Repositories, k.Repository)
}

func (k Key) appendTag(dst []byte) []byte {
	return join(k.appendRepository(dst), "/_manifests/tags", k.Tag)
}

func (k Key) appendUpload(dst []byte) []byte {
	return join(k.appendRepository(dst), "/_uploads", k.Upload)
}

// join appends parts to dst with slashes between them.
func join(dst []byte, parts ...string) []byte {
	for i, part := range parts {
		if i > 0 {
			dst = append(dst, '/')
		}
		dst = append(dst, part...)
	}
	return dst
}

// BlobKey returns the key of a blob's bytes.
func BlobKey(d Digest) string {
	return Key{Kind: Blob, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// BlobDigest returns the digest in a blob's key; false if that isn't a blob's key.
func BlobDigest(key string) (AnyDigest, bool) {
	k, err := Parse(key)
	if err != nil || k.Kind != Blob {
		return AnyDigest{}, false
	}
	return ParseAnyDigest(k.Algorithm + ":" + k.Hex)
}

// RevisionKey returns the key of the link that lets repo serve the manifest d.
func RevisionKey(repo string, d Digest) string {
	return Key{Kind: Revision, Repository: repo, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// LayerKey returns the key of the link that lets repo serve the blob d.
func LayerKey(repo string, d Digest) string {
	return Key{Kind: LayerLink, Repository: repo, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// CurrentKey returns the key of the link to the tag's current target.
func CurrentKey(repo, tag string) string {
	return Key{Kind: TagCurrent, Repository: repo, Tag: tag}.String()
}

// HistoryKey returns the key of the link that records d as a former or current target of the tag.
func HistoryKey(repo, tag string, d Digest) string {
	return Key{Kind: TagHistory, Repository: repo, Tag: tag, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// RepositoryKey returns the key of a repository's directory.
func RepositoryKey(repo string) string {
	return string(Key{Repository: repo}.appendRepository(nil))
}

// TagKey returns the key of a tag's directory.
func TagKey(repo, tag string) string {
	return string(Key{Repository: repo, Tag: tag}.appendTag(nil))
}

// UploadKey returns the key of an upload's directory.
func UploadKey(repo, id string) string {
	return string(Key{Repository: repo, Upload: id}.appendUpload(nil))
}

// The errors of Parse.
var (
	// ErrForeign: no registry writes a file there.
	ErrForeign = errors.New("is not part of the registry's layout")
	// ErrReserved: the file is of another program, or a later version.
	ErrReserved = errors.New("is below a reserved directory (its name begins with _) that is not known")
)

// Parse parses the key of a file. For a key of the layout, Parse(key).String() is key
// again; for any other the error is ErrForeign or ErrReserved, and the Key is zero. Parse
// allocates nothing.
//
// It checks names of repositories, tags and uploads only as far as the structure needs: no
// component is empty, "." or "..", and no component of a repository's name and no upload's
// id begins with "_".
func Parse(key string) (Key, error) {
	slash := strings.LastIndexByte(key, '/')
	name := key[slash+1:]
	if slash == 0 || !isComponent(name) {
		return Key{}, ErrForeign
	}
	dir := ParseDirectory(key[:max(slash, 0)])
	k := Key{
		Repository: dir.Repository, Tag: dir.Tag,
		Algorithm: dir.Algorithm, Hex: dir.Hex, Version: dir.Version,
		SignatureAlgorithm: dir.SignatureAlgorithm, SignatureHex: dir.SignatureHex,
		Upload: dir.Upload,
	}
	switch kind := dir.file(name); {
	case dir.Kind == DirReserved:
		return Key{}, ErrReserved
	case dir.known() && isTemp(name):
		return Key{Kind: Temp, Repository: dir.Repository, Rest: key}, nil
	case kind == 0:
		return Key{}, ErrForeign
	case kind == UploadHash, kind == Lock:
		k.Kind, k.Rest = kind, name
		return k, nil
	default:
		k.Kind = kind
		return k, nil
	}
}

// file returns the kind of the file with that name in directory f; 0 if the layout has
// none.
func (f *Directory) file(name string) Kind {
	switch f.Kind {
	case DirBlob:
		return kindIf(name == "data", Blob)
	case DirRevision:
		return kindIf(name == "link", Revision)
	case DirTagCurrent:
		return kindIf(name == "link", TagCurrent)
	case DirHistoryEntry:
		return kindIf(name == "link", TagHistory)
	case DirLayer:
		return kindIf(name == "link", LayerLink)
	case DirTarsumEntry:
		return kindIf(name == "link", Tarsum)
	case DirSignature:
		return kindIf(name == "link", Signature)
	case DirUpload, DirNoUpload:
		return max(kindIf(name == "data", UploadData), kindIf(name == "startedat", UploadStarted))
	case DirHashstateAlg:
		return kindIf(isDecimal(name), UploadHash)
	case DirLocks:
		return Lock
	case DirStore:
		return kindIf(name == SchedulerKey, Scheduler)
	}
	return 0
}

func kindIf(is bool, kind Kind) Kind {
	if is {
		return kind
	}
	return 0
}

// isTemp reports whether a file's name is that of an unfinished write of the filesystem
// driver of version 3.1 and later: "<name>.<uuid>.tmp".
func isTemp(name string) bool {
	stem, ok := strings.CutSuffix(name, ".tmp")
	at := len(stem) - len(uuidForm)
	return ok && at >= 2 && stem[at-1] == '.' && isUUID(stem[at:])
}

func isDecimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

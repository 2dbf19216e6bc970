package layout

// Kind says what a file of the layout is.
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

// Key is a file's key, taken apart. Each Kind says which fields it fills; the
// others are empty. Parse fills them with substrings of what it parsed.
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

// Digest returns the digest that the path names. It is false where the path
// names none, or one that is no sha256 of bytes: a tarsum, another algorithm.
func (k Key) Digest() (Digest, bool) {
	if k.Algorithm != sha256Name || k.Kind == Tarsum {
		return Digest{}, false
	}
	return ParseHex(k.Hex)
}

// String returns the key's text form; it is empty for a Key of no Kind.
func (k Key) String() string {
	var buf [512]byte
	return string(k.Append(buf[:0]))
}

// Append appends the key's text form to dst.
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

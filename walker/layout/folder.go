package layout

import "strings"

// FolderKind says what a folder of the layout is.
type FolderKind uint8

// The kinds of folders, each with the place of its name in the layout. Below
// Repositories everything but FolderRepositories has a Repository.
const (
	FolderOther    FolderKind = iota // no part of the layout, or below such
	FolderReserved                   // an unknown folder whose name begins with "_", or below such
	FolderStore                      // the store's root, key ""
	FolderAbove                      // on the way from there to Root
	FolderLocks                      // Locks
	FolderRoot                       // Root

	FolderBlobs      // blobs
	FolderBlobAlg    // blobs/<alg>
	FolderBlobPrefix // blobs/<alg>/<two hex digits>
	FolderBlob       // blobs/<alg>/<two hex digits>/<hex>

	FolderRepositories // repositories
	FolderRepository   // repositories/a/b, which may be a repository, or only on the way to one

	FolderManifests    // _manifests
	FolderRevisions    // _manifests/revisions
	FolderRevisionAlg  // _manifests/revisions/<alg>
	FolderRevision     // _manifests/revisions/<alg>/<hex>
	FolderSignatures   // _manifests/revisions/<alg>/<hex>/signatures
	FolderSignatureAlg // _manifests/revisions/<alg>/<hex>/signatures/<alg>
	FolderSignature    // _manifests/revisions/<alg>/<hex>/signatures/<alg>/<hex>

	FolderTags         // _manifests/tags
	FolderTag          // _manifests/tags/<tag>
	FolderNoTag        // _manifests/tags/<what is no tag's name>: a tag's only if it holds current or index
	FolderTagCurrent   // _manifests/tags/<tag>/current
	FolderHistory      // _manifests/tags/<tag>/index
	FolderHistoryAlg   // _manifests/tags/<tag>/index/<alg>
	FolderHistoryEntry // _manifests/tags/<tag>/index/<alg>/<hex>

	FolderLayers        // _layers
	FolderLayerAlg      // _layers/<alg>
	FolderLayer         // _layers/<alg>/<hex>
	FolderTarsum        // _layers/tarsum
	FolderTarsumVersion // _layers/tarsum/<version>
	FolderTarsumAlg     // _layers/tarsum/<version>/<alg>
	FolderTarsumEntry   // _layers/tarsum/<version>/<alg>/<hex>

	FolderUploads      // _uploads
	FolderUpload       // _uploads/<id>
	FolderNoUpload     // _uploads/<what is no id>: an upload's only if it holds data, startedat or hashstates
	FolderHashstates   // _uploads/<id>/hashstates
	FolderHashstateAlg // _uploads/<id>/hashstates/<alg>
)

// Folder is a folder's key, taken apart: the words that the way to it names,
// the others empty. FolderOther and FolderReserved have those that were met
// before the way left the layout.
type Folder struct {
	Kind               FolderKind
	Repository         string
	Tag                string
	Algorithm          string
	Hex                string
	Prefix             string // below blobs: the two hex digits
	Version            string // of a tarsum: "v1"
	SignatureAlgorithm string
	SignatureHex       string
	Upload             string // the upload's id, or what stands in its place
	NoTag              string // of FolderNoTag: what stands in a tag's place
}

// ParseFolder takes the key of a folder apart, given without a trailing slash.
// It never fails: what the layout doesn't have is FolderOther, and zero but for
// that if a component is empty, "." or "..". It allocates nothing; the fields
// are substrings of dir.
func ParseFolder(dir string) Folder {
	f := Folder{Kind: FolderStore}
	for rest, end := dir, 0; rest != ""; end++ {
		var name string
		var more bool
		name, rest, more = strings.Cut(rest, "/")
		if !isComponent(name) || more && rest == "" {
			return Folder{}
		}
		end += len(name)
		f.enter(dir[:end], name)
	}
	return f
}

// known reports whether f is a folder in which a registry may write.
func (f *Folder) known() bool {
	switch f.Kind {
	case FolderOther, FolderReserved, FolderAbove, FolderNoTag, FolderNoUpload:
		return false
	}
	return true
}

// Stray returns the name under which a foreign file's key leaves the layout: its
// own, or that of the first folder on the way to it that no registry makes.
func Stray(key string) string {
	start := 0
	for i := range len(key) {
		if key[i] != '/' {
			continue
		}
		if !ParseFolder(key[:i]).Known() {
			return key[start:i]
		}
		start = i + 1
	}
	return key[start:]
}

// IsUpload reports whether an upload can stand in the folder dir.
func IsUpload(dir string) bool {
	kind := ParseFolder(dir).Kind
	return kind == FolderUpload || kind == FolderNoUpload
}

// Known reports whether f is a folder of the layout, or on the way to one.
func (f Folder) Known() bool { return f.Kind == FolderAbove || f.known() }

// isComponent reports whether s can be one component of a key.
func isComponent(s string) bool { return s != "" && s != "." && s != ".." }

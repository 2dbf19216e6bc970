package layout

import (
	"errors"
	"strings"
)

// What Parse says of a key that it doesn't understand.
var (
	// ErrForeign: no registry puts a file there.
	ErrForeign = errors.New("is not part of the registry's layout")
	// ErrReserved: another program's, or a later version's.
	ErrReserved = errors.New("stands below a reserved folder (its name begins with _) that is not known here")
)

// Parse takes the key of a file apart. For each key that it understands,
// Parse(key).String() is key again; for every other key the error is ErrForeign
// or ErrReserved and the Key is zero. It allocates nothing.
//
// Names of repositories, tags and uploads are not judged beyond what structure
// needs: no component is empty, "." or "..", and none of a repository's name
// nor an upload's id begins with "_".
func Parse(key string) (Key, error) {
	slash := strings.LastIndexByte(key, '/')
	name := key[slash+1:]
	if slash == 0 || !isComponent(name) {
		return Key{}, ErrForeign
	}
	folder := ParseDirectory(key[:max(slash, 0)])
	k := Key{
		Repository: folder.Repository, Tag: folder.Tag,
		Algorithm: folder.Algorithm, Hex: folder.Hex, Version: folder.Version,
		SignatureAlgorithm: folder.SignatureAlgorithm, SignatureHex: folder.SignatureHex,
		Upload: folder.Upload,
	}
	switch kind := folder.file(name); {
	case folder.Kind == DirReserved:
		return Key{}, ErrReserved
	case folder.known() && isTemp(name):
		return Key{Kind: Temp, Repository: folder.Repository, Rest: key}, nil
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

// file returns the kind of a file of that name in the folder f, 0 if the layout
// has none.
func (f *Directory) file(name string) Kind {
	switch f.Kind {
	case DirBlob:
		return when(name == "data", Blob)
	case DirRevision:
		return when(name == "link", Revision)
	case DirTagCurrent:
		return when(name == "link", TagCurrent)
	case DirHistoryEntry:
		return when(name == "link", TagHistory)
	case DirLayer:
		return when(name == "link", LayerLink)
	case DirTarsumEntry:
		return when(name == "link", Tarsum)
	case DirSignature:
		return when(name == "link", Signature)
	case DirUpload, DirNoUpload:
		return max(when(name == "data", UploadData), when(name == "startedat", UploadStarted))
	case DirHashstateAlg:
		return when(isDecimal(name), UploadHash)
	case DirLocks:
		return Lock
	case DirStore:
		return when(name == SchedulerKey, Scheduler)
	}
	return 0
}

func when(is bool, kind Kind) Kind {
	if is {
		return kind
	}
	return 0
}

// isTemp reports whether a file's name is that of a write which the filesystem
// driver of 3.1 and later had not finished: "<name>.<uuid>.tmp".
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

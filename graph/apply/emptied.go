package apply

import (
	"path"
	"strings"

	"regfsck/walker/layout"
)

// emptied notes that the folders above a key that goes may be empty now, its
// own excepted, which goes along with the key where that is alone.
func (r *run) emptied(key string) {
	own := path.Dir(strings.TrimSuffix(key, "/"))
	if stays(own) {
		return
	}
	r.emptiedFrom(path.Dir(own))
}

// emptiedFrom notes that a folder and those above it may be empty now.
func (r *run) emptiedFrom(dir string) {
	for ; !r.tries[dir] && !stays(dir); dir = path.Dir(dir) {
		r.tries[dir] = true
	}
}

// stays reports whether a folder is left alone for what it is: one that a
// registry makes and keeps even while there is nothing in it, or one that isn't
// a registry's.
func stays(dir string) bool {
	switch layout.ParseFolder(dir).Kind {
	case layout.FolderBlobPrefix, layout.FolderBlob, layout.FolderRepository,
		layout.FolderRevision, layout.FolderSignatures, layout.FolderSignatureAlg, layout.FolderSignature,
		layout.FolderTag, layout.FolderTagCurrent, layout.FolderHistory, layout.FolderHistoryAlg, layout.FolderHistoryEntry,
		layout.FolderLayer, layout.FolderTarsum, layout.FolderTarsumVersion, layout.FolderTarsumAlg, layout.FolderTarsumEntry,
		layout.FolderUpload, layout.FolderHashstates, layout.FolderHashstateAlg:
		return false
	}
	return true
}

package apply

import (
	"path"
	"strings"

	"regfsck/walker/layout"
)

// markEmptiedAbove notes that the directories above a key that goes may be empty now, its
// own excepted, which goes along with the key where that is alone.
func (r *run) markEmptiedAbove(key string) {
	own := path.Dir(strings.TrimSuffix(key, "/"))
	if staysWhenEmpty(own) {
		return
	}
	r.markEmptied(path.Dir(own))
}

// markEmptied notes that a directory and those above it may be empty now.
func (r *run) markEmptied(dir string) {
	for ; !r.emptied[dir] && !staysWhenEmpty(dir); dir = path.Dir(dir) {
		r.emptied[dir] = true
	}
}

// staysWhenEmpty reports whether a directory is left alone for what it is: one that a
// registry makes and keeps even while there is nothing in it, or one that isn't
// a registry's.
func staysWhenEmpty(dir string) bool {
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

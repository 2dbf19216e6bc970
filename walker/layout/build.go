package layout

// BlobKey returns the key of a blob's bytes.
func BlobKey(d Digest) string {
	return Key{Kind: Blob, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// RevisionKey returns the key of the link that lets repo serve the manifest d.
func RevisionKey(repo string, d Digest) string {
	return Key{Kind: Revision, Repository: repo, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// LayerKey returns the key of the link that lets repo serve the blob d.
func LayerKey(repo string, d Digest) string {
	return Key{Kind: LayerLink, Repository: repo, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// CurrentKey returns the key of the link to what the tag means now.
func CurrentKey(repo, tag string) string {
	return Key{Kind: TagCurrent, Repository: repo, Tag: tag}.String()
}

// HistoryKey returns the key of the link that says that the tag once meant d.
func HistoryKey(repo, tag string, d Digest) string {
	return Key{Kind: TagHistory, Repository: repo, Tag: tag, Algorithm: sha256Name, Hex: d.Hex()}.String()
}

// RepositoryKey returns the key of a repository's folder.
func RepositoryKey(repo string) string {
	return string(Key{Repository: repo}.appendRepository(nil))
}

// TagKey returns the key of a tag's folder.
func TagKey(repo, tag string) string {
	return string(Key{Repository: repo, Tag: tag}.appendTag(nil))
}

// UploadKey returns the key of an upload's folder.
func UploadKey(repo, id string) string {
	return string(Key{Repository: repo, Upload: id}.appendUpload(nil))
}

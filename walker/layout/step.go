package layout

// enter goes from f into its child name, whose whole key is path.
func (f *Folder) enter(path, name string) {
	switch f.Kind {
	case FolderOther, FolderReserved:
	case FolderStore, FolderAbove:
		f.Kind = above(path)
	case FolderRepositories, FolderRepository:
		f.enterRepository(path, name)
	case FolderTags:
		f.enterTag(name)
	case FolderNoTag:
		if f.Kind = f.word(name); f.Kind != FolderOther {
			f.Tag = f.NoTag
		}
		f.NoTag = ""
	case FolderNoUpload:
		f.Kind = f.word(name)
	default:
		if kind := f.word(name); kind != FolderOther {
			f.Kind = kind
		} else if name[0] == '_' {
			f.Kind = FolderReserved
		} else {
			f.Kind = f.free(name)
		}
	}
}

// above returns the kind of a folder of the store that isn't below Root.
func above(path string) FolderKind {
	switch path {
	case Root:
		return FolderRoot
	case Locks:
		return FolderLocks
	case "docker", "docker/registry":
		return FolderAbove
	}
	return FolderOther
}

func (f *Folder) enterRepository(path, name string) {
	switch {
	case name[0] != '_':
		f.Kind, f.Repository = FolderRepository, path[len(Repositories)+1:]
	case f.Kind == FolderRepositories:
		f.Kind = FolderReserved
	case name == "_manifests":
		f.Kind = FolderManifests
	case name == "_layers":
		f.Kind = FolderLayers
	case name == "_uploads":
		f.Kind = FolderUploads
	default:
		f.Kind = FolderReserved
	}
}

// enterTag goes from the folder of a repository's tags into its child name. File
// systems and file managers put folders of their own there, under names that no
// tag has.
func (f *Folder) enterTag(name string) {
	if ValidTag(name) {
		f.Kind, f.Tag = FolderTag, name
	} else {
		f.Kind, f.NoTag = FolderNoTag, name
	}
}

// word returns the kind of f's child if its name is a word of the layout, else
// FolderOther.
func (f *Folder) word(name string) FolderKind {
	switch {
	case f.Kind == FolderRoot && name == "blobs":
		return FolderBlobs
	case f.Kind == FolderRoot && name == "repositories":
		return FolderRepositories
	case f.Kind == FolderManifests && name == "revisions":
		return FolderRevisions
	case f.Kind == FolderManifests && name == "tags":
		return FolderTags
	case f.Kind == FolderRevision && name == "signatures":
		return FolderSignatures
	case (f.Kind == FolderTag || f.Kind == FolderNoTag) && name == "current":
		return FolderTagCurrent
	case (f.Kind == FolderTag || f.Kind == FolderNoTag) && name == "index":
		return FolderHistory
	case f.Kind == FolderLayers && name == "tarsum":
		return FolderTarsum
	case (f.Kind == FolderUpload || f.Kind == FolderNoUpload) && name == "hashstates":
		return FolderHashstates
	}
	return FolderOther
}

// free returns the kind of f's child where its name is free within a grammar,
// and notes the name; FolderOther if it doesn't fit.
func (f *Folder) free(name string) FolderKind {
	switch f.Kind {
	case FolderBlobs:
		return algorithm(&f.Algorithm, name, FolderBlobAlg)
	case FolderBlobAlg:
		if len(name) == 2 && nibbles[name[0]] <= 0xf && nibbles[name[1]] <= 0xf {
			f.Prefix = name
			return FolderBlobPrefix
		}
	case FolderBlobPrefix:
		if len(name) > 2 && name[:2] == f.Prefix {
			return hexOf(f.Algorithm, &f.Hex, name, FolderBlob)
		}
	case FolderRevisions:
		return algorithm(&f.Algorithm, name, FolderRevisionAlg)
	case FolderRevisionAlg:
		return hexOf(f.Algorithm, &f.Hex, name, FolderRevision)
	case FolderSignatures:
		return algorithm(&f.SignatureAlgorithm, name, FolderSignatureAlg)
	case FolderSignatureAlg:
		return hexOf(f.SignatureAlgorithm, &f.SignatureHex, name, FolderSignature)
	case FolderHistory:
		return algorithm(&f.Algorithm, name, FolderHistoryAlg)
	case FolderHistoryAlg:
		return hexOf(f.Algorithm, &f.Hex, name, FolderHistoryEntry)
	case FolderLayers:
		return algorithm(&f.Algorithm, name, FolderLayerAlg)
	case FolderLayerAlg:
		return hexOf(f.Algorithm, &f.Hex, name, FolderLayer)
	case FolderTarsum:
		f.Version = name
		return FolderTarsumVersion
	case FolderTarsumVersion:
		return algorithm(&f.Algorithm, name, FolderTarsumAlg)
	case FolderTarsumAlg:
		return hexOf(f.Algorithm, &f.Hex, name, FolderTarsumEntry)
	case FolderUploads:
		if f.Upload = name; ValidUpload(name) {
			return FolderUpload
		}
		return FolderNoUpload
	case FolderHashstates:
		return algorithm(&f.Algorithm, name, FolderHashstateAlg)
	}
	return FolderOther
}

func algorithm(to *string, name string, kind FolderKind) FolderKind {
	if !isAlgorithm(name) {
		return FolderOther
	}
	*to = name
	return kind
}

func hexOf(alg string, to *string, name string, kind FolderKind) FolderKind {
	if !fits(alg, name) {
		return FolderOther
	}
	*to = name
	return kind
}

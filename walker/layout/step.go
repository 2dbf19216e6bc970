package layout

// enter goes from f into its child name, whose whole key is path.
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
		if f.Kind = f.word(name); f.Kind != DirOther {
			f.Tag = f.NoTag
		}
		f.NoTag = ""
	case DirNoUpload:
		f.Kind = f.word(name)
	default:
		if kind := f.word(name); kind != DirOther {
			f.Kind = kind
		} else if name[0] == '_' {
			f.Kind = DirReserved
		} else {
			f.Kind = f.free(name)
		}
	}
}

// above returns the kind of a folder of the store that isn't below Root.
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

// enterTag goes from the folder of a repository's tags into its child name. File
// systems and file managers put folders of their own there, under names that no
// tag has.
func (f *Directory) enterTag(name string) {
	if ValidTag(name) {
		f.Kind, f.Tag = DirTag, name
	} else {
		f.Kind, f.NoTag = DirNoTag, name
	}
}

// word returns the kind of f's child if its name is a word of the layout, else
// DirOther.
func (f *Directory) word(name string) DirKind {
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

// free returns the kind of f's child where its name is free within a grammar,
// and notes the name; DirOther if it doesn't fit.
func (f *Directory) free(name string) DirKind {
	switch f.Kind {
	case DirBlobs:
		return algorithm(&f.Algorithm, name, DirBlobAlg)
	case DirBlobAlg:
		if len(name) == 2 && nibbles[name[0]] <= 0xf && nibbles[name[1]] <= 0xf {
			f.Prefix = name
			return DirBlobPrefix
		}
	case DirBlobPrefix:
		if len(name) > 2 && name[:2] == f.Prefix {
			return hexOf(f.Algorithm, &f.Hex, name, DirBlob)
		}
	case DirRevisions:
		return algorithm(&f.Algorithm, name, DirRevisionAlg)
	case DirRevisionAlg:
		return hexOf(f.Algorithm, &f.Hex, name, DirRevision)
	case DirSignatures:
		return algorithm(&f.SignatureAlgorithm, name, DirSignatureAlg)
	case DirSignatureAlg:
		return hexOf(f.SignatureAlgorithm, &f.SignatureHex, name, DirSignature)
	case DirHistory:
		return algorithm(&f.Algorithm, name, DirHistoryAlg)
	case DirHistoryAlg:
		return hexOf(f.Algorithm, &f.Hex, name, DirHistoryEntry)
	case DirLayers:
		return algorithm(&f.Algorithm, name, DirLayerAlg)
	case DirLayerAlg:
		return hexOf(f.Algorithm, &f.Hex, name, DirLayer)
	case DirTarsum:
		f.Version = name
		return DirTarsumVersion
	case DirTarsumVersion:
		return algorithm(&f.Algorithm, name, DirTarsumAlg)
	case DirTarsumAlg:
		return hexOf(f.Algorithm, &f.Hex, name, DirTarsumEntry)
	case DirUploads:
		if f.Upload = name; ValidUpload(name) {
			return DirUpload
		}
		return DirNoUpload
	case DirHashstates:
		return algorithm(&f.Algorithm, name, DirHashstateAlg)
	}
	return DirOther
}

func algorithm(to *string, name string, kind DirKind) DirKind {
	if !isAlgorithm(name) {
		return DirOther
	}
	*to = name
	return kind
}

func hexOf(alg string, to *string, name string, kind DirKind) DirKind {
	if !fits(alg, name) {
		return DirOther
	}
	*to = name
	return kind
}

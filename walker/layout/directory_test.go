package layout

import (
	"strings"
	"testing"
)

func TestParseDirectory(t *testing.T) {
	r := Directory{Repository: "a/b"}
	with := func(f Directory, kind DirKind, set ...func(*Directory)) Directory {
		f.Kind = kind
		for _, s := range set {
			s(&f)
		}
		return f
	}
	alg := func(f *Directory) { f.Algorithm = "sha256" }
	hex := func(f *Directory) { f.Algorithm, f.Hex = "sha256", hexA }
	prefix := func(f *Directory) { f.Algorithm, f.Prefix = "sha256", hexA[:2] }
	tag := func(f *Directory) { f.Tag = "t" }
	version := func(f *Directory) { f.Version = "v1" }
	const id = "0e4d1aeb-4fb7-4d4a-9a1f-111111111111"
	upload := func(f *Directory) { f.Upload = id }
	named := func(f *Directory) { f.Upload = "u" }
	odd := func(f *Directory) { f.Tag = "@x" }
	signatureAlg := func(f *Directory) { f.SignatureAlgorithm = "sha256" }
	signatureHex := func(f *Directory) { f.SignatureHex = hexB }

	for dir, want := range map[string]Directory{
		"":                          {Kind: DirStore},
		"docker":                    {Kind: DirAbove},
		"docker/registry":           {Kind: DirAbove},
		"docker/registry/lockfiles": {Kind: DirLocks},
		Root:                        {Kind: DirRoot},
		Root + "/_x":                {Kind: DirReserved},
		Root + "/x":                 {Kind: DirOther},
		Root + "/x/_y":              {Kind: DirOther},
		"docker/registry/v3":        {Kind: DirOther},
		"_x":                        {Kind: DirOther},

		Blobs:                                      {Kind: DirBlobs},
		Blobs + "/sha256":                          with(Directory{}, DirBlobAlg, alg),
		Blobs + "/sha256/" + hexA[:2]:              with(Directory{}, DirBlobPrefix, prefix),
		Blobs + "/sha256/a":                        with(Directory{}, DirOther, alg),
		Blobs + "/sha256/AB":                       with(Directory{}, DirOther, alg),
		Blobs + "/sha256/ab/":                      {},
		Blobs + "/sha256/ab/" + "cd":               with(Directory{}, DirOther, alg, func(f *Directory) { f.Prefix = "ab" }),
		Blobs + "/sha-256-":                        {Kind: DirOther},
		Blobs + "/sha256/" + hexA[:2] + "/" + hexA: with(Directory{}, DirBlob, prefix, hex),

		Repositories:                {Kind: DirRepositories},
		Repositories + "/_x/a":      {Kind: DirReserved},
		Repositories + "/a/b":       with(r, DirRepository),
		Repositories + "/a/b/":      {},
		Repositories + "/a/./b":     {},
		Repositories + "//b":        {},
		"/" + Repositories:          {},
		repo + "_x":                 with(r, DirReserved),
		repo + "_x/_manifests/tags": with(r, DirReserved),

		repo + "_manifests":                                                         with(r, DirManifests),
		repo + "_manifests/x":                                                       with(r, DirOther),
		repo + "_manifests/_x":                                                      with(r, DirReserved),
		repo + "_manifests/revisions":                                               with(r, DirRevisions),
		repo + "_manifests/revisions/sha256":                                        with(r, DirRevisionAlg, alg),
		repo + "_manifests/revisions/sha256/" + hexA:                                with(r, DirRevision, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "x":                          with(r, DirOther, alg),
		repo + "_manifests/revisions/sha256/" + hexA + "/_referrers/x":              with(r, DirReserved, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures":                with(r, DirSignatures, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256":         with(r, DirSignatureAlg, hex, signatureAlg),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256/" + hexB: with(r, DirSignature, hex, signatureAlg, signatureHex),
		repo + "_manifests/tags":                                                    with(r, DirTags),
		repo + "_manifests/tags/t":                                                  with(r, DirTag, tag),
		repo + "_manifests/tags/t/x":                                                with(r, DirOther, tag),
		repo + "_manifests/tags/t/_x":                                               with(r, DirReserved, tag),
		repo + "_manifests/tags/t/current":                                          with(r, DirTagCurrent, tag),
		repo + "_manifests/tags/t/index":                                            with(r, DirHistory, tag),
		repo + "_manifests/tags/t/index/sha256":                                     with(r, DirHistoryAlg, tag, alg),
		repo + "_manifests/tags/t/index/sha256/" + hexA:                             with(r, DirHistoryEntry, tag, hex),
		repo + "_layers":                                                            with(r, DirLayers),
		repo + "_layers/sha256":                                                     with(r, DirLayerAlg, alg),
		repo + "_layers/sha256/" + hexA:                                             with(r, DirLayer, hex),
		repo + "_layers/sha256/" + hexA + "/link":                                   with(r, DirOther, hex),
		repo + "_layers/tarsum":                                                     with(r, DirTarsum),
		repo + "_layers/tarsum/v1":                                                  with(r, DirTarsumVersion, version),
		repo + "_layers/tarsum/v1/sha256":                                           with(r, DirTarsumAlg, version, alg),
		repo + "_layers/tarsum/v1/sha256/" + hexA:                                   with(r, DirTarsumEntry, version, hex),
		repo + "_uploads":                                                           with(r, DirUploads),
		repo + "_uploads/" + id:                                                     with(r, DirUpload, upload),
		repo + "_uploads/" + id + "/hashstates":                                     with(r, DirHashstates, upload),
		repo + "_uploads/" + id + "/hashstates/sha256":                              with(r, DirHashstateAlg, upload, alg),

		repo + "_manifests/tags/@x":              with(r, DirNoTag, func(f *Directory) { f.NoTag = "@x" }),
		repo + "_manifests/tags/@x/y":            with(r, DirOther),
		repo + "_manifests/tags/@x/_y":           with(r, DirOther),
		repo + "_manifests/tags/@x/y/current":    with(r, DirOther),
		repo + "_manifests/tags/@x/current":      with(r, DirTagCurrent, odd),
		repo + "_manifests/tags/@x/index":        with(r, DirHistory, odd),
		repo + "_manifests/tags/@x/index/sha256": with(r, DirHistoryAlg, odd, alg),
		repo + "_uploads/u":                      with(r, DirNoUpload, named),
		repo + "_uploads/u/x":                    with(r, DirOther, named),
		repo + "_uploads/u/hashstates":           with(r, DirHashstates, named),
		repo + "_uploads/u/hashstates/sha256":    with(r, DirHashstateAlg, named, alg),
	} {
		if got := ParseDirectory(dir); got != want {
			t.Errorf("ParseDirectory(%q)\n got %+v\nwant %+v", dir, got, want)
		}
	}
}

// FuzzParse looks for a panic, for a key that isn't the same after parsing and formatting, and
// for a file whose directory is parsed differently.
func FuzzParse(f *testing.F) {
	for _, row := range rows {
		f.Add(row.key)
	}
	f.Add(Blobs + "/sha256/a")
	f.Add(repo + "_x/_manifests/revisions/sha256")
	f.Fuzz(func(t *testing.T, key string) {
		asDir := ParseDirectory(key)
		k, err := Parse(key)
		dir, name := "", key
		if slash := strings.LastIndexByte(key, '/'); slash >= 0 {
			dir, name = key[:slash], key[slash+1:]
		}
		parent := ParseDirectory(dir)
		if err != nil {
			if clean := name != "" && name != "." && name != ".."; clean && (parent.Kind == DirReserved) != (err == ErrReserved) {
				t.Errorf("%q: %v, in a directory of kind %d", key, err, parent.Kind)
			}
			return
		}
		if got := k.String(); got != key {
			t.Errorf("%q is written %q", key, got)
		}
		if parent.Repository != k.Repository || parent.Tag != k.Tag && k.Kind != Temp || k.Kind == 0 {
			t.Errorf("%q is %+v, its directory %+v", key, k, parent)
		}
		for _, inside := range strings.Split(k.Repository, "/") {
			if strings.HasPrefix(inside, "_") || inside == "." || inside == ".." {
				t.Errorf("%q has the repository %q", key, k.Repository)
			}
		}
		if last := asDir.Kind; k.Kind == Revision && last != DirOther {
			t.Errorf("%q is a link and a directory of kind %d", key, last)
		}
	})
}

func TestStray(t *testing.T) {
	for key, want := range map[string]string{
		Blobs + "/.DS_Store":                        ".DS_Store",
		Blobs + "/sha256/ab/x/y/data":               "x",
		"docker/notes":                              "notes",
		"docker/registry/v3/a/b":                    "v3",
		Root + "/@eaDir/blobs":                      "@eaDir",
		repo + "_manifests/tags/@eaDir/a/b":         "@eaDir",
		repo + "_manifests/tags/@odd/current/notes": "@odd",
		repo + "_uploads/.snapshot":                 ".snapshot",
		repo + "_manifests/_referrers/x/y":          "_referrers",
	} {
		if got := Stray(key); got != want {
			t.Errorf("Stray(%q) = %q, want %q", key, got, want)
		}
	}
}

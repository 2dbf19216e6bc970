package layout

import (
	"strings"
	"testing"
)

func TestParseFolderKnowsEveryFolder(t *testing.T) {
	r := Folder{Repository: "a/b"}
	with := func(f Folder, kind FolderKind, set ...func(*Folder)) Folder {
		f.Kind = kind
		for _, s := range set {
			s(&f)
		}
		return f
	}
	alg := func(f *Folder) { f.Algorithm = "sha256" }
	hex := func(f *Folder) { f.Algorithm, f.Hex = "sha256", hexA }
	prefix := func(f *Folder) { f.Algorithm, f.Prefix = "sha256", hexA[:2] }
	tag := func(f *Folder) { f.Tag = "t" }
	version := func(f *Folder) { f.Version = "v1" }
	const id = "0e4d1aeb-4fb7-4d4a-9a1f-111111111111"
	upload := func(f *Folder) { f.Upload = id }
	named := func(f *Folder) { f.Upload = "u" }
	odd := func(f *Folder) { f.Tag = "@x" }
	signatureAlg := func(f *Folder) { f.SignatureAlgorithm = "sha256" }
	signatureHex := func(f *Folder) { f.SignatureHex = hexB }

	for dir, want := range map[string]Folder{
		"":                          {Kind: FolderStore},
		"docker":                    {Kind: FolderAbove},
		"docker/registry":           {Kind: FolderAbove},
		"docker/registry/lockfiles": {Kind: FolderLocks},
		Root:                        {Kind: FolderRoot},
		Root + "/_x":                {Kind: FolderReserved},
		Root + "/x":                 {Kind: FolderOther},
		Root + "/x/_y":              {Kind: FolderOther},
		"docker/registry/v3":        {Kind: FolderOther},
		"_x":                        {Kind: FolderOther},

		Blobs:                                      {Kind: FolderBlobs},
		Blobs + "/sha256":                          with(Folder{}, FolderBlobAlg, alg),
		Blobs + "/sha256/" + hexA[:2]:              with(Folder{}, FolderBlobPrefix, prefix),
		Blobs + "/sha256/a":                        with(Folder{}, FolderOther, alg),
		Blobs + "/sha256/AB":                       with(Folder{}, FolderOther, alg),
		Blobs + "/sha256/ab/":                      {},
		Blobs + "/sha256/ab/" + "cd":               with(Folder{}, FolderOther, alg, func(f *Folder) { f.Prefix = "ab" }),
		Blobs + "/sha-256-":                        {Kind: FolderOther},
		Blobs + "/sha256/" + hexA[:2] + "/" + hexA: with(Folder{}, FolderBlob, prefix, hex),

		Repositories:                {Kind: FolderRepositories},
		Repositories + "/_x/a":      {Kind: FolderReserved},
		Repositories + "/a/b":       with(r, FolderRepository),
		Repositories + "/a/b/":      {},
		Repositories + "/a/./b":     {},
		Repositories + "//b":        {},
		"/" + Repositories:          {},
		repo + "_x":                 with(r, FolderReserved),
		repo + "_x/_manifests/tags": with(r, FolderReserved),

		repo + "_manifests":                                                         with(r, FolderManifests),
		repo + "_manifests/x":                                                       with(r, FolderOther),
		repo + "_manifests/_x":                                                      with(r, FolderReserved),
		repo + "_manifests/revisions":                                               with(r, FolderRevisions),
		repo + "_manifests/revisions/sha256":                                        with(r, FolderRevisionAlg, alg),
		repo + "_manifests/revisions/sha256/" + hexA:                                with(r, FolderRevision, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "x":                          with(r, FolderOther, alg),
		repo + "_manifests/revisions/sha256/" + hexA + "/_referrers/x":              with(r, FolderReserved, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures":                with(r, FolderSignatures, hex),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256":         with(r, FolderSignatureAlg, hex, signatureAlg),
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256/" + hexB: with(r, FolderSignature, hex, signatureAlg, signatureHex),
		repo + "_manifests/tags":                                                    with(r, FolderTags),
		repo + "_manifests/tags/t":                                                  with(r, FolderTag, tag),
		repo + "_manifests/tags/t/x":                                                with(r, FolderOther, tag),
		repo + "_manifests/tags/t/_x":                                               with(r, FolderReserved, tag),
		repo + "_manifests/tags/t/current":                                          with(r, FolderTagCurrent, tag),
		repo + "_manifests/tags/t/index":                                            with(r, FolderHistory, tag),
		repo + "_manifests/tags/t/index/sha256":                                     with(r, FolderHistoryAlg, tag, alg),
		repo + "_manifests/tags/t/index/sha256/" + hexA:                             with(r, FolderHistoryEntry, tag, hex),
		repo + "_layers":                                                            with(r, FolderLayers),
		repo + "_layers/sha256":                                                     with(r, FolderLayerAlg, alg),
		repo + "_layers/sha256/" + hexA:                                             with(r, FolderLayer, hex),
		repo + "_layers/sha256/" + hexA + "/link":                                   with(r, FolderOther, hex),
		repo + "_layers/tarsum":                                                     with(r, FolderTarsum),
		repo + "_layers/tarsum/v1":                                                  with(r, FolderTarsumVersion, version),
		repo + "_layers/tarsum/v1/sha256":                                           with(r, FolderTarsumAlg, version, alg),
		repo + "_layers/tarsum/v1/sha256/" + hexA:                                   with(r, FolderTarsumEntry, version, hex),
		repo + "_uploads":                                                           with(r, FolderUploads),
		repo + "_uploads/" + id:                                                     with(r, FolderUpload, upload),
		repo + "_uploads/" + id + "/hashstates":                                     with(r, FolderHashstates, upload),
		repo + "_uploads/" + id + "/hashstates/sha256":                              with(r, FolderHashstateAlg, upload, alg),

		repo + "_manifests/tags/@x":              with(r, FolderNoTag, func(f *Folder) { f.NoTag = "@x" }),
		repo + "_manifests/tags/@x/y":            with(r, FolderOther),
		repo + "_manifests/tags/@x/_y":           with(r, FolderOther),
		repo + "_manifests/tags/@x/y/current":    with(r, FolderOther),
		repo + "_manifests/tags/@x/current":      with(r, FolderTagCurrent, odd),
		repo + "_manifests/tags/@x/index":        with(r, FolderHistory, odd),
		repo + "_manifests/tags/@x/index/sha256": with(r, FolderHistoryAlg, odd, alg),
		repo + "_uploads/u":                      with(r, FolderNoUpload, named),
		repo + "_uploads/u/x":                    with(r, FolderOther, named),
		repo + "_uploads/u/hashstates":           with(r, FolderHashstates, named),
		repo + "_uploads/u/hashstates/sha256":    with(r, FolderHashstateAlg, named, alg),
	} {
		if got := ParseFolder(dir); got != want {
			t.Errorf("ParseFolder(%q)\n got %+v\nwant %+v", dir, got, want)
		}
	}
}

// FuzzParse looks for a panic, for a key that isn't written as it was read, and
// for a file and its folder that are understood differently.
func FuzzParse(f *testing.F) {
	for _, row := range rows {
		f.Add(row.key)
	}
	f.Add(Blobs + "/sha256/a")
	f.Add(repo + "_x/_manifests/revisions/sha256")
	f.Fuzz(func(t *testing.T, key string) {
		asFolder := ParseFolder(key)
		k, err := Parse(key)
		dir, name := "", key
		if slash := strings.LastIndexByte(key, '/'); slash >= 0 {
			dir, name = key[:slash], key[slash+1:]
		}
		parent := ParseFolder(dir)
		if err != nil {
			if clean := name != "" && name != "." && name != ".."; clean && (parent.Kind == FolderReserved) != (err == ErrReserved) {
				t.Errorf("%q: %v, in a folder of kind %d", key, err, parent.Kind)
			}
			return
		}
		if got := k.String(); got != key {
			t.Errorf("%q is written %q", key, got)
		}
		if parent.Repository != k.Repository || parent.Tag != k.Tag && k.Kind != Temp || k.Kind == 0 {
			t.Errorf("%q is %+v, its folder %+v", key, k, parent)
		}
		for _, inside := range strings.Split(k.Repository, "/") {
			if strings.HasPrefix(inside, "_") || inside == "." || inside == ".." {
				t.Errorf("%q has the repository %q", key, k.Repository)
			}
		}
		if last := asFolder.Kind; k.Kind == Revision && last != FolderOther {
			t.Errorf("%q is a link and a folder of kind %d", key, last)
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

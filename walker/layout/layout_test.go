package layout

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

var (
	hexA   = Sum([]byte("a")).Hex()
	hexB   = Sum([]byte("b")).Hex()
	hex512 = strings.Repeat(hexA, 2)
	temp   = ".0198a7c2-9d3e-7c41-8f00-0123456789ab.tmp"
	repo   = Repositories + "/a/b/"
)

// rows has every row of the layout, taken apart by hand.
var rows = []struct {
	key  string
	want Key
}{
	{Blobs + "/sha256/" + hexA[:2] + "/" + hexA + "/data", Key{Kind: Blob, Algorithm: "sha256", Hex: hexA}},
	{Blobs + "/sha512/" + hexA[:2] + "/" + hex512 + "/data", Key{Kind: Blob, Algorithm: "sha512", Hex: hex512}},
	{repo + "_manifests/revisions/sha256/" + hexA + "/link", Key{Kind: Revision, Repository: "a/b", Algorithm: "sha256", Hex: hexA}},
	{repo + "_manifests/tags/index/current/link", Key{Kind: TagCurrent, Repository: "a/b", Tag: "index"}},
	{repo + "_manifests/tags/_x/current/link", Key{Kind: TagCurrent, Repository: "a/b", Tag: "_x"}},
	{repo + "_manifests/tags/sha256-" + hexA + ".sig/current/link", Key{Kind: TagCurrent, Repository: "a/b", Tag: "sha256-" + hexA + ".sig"}},
	{repo + "_manifests/tags/current/index/sha256/" + hexA + "/link", Key{Kind: TagHistory, Repository: "a/b", Tag: "current", Algorithm: "sha256", Hex: hexA}},
	{repo + "_layers/sha256/" + hexA + "/link", Key{Kind: LayerLink, Repository: "a/b", Algorithm: "sha256", Hex: hexA}},
	{repo + "_layers/sha512/" + hex512 + "/link", Key{Kind: LayerLink, Repository: "a/b", Algorithm: "sha512", Hex: hex512}},
	{repo + "_layers/tarsum/v1/sha256/" + hexA + "/link", Key{Kind: Tarsum, Repository: "a/b", Version: "v1", Algorithm: "sha256", Hex: hexA}},
	{repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256/" + hexB + "/link",
		Key{Kind: Signature, Repository: "a/b", Algorithm: "sha256", Hex: hexA, SignatureAlgorithm: "sha256", SignatureHex: hexB}},
	{repo + "_uploads/u-1/data", Key{Kind: UploadData, Repository: "a/b", Upload: "u-1"}},
	{repo + "_uploads/u-1/startedat", Key{Kind: UploadStarted, Repository: "a/b", Upload: "u-1"}},
	{repo + "_uploads/u-1/hashstates/sha256/1048576", Key{Kind: UploadHash, Repository: "a/b", Upload: "u-1", Algorithm: "sha256", Rest: "1048576"}},
	{"docker/registry/lockfiles/database-in-use", Key{Kind: Lock, Rest: "database-in-use"}},
	{"scheduler-state.json", Key{Kind: Scheduler}},
	{"scheduler-state.json" + temp, Key{Kind: Temp, Rest: "scheduler-state.json" + temp}},
	{Root + "/x" + temp, Key{Kind: Temp, Rest: Root + "/x" + temp}},
	{Blobs + "/sha256/" + hexA[:2] + "/" + hexA + "/data" + temp, Key{Kind: Temp, Rest: Blobs + "/sha256/" + hexA[:2] + "/" + hexA + "/data" + temp}},
	{repo + "_layers/sha256/" + hexA + "/link" + temp, Key{Kind: Temp, Repository: "a/b", Rest: repo + "_layers/sha256/" + hexA + "/link" + temp}},
	{repo + "_manifests/tags/x" + temp + "/current/link", Key{Kind: TagCurrent, Repository: "a/b", Tag: "x" + temp}},
}

func TestParseAndFormat(t *testing.T) {
	for _, row := range rows {
		got, err := Parse(row.key)
		if err != nil || got != row.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", row.key, got, err, row.want)
		}
		if back := row.want.String(); back != row.key {
			t.Errorf("%+v is written %q, want %q", row.want, back, row.key)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	upper := strings.ToUpper(hexB)
	wrongPrefix := "00"
	for key, want := range map[string]error{
		"":                            ErrForeign,
		"/":                           ErrForeign,
		"lost+found":                  ErrForeign,
		"/scheduler-state.json":       ErrForeign,
		"docker/scheduler-state.json": ErrForeign,
		"docker/x" + temp:             ErrForeign,
		temp:                          ErrForeign,
		"scheduler-state.json" + strings.ToUpper(temp):                                        ErrForeign,
		"backup/link" + temp:                                                                  ErrForeign,
		Root + "/foreign/link" + temp:                                                         ErrForeign,
		"docker/registry/lockfiles/a/b":                                                       ErrForeign,
		"x/" + rows[0].key:                                                                    ErrForeign,
		"/" + rows[0].key:                                                                     ErrForeign,
		rows[0].key + "/":                                                                     ErrForeign,
		rows[0].key + "/link":                                                                 ErrForeign,
		strings.Replace(rows[0].key, "/data", "/link", 1):                                     ErrForeign,
		strings.Replace(rows[0].key, "/data", "//data", 1):                                    ErrForeign,
		Blobs + "/sha256/a":                                                                   ErrForeign,
		Blobs + "/sha256/a/a/data":                                                            ErrForeign,
		Blobs + "/sha256/aa/data":                                                             ErrForeign,
		Blobs + "/sha256/" + wrongPrefix + "/" + hexA + "/data":                               ErrForeign,
		Blobs + "/sha256/" + upper[:2] + "/" + upper + "/data":                                ErrForeign,
		Blobs + "/sha256/" + hexA[:2] + "/" + hexA[:63] + "/data":                             ErrForeign,
		Blobs + "/sha512/" + hexA[:2] + "/" + hexA + "/data":                                  ErrForeign,
		Blobs + "/../" + hexA[:2] + "/" + hexA + "/data":                                      ErrForeign,
		Blobs + "/_x/data":                                                                    ErrReserved,
		Root + "/_x/y/z":                                                                      ErrReserved,
		Repositories + "/link":                                                                ErrForeign,
		Repositories + "/_manifests/tags/x/current/link":                                      ErrReserved,
		Repositories + "/_layers/sha256/" + hexA + "/link":                                    ErrReserved,
		Repositories + "/./_layers/sha256/" + hexA + "/link":                                  ErrForeign,
		Repositories + "//_layers/sha256/" + hexA + "/link":                                   ErrForeign,
		Repositories + "/a/../_layers/sha256/" + hexA + "/link":                               ErrForeign,
		repo + "_layers":                                                                      ErrForeign,
		repo + "_layers/_layers/sha256/" + hexA + "/link":                                     ErrReserved,
		repo + "_layers/sha256/" + hexA + "/x/link":                                           ErrForeign,
		repo + "_layers/sha256/" + hexA:                                                       ErrForeign,
		repo + "_layers/Sha256/" + hexA + "/link":                                             ErrForeign,
		repo + "_layers/tarsum/" + hexA + "/link":                                             ErrForeign,
		repo + "_layers/tarsum/v1/sha256/" + hexA + "/x/link":                                 ErrForeign,
		repo + "_layers/tarsum/_v/sha256/" + hexA + "/link":                                   ErrReserved,
		repo + "_referrers/subjects/sha256/" + hexA + "/link":                                 ErrReserved,
		repo + "_referrers/link" + temp:                                                       ErrReserved,
		repo + "_manifests/revisions/sha256/" + hexA + "/_referrers/sha256/" + hexB + "/link": ErrReserved,
		repo + "_manifests/revisions/sha256/" + hexA + "/signatures/sha256/link":              ErrForeign,
		repo + "_manifests/tags/current/link":                                                 ErrForeign,
		repo + "_manifests/tags/x/current/link/link":                                          ErrForeign,
		repo + "_manifests/tags/x/index/link":                                                 ErrForeign,
		repo + "_manifests/tags/../current/link":                                              ErrForeign,
		repo + "_uploads/data":                                                                ErrForeign,
		repo + "_uploads/_x/data":                                                             ErrReserved,
		repo + "_uploads/u/hashstates/sha256/-1":                                              ErrForeign,
		repo + "_uploads/u/hashstates/1":                                                      ErrForeign,
	} {
		if got, err := Parse(key); !errors.Is(err, want) || got != (Key{}) {
			t.Errorf("Parse(%q) = %+v, %v; want %v", key, got, err, want)
		}
	}
}

func TestDigestOfAKeyIsThatOfBytes(t *testing.T) {
	for _, row := range rows {
		d, ok := row.want.Digest()
		named := slices.Contains([]Kind{Blob, Revision, TagHistory, LayerLink, Signature}, row.want.Kind) && row.want.Hex == hexA
		if ok != named || ok && d.Hex() != hexA {
			t.Errorf("digest of %q = %v, %v", row.key, d, ok)
		}
	}
}

func TestBuiltKeysParse(t *testing.T) {
	d := Sum([]byte("a"))
	for key, want := range map[string]Key{
		BlobKey(d):                      {Kind: Blob, Algorithm: "sha256", Hex: hexA},
		RevisionKey("r/s", d):           {Kind: Revision, Repository: "r/s", Algorithm: "sha256", Hex: hexA},
		LayerKey("r/s", d):              {Kind: LayerLink, Repository: "r/s", Algorithm: "sha256", Hex: hexA},
		CurrentKey("r/s", "t"):          {Kind: TagCurrent, Repository: "r/s", Tag: "t"},
		HistoryKey("r/s", "t", d):       {Kind: TagHistory, Repository: "r/s", Tag: "t", Algorithm: "sha256", Hex: hexA},
		UploadKey("r/s", "u") + "/data": {Kind: UploadData, Repository: "r/s", Upload: "u"},
	} {
		if got, err := Parse(key); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", key, got, err, want)
		}
	}
	if f := ParseDirectory(RepositoryKey("r/s")); f != (Directory{Kind: DirRepository, Repository: "r/s"}) {
		t.Errorf("RepositoryKey gives %+v", f)
	}
	if f := ParseDirectory(TagKey("r/s", "t")); f != (Directory{Kind: DirTag, Repository: "r/s", Tag: "t"}) {
		t.Errorf("TagKey gives %+v", f)
	}
}

func TestAppendNeverPanics(t *testing.T) {
	for kind := range Kind(255) {
		if got := (Key{Kind: kind, Hex: "a"}).String(); kind == 0 && got != "" {
			t.Errorf("a Key of no kind is written %q", got)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	buf, digest := make([]byte, 0, 1024), []byte(Empty.String())
	got := testing.AllocsPerRun(100, func() {
		for i := range rows {
			k, _ := Parse(rows[i].key)
			k.Digest()
			buf = k.Append(buf[:0])
			ParseDirectory(rows[i].key)
			ParseAnyDigest(digest)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkParse(b *testing.B) {
	key := LayerKey("library/nested/name", Empty)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(key); err != nil {
			b.Fatal(err)
		}
	}
}

package inventory

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/walker/layout"
)

// opened is a reader as an opened store.
type opened struct{ backend.Reader }

func (opened) Close() error { return nil }

// sample returns a store of two images, with a key that must be escaped.
func sample() *fixtures.Builder {
	b := fixtures.New(3)
	b.Image("team/app", "v1", fixtures.Image{})
	b.Image("other", "v1", fixtures.Image{})
	b.Put(layout.Blobs+"/a stray+file, and \"another\"", []byte("x"))
	return b
}

// withoutDirectories returns the store without empty directories, which no cloud lists.
func withoutDirectories(b *fixtures.Builder) *fixtures.Memory {
	m := &fixtures.Memory{}
	for _, key := range b.Keys() {
		f, _ := b.File(key)
		m.Put(key, f.Body, f.Modified)
	}
	return m
}

// written is a file in a listing.
type written struct {
	key, md5hex, md5base64 string
	size                   int
	modified               time.Time
	status, tier           string // of S3 Inventory in CSV: the encryption status, and the archive tier
}

func filesOf(t *testing.T, b *fixtures.Builder) (all []written) {
	t.Helper()
	for _, key := range b.Keys() {
		f, _ := b.File(key)
		sum := md5.Sum(f.Body)
		all = append(all, written{
			key: key, size: len(f.Body), modified: f.Modified,
			md5hex: fmt.Sprintf("%x", sum), md5base64: base64.StdEncoding.EncodeToString(sum[:]),
		})
	}
	return all
}

func save(t *testing.T, path string, body []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func packed(body string) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	io.WriteString(z, body)
	z.Close()
	return out.Bytes()
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

const stamp = "2006-01-02T15:04:05.000Z"

// delivered writes an S3 Inventory in two files, and returns its manifest.
func delivered(t *testing.T, dir, bucket, prefix string, files []written) string {
	t.Helper()
	var parts [2]strings.Builder
	for i, f := range files {
		row := func(key, latest, deleted string) {
			fmt.Fprintf(&parts[i%2], "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", quoted(bucket), quoted(url.QueryEscape(prefix+key)), quoted("v"), quoted(latest), quoted(deleted), quoted(fmt.Sprint(f.size)), quoted(f.modified.UTC().Format(stamp)), quoted(f.md5hex), quoted("STANDARD"), quoted(f.tier), quoted(f.status))
		}
		row(f.key, "true", "false")
		row(f.key+"-noncurrent", "false", "false")
		row(f.key+"-deleted", "true", "true")
	}
	var named []string
	for i := range parts {
		body := packed(parts[i].String())
		name := fmt.Sprintf("part-%d.csv.gz", i)
		save(t, filepath.Join(dir, "data", name), body)
		named = append(named, fmt.Sprintf(`{"key":"inventories/%s/daily/data/%s","size":%d,"MD5checksum":"%x"}`, bucket, name, len(body), md5.Sum(body)))
	}
	return save(t, filepath.Join(dir, "2026-11-28T01-00Z", "manifest.json"), []byte(fmt.Sprintf(`{"sourceBucket":"%s","destinationBucket":"arn:aws:s3:::inventories","version":"2016-11-30","creationTimestamp":"%d",
		"fileFormat":"CSV","fileSchema":"Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, IntelligentTieringAccessTier, EncryptionStatus","files":[%s]}`,
		bucket, time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC).UnixMilli(), strings.Join(named, ","))))
}

// inventoryRow is a row of an S3 Inventory in Parquet.
type inventoryRow struct {
	Bucket   string  `parquet:"bucket"`
	Key      string  `parquet:"key"`
	Version  *string `parquet:"version_id,optional"`
	Latest   *bool   `parquet:"is_latest,optional"`
	Deleted  *bool   `parquet:"is_delete_marker,optional"`
	Size     *int64  `parquet:"size,optional"`
	Modified *int64  `parquet:"last_modified_date,optional,timestamp(millisecond)"`
	ETag     *string `parquet:"e_tag,optional"`
	Class    *string `parquet:"storage_class,optional"`
	Status   *string `parquet:"encryption_status,optional"`
}

// parquetOf returns files of a bucket as Parquet rows, in groups of some rows, with noncurrent
// versions and delete markers in between.
func parquetOf(t *testing.T, bucket, prefix string, files []written) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[inventoryRow](&out, parquet.MaxRowsPerRowGroup(7))
	yes, no, class, status := true, false, "STANDARD", "SSE-S3"
	for _, f := range files {
		size, modified := int64(f.size), f.modified.UnixMilli()
		for _, row := range []inventoryRow{
			{bucket, prefix + f.key, &class, &yes, &no, &size, &modified, &f.md5hex, &class, &status},
			{bucket, prefix + f.key + "-noncurrent", &class, &no, &no, &size, &modified, &f.md5hex, &class, &status},
			{bucket, prefix + f.key + "-deleted", &class, &yes, &yes, nil, &modified, nil, nil, nil},
		} {
			if _, err := w.Write([]inventoryRow{row}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// deliveredParquet writes an S3 Inventory of one Parquet file, and returns its manifest.
func deliveredParquet(t *testing.T, dir, bucket string, body []byte) string {
	t.Helper()
	save(t, filepath.Join(dir, "data", "part.parquet"), body)
	return save(t, filepath.Join(dir, "2026-11-28T01-00Z", "manifest.json"), []byte(fmt.Sprintf(`{"sourceBucket":"%s","version":"2016-11-30","creationTimestamp":"%d",
		"fileFormat":"Parquet","fileSchema":"message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8); }","files":[{"key":"x/data/part.parquet","MD5checksum":"%x"}]}`,
		bucket, time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC).UnixMilli(), md5.Sum(body))))
}

// readAll reads listings, and compares the reported number of keys with the table.
func readAll(t *testing.T, files []string, s Store) (*Table, error) {
	t.Helper()
	reported := int64(0)
	table, err := Read(t.Context(), files, s, func(keys int64) { reported += keys })
	if err == nil && reported < int64(len(table.rows)) {
		t.Errorf("%q: %d keys reported, %d in the table", files, reported, len(table.rows))
	}
	return table, err
}

// everything returns the items of a listing, one line each.
func everything(t *testing.T, r backend.Reader, prefix string, expect backend.HintFunc) (lines []string) {
	t.Helper()
	err := r.List(context.Background(), prefix, expect, func(b backend.Batch) error {
		for _, it := range b.Items {
			lines = append(lines, fmt.Sprintf("%s %s %d %d %q %v %v", b.Dir, it.Name, it.Size, it.Modified/1e9, it.Body, it.Marker, it.Archived))
		}
		for _, f := range b.Faults {
			lines = append(lines, "fault "+f.Error())
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", prefix, err)
	}
	slices.Sort(lines)
	return lines
}

// links is a check's hint: a link with its content in each directory of digests, and a tag's
// link.
func links(dir string) backend.Hint {
	switch of := layout.ParseDirectory(dir); of.Kind {
	case layout.DirBlobPrefix:
		return backend.Hint{Name: "data"}
	case layout.DirRevisionAlg, layout.DirHistoryAlg, layout.DirLayerAlg:
		return backend.Hint{Name: "link", Read: 256, Siblings: backend.SiblingsAll, Content: of.Algorithm + ":", Repeated: of.Kind != layout.DirLayerAlg}
	case layout.DirTag:
		return backend.Hint{Name: "link", Read: 256, Siblings: backend.SiblingsAll}
	}
	return backend.Hint{}
}

// TestEachFormat: each format lists the same as the store itself, and links proven by an MD5
// aren't read.
func TestEachFormat(t *testing.T) {
	b := sample()
	files := filesOf(t, b)
	line := func(format func(f written) string) string {
		var s strings.Builder
		for _, f := range files {
			s.WriteString(format(f))
		}
		return s.String()
	}
	dir := t.TempDir()
	gcs := "project,bucket,name,size,updated,storageClass,md5Hash\n" + line(func(f written) string {
		return fmt.Sprintf("p,registry,%s,%d,%s,STANDARD,%s\n", quoted(f.key), f.size, f.modified.UTC().Format(time.RFC3339Nano), f.md5base64)
	})
	azure := "\ufeffName,Creation-Time,Last-Modified,Content-Length,Content-MD5,Etag,AccessTier,Deleted\n" + line(func(f written) string {
		return fmt.Sprintf("%s,x,%s,%d,%s,0x8D,Hot,\n", quoted(f.key), f.modified.UTC().Format("2006-01-02T15:04:05.0000000Z"), f.size, f.md5base64)
	})
	answers := func(sep string) string {
		half := len(files) / 2
		var pages []string
		for _, part := range [][]written{files[:half], files[half:]} {
			var rows []string
			for _, f := range part {
				rows = append(rows, fmt.Sprintf(`{"Key":%q,"LastModified":%q,"ETag":"\"%s\"","Size":%d,"StorageClass":"STANDARD"}`, f.key, f.modified.UTC().Format("2006-01-02T15:04:05+00:00"), f.md5hex, f.size))
			}
			pages = append(pages, `{"Contents":[`+strings.Join(rows, ",")+`],"RequestCharged":null}`)
		}
		return strings.Join(pages, sep)
	}
	var rows []string
	for _, f := range files {
		rows = append(rows, fmt.Sprintf(`{"Path":%q,"Name":"x","Size":%d,"ModTime":%q,"IsDir":false,"Hashes":{"md5":%q}}`, f.key, f.size, f.modified.Format(time.RFC3339Nano), f.md5hex))
	}
	rclone := `[{"Path":"docker","Size":-1,"ModTime":"2026-01-01T00:00:00Z","IsDir":true},` + "\n" + strings.Join(rows, ",\n") + "]\n"
	found := line(func(f written) string {
		return fmt.Sprintf("f\t%d\t%d.%09d0\t/srv/registry/%s\n", f.size, f.modified.Unix(), f.modified.Nanosecond(), f.key)
	})
	for name, c := range map[string]struct {
		path   string
		store  Store
		proven bool
	}{
		"S3 Inventory":             {delivered(t, dir, "registry", "", files), Store{Container: "registry"}, true},
		"S3 Inventory with a path": {delivered(t, filepath.Join(dir, "path"), "registry", "some/path/", files), Store{Container: "registry", Prefix: "some/path/"}, true},
		"S3 Inventory in Parquet":  {deliveredParquet(t, filepath.Join(dir, "parquet"), "registry", parquetOf(t, "registry", "some/path/", files)), Store{Container: "registry", Prefix: "some/path/"}, true},
		"Parquet":                  {save(t, filepath.Join(dir, "alone.parquet"), parquetOf(t, "registry", "", files)), Store{Container: "registry"}, true},
		"Storage Insights":         {save(t, filepath.Join(dir, "gcs.csv"), []byte(gcs)), Store{Container: "registry"}, true},
		"Azure":                    {save(t, filepath.Join(dir, "azure.csv"), []byte(azure)), Store{}, true},
		"answers":                  {save(t, filepath.Join(dir, "aws.json"), []byte(answers("\n"))), Store{}, true},
		"answers, packed":          {save(t, filepath.Join(dir, "aws.json.gz"), packed(answers(""))), Store{}, true},
		"rclone":                   {save(t, filepath.Join(dir, "rclone.json"), []byte(rclone)), Store{}, true},
		"find":                     {save(t, filepath.Join(dir, "find.txt"), []byte(found)), Store{Prefix: "/srv/registry/"}, false},
		"find in the directory":    {save(t, filepath.Join(dir, "dot.txt"), []byte(strings.ReplaceAll(found, "/srv/registry/", "./"))), Store{Prefix: "/srv/registry/"}, false},
		"find, of a v2":            {save(t, filepath.Join(dir, "v2.txt"), []byte(strings.ReplaceAll(found, "/srv/registry/docker/registry/v2/", "./"))), Store{Prefix: "/v2/", Base: layout.Root}, false},
	} {
		table, err := readAll(t, []string{c.path}, c.store)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := withoutDirectories(b)
		counted := fixtures.NewFaulty(m, nil)
		r := Over(opened{counted}, table, 3, 1)
		for _, prefix := range []string{layout.Blobs, layout.Repositories} {
			if is, want := everything(t, r, prefix, links), everything(t, m, prefix, links); !slices.Equal(is, want) {
				t.Errorf("%s: below %s it lists\n%s\nand there is\n%s", name, prefix, strings.Join(is, "\n"), strings.Join(want, "\n"))
			}
		}
		if read, _ := counted.Count(); c.proven != (read == 0) {
			t.Errorf("%s: %d operations of the store", name, read)
		}
	}
}

// TestEncryptedETags: a link is read if its encryption makes its ETag something other than an
// MD5, even if the ETag looks right. Blobs have the store's ETags, by which a ledger
// identifies them. Archived files aren't read.
func TestEncryptedETags(t *testing.T) {
	for status, md5s := range map[string]bool{"": true, "NOT-SSE": true, "SSE-S3": true, "SSE-KMS": false, "DSSE-KMS": false, "SSE-C": false} {
		b := sample()
		files := filesOf(t, b)
		layers, tag, many := 0, layout.CurrentKey("other", "v1"), ""
		for i := range files {
			switch f := &files[i]; {
			case strings.Contains(f.key, "/_layers/"):
				f.status = status
				layers++
			case f.key == tag:
				f.tier = "DEEP_ARCHIVE"
			case strings.HasSuffix(f.key, "/data") && many == "":
				many, f.md5hex = f.key, f.md5hex+"-12"
			}
		}
		table, err := readAll(t, []string{delivered(t, t.TempDir(), "registry", "", files)}, Store{Container: "registry"})
		if err != nil {
			t.Fatal(err)
		}
		m := withoutDirectories(b)
		counted := fixtures.NewFaulty(m, nil)
		r := Over(opened{counted}, table, 3, 1)
		etags, archived := map[string]string{}, ""
		for _, prefix := range []string{layout.Blobs, layout.Repositories} {
			err := r.List(t.Context(), prefix, links, func(b backend.Batch) error {
				for _, it := range b.Items {
					etags[b.Dir+"/"+it.Name] = strings.Clone(it.ETag)
					if it.Archived {
						archived += b.Dir + "/" + it.Name
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n, _ := counted.Count(); n != map[bool]int{true: 0, false: 2 * layers}[md5s] || layers == 0 { // each is opened and read
			t.Errorf("%q: of %d links, %d were read", status, layers, n/2)
		}
		for _, f := range files {
			if etags[f.key] != f.md5hex {
				t.Errorf("%q: %s has the ETag %q, want %q", status, f.key, etags[f.key], f.md5hex)
			}
		}
		if archived != tag {
			t.Errorf("archived is %q", archived)
		}
	}
}

// TestMixedEncryption: a link is proven, however many before it have an ETag that is no MD5, or
// none.
func TestMixedEncryption(t *testing.T) {
	m, table := &fixtures.Memory{}, &Table{}
	for i := range pageSize + 1 {
		d := layout.Sum(fmt.Append(nil, i))
		sum := md5.Sum([]byte(d.String()))
		m.Put(layout.LayerKey("app", d), []byte(d.String()), time.Unix(1, 0))
		table.add(layout.LayerKey("app", d), row{size: 71, sum: sum, sumKind: []sumKind{noSum, anETag}[i%2]})
	}
	table.sort()
	table.rows[pageSize].sumKind = anMD5
	counted := fixtures.NewFaulty(m, nil)
	everything(t, Over(opened{counted}, table, 3, 1), layout.Repositories, links)
	if n, _ := counted.Count(); n != 2*pageSize {
		t.Errorf("%d operations of the store", n)
	}
}

// TestInvalidListings: each error is a sentence: for a file that isn't a listing, a truncated
// one, one of another bucket, and one whose files differ from its manifest.
func TestInvalidListings(t *testing.T) {
	dir := t.TempDir()
	files := filesOf(t, sample())
	edited := func(name string, edit func(dir string)) string {
		at := filepath.Join(dir, name)
		path := delivered(t, at, "registry", "", files)
		edit(at)
		return path
	}
	replace := func(path, old, by string) {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(body, []byte(old)) {
			t.Fatalf("%s has no %s", path, old)
		}
		save(t, path, bytes.Replace(body, []byte(old), []byte(by), 1))
	}
	manifest := func(at string) string { return filepath.Join(at, "2026-11-28T01-00Z", "manifest.json") }
	for name, c := range map[string]struct{ path, want string }{
		"empty":                     {save(t, filepath.Join(dir, "empty"), nil), "is empty"},
		"missing":                   {filepath.Join(dir, "missing"), "no such file"},
		"a directory":               {dir, "is no file"},
		"prose":                     {save(t, filepath.Join(dir, "prose"), []byte("Dear Sir,\nno.\n")), "it has no column with keys"},
		"a plan":                    {save(t, filepath.Join(dir, "plan"), []byte(`{"schema":"regfsck.plan/1"}`)), "it is neither an answer"},
		"half an answer":            {save(t, filepath.Join(dir, "half"), []byte(`{"Contents":[{"Key":"docker/registry/v2/blobs/x","Size":1,"LastModified":"2026-01-01T00:00:00Z"}`)), "record 1: unexpected EOF"},
		"one of several":            {save(t, filepath.Join(dir, "more"), []byte(`{"Contents":[],"NextToken":"x"}`)), "it is incomplete"},
		"half a find":               {save(t, filepath.Join(dir, "find"), []byte("f\t1\t1.5\t./docker/registry/v2/blobs/x\nf\t1\t1.5\t./dock")), "line 2 isn't whole"},
		"half of rclone":            {save(t, filepath.Join(dir, "rclone"), []byte(`[{"Path":"docker/registry/v2/blobs/x","Size":1,"ModTime":"2026-01-01T00:00:00Z"},`)), "EOF"},
		"elsewhere":                 {save(t, filepath.Join(dir, "other"), []byte("f\t1\t1.5\t/srv/other/docker/registry/v2/blobs/x\n")), "none of its keys begins with /srv/registry/docker/registry/v2"},
		"ORC":                       {edited("orc", func(at string) { replace(manifest(at), `"CSV"`, `"ORC"`) }), "only CSV and Parquet are read"},
		"CSV as Parquet":            {edited("parquet", func(at string) { replace(manifest(at), `"CSV"`, `"Parquet"`) }), "it can't be decoded as Parquet"},
		"half of Parquet":           {save(t, filepath.Join(dir, "half.parquet"), parquetOf(t, "registry", "", files)[:2000]), "it can't be decoded as Parquet"},
		"nested Parquet":            {save(t, filepath.Join(dir, "nested.parquet"), nested(t)), "holds more than one value a row"},
		"Parquet of another bucket": {save(t, filepath.Join(dir, "another.parquet"), parquetOf(t, "backup", "", files)), `row 1: it lists the bucket "backup"`},
		"other bucket":              {edited("bucket", func(at string) { replace(manifest(at), `"sourceBucket":"registry"`, `"sourceBucket":"backup"`) }), `it lists the bucket "backup"`},
		"changed part":              {edited("part", func(at string) { save(t, filepath.Join(at, "data", "part-1.csv.gz"), packed("")) }), "copy it again"},
		"lost part":                 {edited("lost", func(at string) { os.Remove(filepath.Join(at, "data", "part-0.csv.gz")) }), "copy the inventory with its data directory"},
	} {
		store := Store{Container: "registry"}
		if name == "elsewhere" {
			store = Store{Prefix: "/srv/registry/"}
		}
		if table, err := readAll(t, []string{c.path}, store); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, table, err)
		}
	}
}

// nested returns Parquet that isn't a listing.
func nested(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[struct {
		Keys []string `parquet:"keys"`
	}](&out)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestReadingCanBeInterrupted: a cancelled context ends the reading of each format.
func TestReadingCanBeInterrupted(t *testing.T) {
	files := filesOf(t, sample())
	dir := t.TempDir()
	line := fmt.Sprintf("f\t1\t1\t./%s\n", files[0].key)
	for name, path := range map[string]string{
		"CSV":     delivered(t, dir, "registry", "", files),
		"Parquet": save(t, filepath.Join(dir, "parquet"), parquetOf(t, "registry", "", files)),
		"find":    save(t, filepath.Join(dir, "find"), []byte(line+line+line)),
		"rclone":  save(t, filepath.Join(dir, "rclone"), []byte(`[{"Path":"a","ModTime":"2026-01-01T00:00:00Z"},{"Path":"b","ModTime":"2026-01-01T00:00:00Z"}]`)),
		"answer":  save(t, filepath.Join(dir, "aws"), []byte(`{"Contents":[{"Key":"a","LastModified":"2026-01-01T00:00:00Z"},{"Key":"b","LastModified":"2026-01-01T00:00:00Z"}]}`)),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		reported := 0
		_, err := Read(ctx, []string{path}, Store{}, func(int64) { reported++; cancel() })
		if !errors.Is(err, context.Canceled) || reported != 1 {
			t.Errorf("%s: %v after %d keys", name, err, reported)
		}
	}
}

// TestDamagedParquet: a file with any wrong byte is rejected or read, without a panic.
func TestDamagedParquet(t *testing.T) {
	whole := parquetOf(t, "registry", "", filesOf(t, sample()))
	path := filepath.Join(t.TempDir(), "damaged.parquet")
	refused := 0
	for at := 4; at < len(whole); at += 1 + len(whole)/300 {
		body := bytes.Clone(whole)
		body[at] ^= 0x55
		save(t, path, body)
		if _, err := readAll(t, []string{path}, Store{Container: "registry"}); err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

// TestUnreadableFiles: a file that can't be read is a fault, a file removed since is left out,
// and rechecks read the store. Directories are listed if they are empty, also if find prints
// others, with a slash where it was started. A context ends the listing.
func TestUnreadableFiles(t *testing.T) {
	b := sample()
	dir := t.TempDir()
	var s strings.Builder
	for _, f := range filesOf(t, b) {
		fmt.Fprintf(&s, "f\t%d\t%d\t%s\n", f.size, f.modified.Unix(), f.key)
	}
	var tags []string
	for _, repository := range []string{"team/app", "other"} {
		tags = append(tags, layout.CurrentKey(repository, "v1"))
	}
	fmt.Fprintf(&s, "l\t1\t1\t%[1]s/linked\nd\t0\t1\t%[1]s/empty\nd\t0\t1\t%[1]s/team\nd\t0\t1\t%[1]s/\np\t0\t1\t%[1]s/pipe\n", layout.Repositories)
	table, err := readAll(t, []string{save(t, filepath.Join(dir, "find"), []byte(s.String()))}, Store{Prefix: "/srv/"})
	if err != nil {
		t.Fatal(err)
	}
	m := b.Memory()
	faulty := fixtures.NewFaulty(m, func(_ int, op fixtures.Op, key string) fixtures.Wrong {
		switch {
		case op == fixtures.OpOpen && key == tags[0]:
			return fixtures.Fail
		case op == fixtures.OpOpen && key == tags[1]:
			return fixtures.Lie
		}
		return fixtures.Right
	})
	r := Over(opened{faulty}, table, 3, 1)
	text := strings.Join(everything(t, r, layout.Repositories, links), "\n")
	for _, want := range []string{"fault " + tags[0] + ": " + fixtures.ErrFaulty.Error(), "fault " + layout.Repositories + "/linked: " + backend.ErrSymlink.Error(), "fault " + layout.Repositories + "/pipe: ", layout.Repositories + " empty/ 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "/other/_manifests/tags/v1 current/link") || strings.Count(text, "/ 0") != 1 {
		t.Errorf("what was removed since is listed, or a directory that isn't empty:\n%s", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err = r.List(ctx, layout.Repositories, links, func(backend.Batch) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%v after %d batches", err, calls)
	}
	if again := everything(t, r, layout.RepositoryKey("other"), links); len(again) == 0 || strings.Contains(strings.Join(again, "\n"), "linked") {
		t.Errorf("a second look shows %q", again)
	}
}

// TestIncompleteListing: a listing without any blobs or without any links of a store that has
// some is an error.
func TestIncompleteListing(t *testing.T) {
	b := sample()
	for _, lacks := range []string{layout.Blobs, layout.Repositories} {
		var s strings.Builder
		for _, f := range filesOf(t, b) {
			if !strings.HasPrefix(f.key, lacks) {
				fmt.Fprintf(&s, "f\t%d\t%d\t%s\n", f.size, f.modified.Unix(), f.key)
			}
		}
		table, err := readAll(t, []string{save(t, filepath.Join(t.TempDir(), "find"), []byte(s.String()))}, Store{Prefix: "/srv/"})
		if err != nil {
			t.Fatal(err)
		}
		err = Over(opened{b.Memory()}, table, 0, 1).List(t.Context(), lacks, links, func(backend.Batch) error { return nil })
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "was cut") {
			t.Errorf("without %s: %v", lacks, err)
		}
	}
}

// tableWithout returns the table of a store without the keys that have a text in them.
func tableWithout(t *testing.T, b *fixtures.Builder, text string) *Table {
	t.Helper()
	var s strings.Builder
	for _, f := range filesOf(t, b) {
		if !strings.Contains(f.key, text) {
			fmt.Fprintf(&s, "f\t%d\t%d\t%s\n", f.size, f.modified.Unix(), f.key)
		}
	}
	table, err := readAll(t, []string{save(t, filepath.Join(t.TempDir(), "find"), []byte(s.String()))}, Store{Prefix: "/srv/"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestListingThatLacksNames: repositories, tags and revisions that the listing lacks are
// listed from the store.
func TestListingThatLacksNames(t *testing.T) {
	b := sample()
	b.Image("team/app/nested", "v1", fixtures.Image{})
	store := opened{withoutDirectories(b)}
	want := everything(t, store, layout.Repositories, links)
	for lacks, listed := range map[string][]string{
		"none":                         {},
		"/repositories/team/":          {"team"},
		"/repositories/team/app/neste": {"team/app/nested"},
		"/other/_manifests/tags/v1/":   {"other/_manifests"},
		"/other/_manifests/revisions/": {"other/_manifests"},
		"/other/_layers/":              {"other/_layers"},
	} {
		r := Over(store, tableWithout(t, b, lacks), 0, 1)
		if is := everything(t, r, layout.Repositories, links); !slices.Equal(is, want) {
			t.Errorf("without %s: listed\n%s\nwant\n%s", lacks, strings.Join(is, "\n"), strings.Join(want, "\n"))
		}
		for i := range listed {
			listed[i] = layout.RepositoryKey(listed[i])
		}
		if c := r.Comparison; !reflect.DeepEqual(c.Listed, listed) || len(c.Lacking) > 0 || c.Compared != c.Repositories {
			t.Errorf("without %s: %+v", lacks, c)
		}
		if is := everything(t, r, layout.Repositories, links); !slices.Equal(is, want) {
			t.Errorf("without %s, again: listed\n%s", lacks, strings.Join(is, "\n"))
		}
	}
}

// TestComparisonIsBounded: a large store is compared with few requests; what would take too
// many to list is a fault, and so is what a bad sample lacks.
func TestComparisonIsBounded(t *testing.T) {
	b := fixtures.New(1)
	for i := range 2000 {
		for _, name := range []string{"_manifests/tags/v1/current/link", "_layers/x/link"} {
			b.Put(layout.RepositoryKey(fmt.Sprintf("r%04d/", i))+name, []byte("x"))
		}
	}
	b.Put(layout.RepositoryKey("zz")+"/_manifests/tags/v1/current/link", []byte("x"))
	for _, c := range []struct {
		lacks             string
		perRequest        int
		compared, lacking int
	}{
		{"none", 1000, 16, 0},
		{"none", 1, 149, 0},
		{"/repositories/zz/", 1000, 16, 0},
		{"/tags/", 1000, 16, 17},
		{"/repositories/r1", 1000, 16, 1000},
		{"/repositories/r10", 1000, 16, 100}, // more than a quarter
	} {
		r := Over(opened{b.Memory()}, tableWithout(t, b, c.lacks), 0, c.perRequest)
		faults := 0
		err := r.List(t.Context(), layout.Repositories, links, func(b backend.Batch) error { faults += len(b.Faults); return nil })
		is := r.Comparison
		if err != nil || is.Compared != c.compared || len(is.Lacking) != c.lacking || faults != c.lacking || is.Requests > 50+4001/(10*c.perRequest) {
			t.Errorf("without %s, %d a request: %v, %d compared for %d requests, %d lacking, %d faults, %d listed", c.lacks, c.perRequest, err, is.Compared, is.Requests, len(is.Lacking), faults, len(is.Listed))
		}
	}
}

// TestUnreadableNames: a directory whose names can't be read is a fault.
func TestUnreadableNames(t *testing.T) {
	b := sample()
	r := Over(nameless{opened{b.Memory()}}, tableWithout(t, b, "none"), 0, 1)
	if is := everything(t, r, layout.Repositories, links); !strings.HasPrefix(is[len(is)-1], "fault "+layout.RepositoryKey("team")+": ") || len(r.Comparison.Lacking) != 1 {
		t.Errorf("%q, %+v", is, r.Comparison)
	}
}

// nameless is a store in which the names of one directory can't be read.
type nameless struct{ backend.OpenedReader }

func (n nameless) Names(ctx context.Context, dir string) ([]backend.Item, error) {
	if dir == layout.RepositoryKey("team") {
		return nil, fs.ErrPermission
	}
	return n.OpenedReader.Names(ctx, dir)
}

package inventory

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend"
)

// Clouds deliver listings as CSV or as Parquet. The CSV files of an S3 Inventory have no
// header: its manifest.json names the columns. Those of other clouds have one.

// s3Manifest is the manifest.json of an S3 Inventory, as far as it is used
// (docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html).
type s3Manifest struct {
	SourceBucket string `json:"sourceBucket"`
	Created      string `json:"creationTimestamp"` // milliseconds since 1970
	Format       string `json:"fileFormat"`
	Schema       string `json:"fileSchema"`
	Files        []struct {
		Key string `json:"key"`
		MD5 string `json:"MD5checksum"`
	} `json:"files"`
}

// s3Inventory reads the files that an S3 Inventory's manifest names.
func (r *reading) s3Inventory(m *s3Manifest) error {
	if r.store.Container != "" && m.SourceBucket != r.store.Container {
		return fmt.Errorf("it lists the bucket %q, and the store is in %q", m.SourceBucket, r.store.Container)
	}
	created, err := strconv.ParseInt(m.Created, 10, 64)
	if err != nil {
		return fmt.Errorf("creationTimestamp %q is no number of milliseconds", m.Created)
	}
	r.made, r.dated = time.UnixMilli(created), true
	var columns columns
	switch m.Format {
	case "CSV":
		if columns, err = columnsOf(strings.Split(m.Schema, ",")); err != nil {
			return err
		}
	case "Parquet": // its files name their columns
	default:
		return fmt.Errorf("its files are %s, and only CSV and Parquet are read: choose one of these in the bucket's inventory configuration", m.Format)
	}
	if len(m.Files) == 0 {
		return errors.New("it names no files")
	}
	columns.escaped = true
	for _, file := range m.Files {
		path, err := r.findFile(file.Key)
		if err != nil {
			return err
		}
		if err := r.part(path, m.Format, file.MD5, columns); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// findFile returns the path of an inventory's file: as in the bucket, in data/ next to the
// directory of the manifest; or in that directory or its data/.
func (r *reading) findFile(key string) (string, error) {
	dir, name := filepath.Dir(r.path), filepath.Base(filepath.FromSlash(key))
	for _, path := range []string{filepath.Join(dir, "..", "data", name), filepath.Join(dir, "data", name), filepath.Join(dir, name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("it names %s, which is neither in %s nor in %s: copy the inventory with its data directory", key, filepath.Join(dir, "..", "data"), dir)
}

// part reads one file of an inventory after it has verified its MD5.
func (r *reading) part(path, format, sum string, columns columns) error {
	f, err := os.Open(path)
	if err != nil {
		return backend.Cause(err)
	}
	defer f.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, f); err != nil {
		return backend.Cause(err)
	}
	if is := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(is, sum) {
		return fmt.Errorf("its MD5 is %s, and the manifest says %s: copy it again", is, sum)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return backend.Cause(err)
	}
	r.lines = 0
	if format == "Parquet" {
		return r.parquet(f)
	}
	in, err := unpacked(f)
	if err != nil {
		return err
	}
	return r.rows(csv.NewReader(in), columns)
}

// table reads CSV with a header.
func (r *reading) table(in io.Reader) error {
	c := csv.NewReader(in)
	head, err := c.Read()
	if err != nil {
		return err
	}
	r.lines++
	columns, err := columnsOf(head)
	if err != nil {
		return fmt.Errorf("its format isn't known: %w (for an S3 Inventory name its manifest.json)", err)
	}
	return r.rows(c, columns)
}

// columns are the indexes of the columns that are read; -1 for a missing one.
type columns struct {
	key, size, modified, etag, md5, encryption, class, tier, latest, deleted, bucket int
	escaped                                                                          bool // keys are URL-encoded
}

// headings are the names of the columns, in lower case, without spaces, dashes and
// underscores: of S3 Inventory, of Storage Insights inventory reports
// (cloud.google.com/storage/docs/insights/inventory-reports) and of Azure blob inventory
// (learn.microsoft.com/azure/storage/blobs/blob-inventory).
var headings = []struct {
	names []string
	of    func(c *columns) *int
}{
	{[]string{"key", "name"}, func(c *columns) *int { return &c.key }},
	{[]string{"size", "contentlength"}, func(c *columns) *int { return &c.size }},
	{[]string{"lastmodifieddate", "lastmodified", "updated", "timecreated"}, func(c *columns) *int { return &c.modified }},
	{[]string{"etag"}, func(c *columns) *int { return &c.etag }},
	{[]string{"md5hash", "contentmd5"}, func(c *columns) *int { return &c.md5 }},
	{[]string{"encryptionstatus"}, func(c *columns) *int { return &c.encryption }},
	{[]string{"storageclass", "accesstier"}, func(c *columns) *int { return &c.class }},
	{[]string{"intelligenttieringaccesstier"}, func(c *columns) *int { return &c.tier }},
	{[]string{"islatest", "iscurrentversion"}, func(c *columns) *int { return &c.latest }},
	{[]string{"isdeletemarker", "deleted", "timedeleted"}, func(c *columns) *int { return &c.deleted }},
	{[]string{"bucket"}, func(c *columns) *int { return &c.bucket }},
}

// hashedAsWritten are the encryption statuses of objects whose ETag is the MD5 of content
// that was written in one piece; "" is for a listing without status. With any other, such
// as SSE-KMS, DSSE-KMS and SSE-C, the ETag only looks like an MD5
// (docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
var hashedAsWritten = []string{"", "NOT-SSE", "SSE-S3"}

// archiveTiers are the tiers of INTELLIGENT_TIERING whose files must be restored before they
// can be read.
var archiveTiers = []string{"ARCHIVE", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}

// columnsOf finds the columns by their names.
func columnsOf(names []string) (c columns, err error) {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "", "\ufeff", "")
	for _, h := range headings {
		at := h.of(&c)
		*at = -1
		for _, name := range h.names {
			if i := slices.IndexFunc(names, func(s string) bool { return strings.ToLower(plain.Replace(s)) == name }); i >= 0 {
				*at = i
				break
			}
		}
	}
	switch {
	case c.key < 0:
		return c, errors.New("it has no column with keys")
	case c.size < 0:
		return c, errors.New("it has no column with sizes")
	case c.modified < 0:
		return c, errors.New("it has no column with the times of the last change")
	}
	return c, nil
}

// rows reads the records of a CSV file.
func (r *reading) rows(in *csv.Reader, c columns) error {
	in.ReuseRecord = true
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.lines++
		if err := r.record(record, c); err != nil {
			return fmt.Errorf("line %d: %w", r.lines, err)
		}
	}
}

// record adds one record.
func (r *reading) record(record []string, c columns) error {
	field := func(at int) string {
		if at < 0 {
			return ""
		}
		return record[at]
	}
	if c.bucket >= 0 && r.store.Container != "" && field(c.bucket) != r.store.Container {
		return fmt.Errorf("it lists the bucket %q, and the store is in %q", field(c.bucket), r.store.Container)
	}
	if strings.EqualFold(field(c.latest), "false") || !slices.Contains([]string{"", "false"}, strings.ToLower(field(c.deleted))) {
		return nil // a noncurrent version, or a deleted object
	}
	key := field(c.key)
	if c.escaped {
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		key = plain
	}
	size := int64(0)
	if s := field(c.size); s != "" || !strings.HasSuffix(key, "/") { // directories may have no size
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("size %q is no number of bytes", s)
		}
		size = n
	}
	modified, err := parseTime(field(c.modified))
	if err != nil {
		return fmt.Errorf("time %w", err)
	}
	of := rowOf(size, modified, field(c.etag), field(c.class))
	if of.sumKind == anMD5 && !slices.Contains(hashedAsWritten, strings.ToUpper(field(c.encryption))) {
		of.sumKind = anETag
	}
	if slices.Contains(archiveTiers, strings.ToUpper(field(c.tier))) {
		of.kind = archivedFile
	}
	if sum, err := base64.StdEncoding.DecodeString(field(c.md5)); err == nil && len(sum) == md5.Size {
		of.sumKind, of.parts = anMD5, 0
		copy(of.sum[:], sum)
	}
	return r.addKey(key, of)
}

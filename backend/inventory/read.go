package inventory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Store is how listings name a store.
type Store struct {
	Container string // what holds it: its bucket; "" for none
	// Prefix is what stands before the store's keys: in a bucket its path there with a
	// slash at the end, or ""; of a directory of this machine the absolute path, with a
	// slash.
	Prefix string
	// Base is the key of the directory that Prefix names, "" for the store's root.
	Base string
}

// Read reads listings of a store. Together they are one. Their forms, told apart by what
// is in them, are these:
//
//   - S3 Inventory: its manifest.json, with the CSV files that it names
//   - CSV with a line of headings: the inventories of Google Cloud Storage and Azure
//   - JSON of aws s3api list-objects-v2, one or several answers
//   - JSON of rclone lsjson -R
//   - lines of find -printf '%y\t%s\t%T@\t%p\n'
//
// Each but a manifest.json may be compressed with gzip. Errors are sentences for the
// operator.
func Read(files []string, s Store) (*Table, error) {
	t := &Table{}
	for _, path := range files {
		r := reading{Table: t, store: s, path: path}
		if err := r.file(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if t.Made.IsZero() || r.made.Before(t.Made) {
			t.Made = r.made
		}
	}
	if len(t.rows) == 0 {
		return nil, fmt.Errorf("%s: no key of it begins with %s: it is a listing of something else, or was made in another directory", strings.Join(files, ", "), s.Prefix+layout.Root)
	}
	t.sort()
	return t, nil
}

// reading is one file that is read.
type reading struct {
	*Table
	store Store
	path  string
	made  time.Time
	lines int // of the file, or records
}

// file reads the file, whatever its form.
func (r *reading) file() error {
	f, err := os.Open(r.path)
	if err != nil {
		return backend.Cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return backend.Cause(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("is no file")
	}
	r.made = info.ModTime()
	in, err := unpacked(f)
	if err != nil {
		return err
	}
	switch first, err := firstByte(in); {
	case errors.Is(err, io.EOF):
		return errors.New("is empty")
	case err != nil:
		return err
	case first == '{':
		return r.objects(in)
	case first == '[':
		return r.rclone(in)
	}
	line, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head, _, _ := strings.Cut(string(line), "\n")
	if kind, rest, ok := strings.Cut(head, "\t"); ok && len(kind) == 1 && strings.Count(rest, "\t") >= 2 {
		return r.find(in)
	}
	return r.table(in)
}

// unpacked returns what is in a file that may be compressed with gzip.
func unpacked(f io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(f, 1<<16)
	magic, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, 1<<16), nil
}

// firstByte returns the first byte that isn't white space, and leaves it.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		b, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n\ufeff", rune(b)) && b != 0xef && b != 0xbb && b != 0xbf {
			return b, in.UnreadByte()
		}
	}
}

// take takes in a key as the listing names it, if it is the store's.
func (r *reading) take(name string, is row) {
	key, ok := strings.CutPrefix(name, r.store.Prefix)
	if !ok && filepath.IsAbs(r.store.Prefix) && !filepath.IsAbs(name) { // it was made in the directory
		key, ok = strings.TrimPrefix(name, "./"), true
	}
	if ok {
		key = backend.JoinKey(r.store.Base, key)
	}
	if !ok || !strings.HasPrefix(key, layout.Root+"/") {
		r.other++
		return
	}
	r.add(key, is)
}

// delivery is what regfsck reads of the manifest.json of an S3 Inventory
// (docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html).
type delivery struct {
	SourceBucket string `json:"sourceBucket"`
	Created      string `json:"creationTimestamp"` // milliseconds since 1970
	Format       string `json:"fileFormat"`
	Schema       string `json:"fileSchema"`
	Files        []struct {
		Key string `json:"key"`
		MD5 string `json:"MD5checksum"`
	} `json:"files"`
}

// answer is one answer of aws s3api list-objects-v2.
type answer struct {
	Name     string // of the bucket; the tool leaves it out
	Contents []struct {
		Key, LastModified, ETag, StorageClass string
		Size                                  int64
	}
	NextToken             string
	NextContinuationToken string
}

// objects reads a file of JSON objects: an inventory's manifest, or answers of a server.
func (r *reading) objects(in io.Reader) error {
	d := json.NewDecoder(in)
	open := false
	for {
		var doc struct {
			delivery
			answer
		}
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("record %d: %w", r.lines+1, err)
		}
		if doc.Files != nil || doc.Schema != "" {
			return r.delivered(&doc.delivery)
		}
		r.lines++
		if doc.Contents == nil {
			return fmt.Errorf("record %d has no Contents: it is neither an answer of aws s3api list-objects-v2 nor the manifest.json of an S3 Inventory", r.lines)
		}
		for _, o := range doc.Contents {
			modified, err := moment(o.LastModified)
			if err != nil {
				return fmt.Errorf("key %q: LastModified %w", o.Key, err)
			}
			r.take(o.Key, rowOf(o.Size, modified, o.ETag, o.StorageClass))
		}
		open = doc.NextToken != "" || doc.NextContinuationToken != ""
	}
	if open {
		return errors.New("it isn't whole: its last answer says that more follow (leave out --max-items)")
	}
	return nil
}

// delivered reads the files that an S3 Inventory's manifest names.
func (r *reading) delivered(m *delivery) error {
	if r.store.Container != "" && m.SourceBucket != r.store.Container {
		return fmt.Errorf("it lists the bucket %q, and the store is in %q", m.SourceBucket, r.store.Container)
	}
	created, err := strconv.ParseInt(m.Created, 10, 64)
	if err != nil {
		return fmt.Errorf("creationTimestamp %q is no number of milliseconds", m.Created)
	}
	r.made = time.UnixMilli(created)
	if m.Format != "CSV" {
		return fmt.Errorf("its files are %s, and only CSV is read: choose the format CSV in the bucket's inventory configuration", m.Format)
	}
	columns, err := columnsOf(strings.Split(m.Schema, ","))
	if err != nil {
		return err
	}
	if len(m.Files) == 0 {
		return errors.New("it names no files")
	}
	columns.escaped = true
	for _, file := range m.Files {
		path, err := r.beside(file.Key)
		if err != nil {
			return err
		}
		if err := r.part(path, file.MD5, columns); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// beside returns where a file of an inventory lies: as in the bucket, where it is in data/
// next to the directory of the manifest, or in the same directory.
func (r *reading) beside(key string) (string, error) {
	dir, name := filepath.Dir(r.path), filepath.Base(filepath.FromSlash(key))
	for _, path := range []string{filepath.Join(dir, "..", "data", name), filepath.Join(dir, "data", name), filepath.Join(dir, name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("it names %s, which is neither in %s nor in %s: copy the inventory with its data directory", key, filepath.Join(dir, "..", "data"), dir)
}

// part reads one file of an inventory, and holds it against its checksum.
func (r *reading) part(path, sum string, columns columns) error {
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
	in, err := unpacked(f)
	if err != nil {
		return err
	}
	r.lines = 0
	return r.rows(csv.NewReader(in), columns)
}

// table reads CSV whose first line names the columns.
func (r *reading) table(in io.Reader) error {
	c := csv.NewReader(in)
	head, err := c.Read()
	if err != nil {
		return err
	}
	r.lines++
	columns, err := columnsOf(head)
	if err != nil {
		return fmt.Errorf("it is no listing that is known: %w (of an S3 Inventory name its manifest.json)", err)
	}
	return r.rows(c, columns)
}

// columns are the places of what is read in a record of CSV; -1 for what isn't there.
type columns struct {
	key, size, modified, etag, md5, class, latest, deleted, bucket int
	escaped                                                        bool // keys are URL-encoded
}

// headings are the names of the columns, without spaces, dashes and underscores and in
// lower case: of S3 Inventory, of Storage Insights inventory reports
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
	{[]string{"storageclass", "accesstier"}, func(c *columns) *int { return &c.class }},
	{[]string{"islatest", "iscurrentversion"}, func(c *columns) *int { return &c.latest }},
	{[]string{"isdeletemarker", "deleted", "timedeleted"}, func(c *columns) *int { return &c.deleted }},
	{[]string{"bucket"}, func(c *columns) *int { return &c.bucket }},
}

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

// record takes in one record.
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
		return nil // a noncurrent version, or what was deleted
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
	if s := field(c.size); s != "" || !strings.HasSuffix(key, "/") { // directories may have none
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("size %q is no number of bytes", s)
		}
		size = n
	}
	modified, err := moment(field(c.modified))
	if err != nil {
		return fmt.Errorf("time %w", err)
	}
	is := rowOf(size, modified, field(c.etag), field(c.class))
	if sum, err := base64.StdEncoding.DecodeString(field(c.md5)); err == nil && len(sum) == md5.Size {
		is.hasMD5 = true
		copy(is.md5[:], sum)
	}
	r.take(key, is)
	return nil
}

// archives are the storage classes of which nothing can be read until it is restored.
var archives = []string{"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}

// rowOf is a file with what a listing says of it.
func rowOf(size, modified int64, etag, class string) row {
	is := row{size: size, modified: modified, archived: slices.Contains(archives, strings.ToUpper(class)) || class == "Archive"}
	etag = strings.Trim(etag, `"`)
	if len(etag) == hex.EncodedLen(md5.Size) {
		_, err := hex.Decode(is.md5[:], []byte(etag))
		is.hasMD5 = err == nil
	}
	return is
}

// rclone reads what rclone lsjson prints.
func (r *reading) rclone(in io.Reader) error {
	d := json.NewDecoder(in)
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		var f struct {
			Path    string
			Size    int64
			ModTime string
			IsDir   bool
			Tier    string
			Hashes  struct {
				MD5 string `json:"md5"`
			}
		}
		if err := d.Decode(&f); err != nil {
			return fmt.Errorf("record %d: %w", r.lines+1, err)
		}
		r.lines++
		if f.IsDir {
			continue
		}
		modified, err := moment(f.ModTime)
		if err != nil {
			return fmt.Errorf("%s: ModTime %w", f.Path, err)
		}
		if f.Path == "" || f.Size < 0 {
			return fmt.Errorf("record %d has no Path or no Size: it is no listing of rclone lsjson", r.lines)
		}
		r.take(f.Path, rowOf(f.Size, modified, f.Hashes.MD5, f.Tier))
	}
	_, err := d.Token()
	return err
}

// natures are the letters of find's %y.
var natures = map[string]nature{"f": file, "d": emptyDirectory, "l": symlink}

// find reads lines of find -printf '%y\t%s\t%T@\t%p\n'.
func (r *reading) find(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		r.lines++
		if err != nil {
			return fmt.Errorf("line %d isn't whole: the listing was cut", r.lines)
		}
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(parts) < 4 {
			return fmt.Errorf(`line %d isn't of the form '%%y\t%%s\t%%T@\t%%p\n' of find -printf`, r.lines)
		}
		is, known := natures[parts[0]]
		if !known {
			is = irregular
		}
		size, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("line %d: size %q is no number of bytes", r.lines, parts[1])
		}
		modified, err := moment(parts[2])
		if err != nil {
			return fmt.Errorf("line %d: time %w", r.lines, err)
		}
		r.take(parts[3], row{is: is, size: size, modified: modified})
	}
}

// moment reads a time: RFC 3339 as all clouds write it, or seconds since 1970 with a
// fraction as find does. It returns nanoseconds since 1970.
func moment(text string) (int64, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return backend.Nanoseconds(t.Unix(), int64(t.Nanosecond())), nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanoseconds := int64(0)
	if err == nil && fraction != "" {
		nanoseconds, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	}
	if err != nil || nanoseconds < 0 || seconds == math.MinInt64 {
		return 0, fmt.Errorf("%q is neither like 2026-11-28T02:00:00Z nor a number of seconds", text)
	}
	return backend.Nanoseconds(seconds, nanoseconds), nil
}

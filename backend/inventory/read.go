package inventory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Store is how listings name the keys of a store.
type Store struct {
	Container string // its bucket; "" for none
	// Prefix is the part before the store's keys: in a bucket the path there with a slash
	// at the end, or ""; for a directory of this machine its absolute path, with a slash.
	Prefix string
	// Base is the key of the directory with that Prefix; "" for the store's root.
	Base string
}

// Read reads listings of a store, as one. It recognises these formats by content:
//
//   - S3 Inventory: its manifest.json, with the files of CSV or Parquet that it names
//   - CSV with a header, or Parquet: the inventories of Google Cloud Storage and Azure
//   - JSON of aws s3api list-objects-v2, one or several responses
//   - JSON of rclone lsjson -R
//   - lines of find -printf '%y\t%s\t%T@\t%p\n'
//
// All but a manifest.json and Parquet may be compressed with gzip. It calls read for each key
// that they name. Errors are sentences for the operator, or ctx's.
func Read(ctx context.Context, files []string, s Store, read func(keys int64)) (*Table, error) {
	t := &Table{}
	for _, path := range files {
		r := reading{Table: t, ctx: ctx, store: s, path: path, read: read}
		if err := r.file(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if t.Made.IsZero() || r.made.Before(t.Made) {
			t.Made, t.Dated = r.made, r.dated
		}
	}
	if len(t.rows) == 0 {
		return nil, fmt.Errorf("%s: none of its keys begins with %s: it is a listing of another store, or was made in another directory", strings.Join(files, ", "), s.Prefix+layout.Root)
	}
	t.sort()
	return t, nil
}

// reading is the state of reading one file.
type reading struct {
	*Table
	ctx   context.Context
	store Store
	path  string
	read  func(keys int64)
	made  time.Time
	dated bool // made is from the listing itself
	lines int  // lines or records read
}

// file reads the file in any format.
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
	var magic [len(parquetMagic)]byte
	if _, err := f.ReadAt(magic[:], 0); err == nil && string(magic[:]) == parquetMagic {
		return r.parquet(f)
	}
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

// unpacked returns the content of a file that may be compressed with gzip.
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

// firstByte returns the first byte that isn't white space, without consuming it.
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

// addKey adds a row if the listing's name is that of a key of the store. The error is
// the context's.
func (r *reading) addKey(name string, of row) error {
	r.read(1)
	key, ok := strings.CutPrefix(name, r.store.Prefix)
	if !ok && filepath.IsAbs(r.store.Prefix) && !filepath.IsAbs(name) { // find was run in the directory
		key, ok = strings.TrimPrefix(name, "./"), true
	}
	if ok {
		key = backend.JoinKey(r.store.Base, key)
	}
	if ok && strings.HasPrefix(key, layout.Root+"/") {
		r.add(key, of)
	}
	return r.ctx.Err()
}

// response is one response of aws s3api list-objects-v2.
type response struct {
	Contents []struct {
		Key, LastModified, ETag, StorageClass string
		Size                                  int64
	}
	NextToken             string
	NextContinuationToken string
}

// objects reads a file of JSON objects: an S3 Inventory's manifest, or responses of S3.
func (r *reading) objects(in io.Reader) error {
	d := json.NewDecoder(in)
	open := false
	for {
		var doc struct {
			s3Manifest
			response
		}
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("record %d: %w", r.lines+1, err)
		}
		if doc.Files != nil || doc.Schema != "" {
			return r.s3Inventory(&doc.s3Manifest)
		}
		r.lines++
		if doc.Contents == nil {
			return fmt.Errorf("record %d has no Contents: it is neither an answer of aws s3api list-objects-v2 nor the manifest.json of an S3 Inventory", r.lines)
		}
		for _, o := range doc.Contents {
			modified, err := parseTime(o.LastModified)
			if err != nil {
				return fmt.Errorf("key %q: LastModified %w", o.Key, err)
			}
			if err := r.addKey(o.Key, rowOf(o.Size, modified, o.ETag, o.StorageClass)); err != nil {
				return err
			}
		}
		open = doc.NextToken != "" || doc.NextContinuationToken != ""
	}
	if open {
		return errors.New("it is incomplete: its last response announces more (make it again without --max-items)")
	}
	return nil
}

// archives are the storage classes of files that must be restored before they can be read.
var archives = []string{"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}

// rowOf returns the row of a file. An ETag in the form of an MD5 is taken for that of the
// content.
func rowOf(size, modified int64, etag, class string) row {
	of := row{size: size, modified: modified}
	if slices.Contains(archives, strings.ToUpper(class)) || class == "Archive" {
		of.kind = archivedFile
	}
	sum, parts, multipart := strings.Cut(strings.Trim(etag, `"`), "-")
	if len(sum) != hex.EncodedLen(md5.Size) {
		return of
	}
	if _, err := hex.Decode(of.sum[:], []byte(sum)); err != nil {
		return of
	}
	if !multipart {
		of.sumKind = anMD5
	} else if n, err := strconv.ParseUint(parts, 10, 16); err == nil && n > 0 {
		of.sumKind, of.parts = anETag, uint16(n)
	}
	return of
}

// rclone reads the output of rclone lsjson.
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
		modified, err := parseTime(f.ModTime)
		if err != nil {
			return fmt.Errorf("%s: ModTime %w", f.Path, err)
		}
		if f.Path == "" || f.Size < 0 {
			return fmt.Errorf("record %d has no Path or no Size: it is no listing of rclone lsjson", r.lines)
		}
		if err := r.addKey(f.Path, rowOf(f.Size, modified, f.Hashes.MD5, f.Tier)); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// kinds maps the letters of find's %y; others are irregular.
var kinds = map[string]kind{"f": file, "d": directory, "l": symlink}

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
		kind, known := kinds[parts[0]]
		if !known {
			kind = irregular
		}
		size, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("line %d: size %q is no number of bytes", r.lines, parts[1])
		}
		modified, err := parseTime(parts[2])
		if err != nil {
			return fmt.Errorf("line %d: time %w", r.lines, err)
		}
		name := strings.TrimSuffix(parts[3], "/") // of a directory that the command names with a slash
		if err := r.addKey(name, row{kind: kind, size: size, modified: modified}); err != nil {
			return err
		}
	}
}

// parseTime parses a time: RFC 3339, as all clouds write it, or seconds since 1970 with a
// fraction, as find does. It returns nanoseconds since 1970.
func parseTime(text string) (int64, error) {
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

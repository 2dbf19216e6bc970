// Package batch verifies the bytes of a store where they are stored, by a job of S3 Batch
// Operations that computes checksums.
//
// Write writes the manifest of such a job: the list of objects to hash. Open reads the
// job's completion report. A report proves a blob only by a successful task that computed
// the SHA256 of the whole object. It has the ETag of the object: the caller has to compare
// that with the object's current ETag.
package batch

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"regfsck/backend"
	"regfsck/walker/layout"
)

// Store is the location of a store's objects.
type Store struct {
	Container string // the bucket
	Prefix    string // the part of their names before the keys: with a slash at its end, or ""
}

// Write writes the CSV manifest of a job for the keys of a store, one row for each, and
// returns the number of rows. Keys are URL-encoded, as S3 requires. Rows have no version
// IDs: a job hashes the current version of each object.
func Write(w io.Writer, s Store, keys iter.Seq[string]) (rows int64, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	for key := range keys {
		rows++
		if _, err := fmt.Fprintf(out, "%s,%s\n", s.Container, escaped(s.Prefix+key)); err != nil {
			return rows, err
		}
	}
	return rows, out.Flush()
}

// escaped encodes a key so that readers that decode + as a space, and those that don't, get
// the same key.
func escaped(key string) string {
	return slashes.Replace(url.QueryEscape(key))
}

var slashes = strings.NewReplacer("+", "%20", "%2F", "/")

// Report is the completion report of a job.
type Report struct {
	Created time.Time // after the end of the job
	Files   []string  // the names of the files with its rows, in their order
	Named   int64     // number of rows about blobs of the store that were read

	store    Store
	open     func(name string) (io.ReadCloser, error)
	sums     map[string]string // MD5 by file
	columns  columns
	unproven [reasons]tally
}

// ErrStore is the error for a report about another bucket.
var ErrStore = errors.New("is a report about another bucket")

// maxManifest is how many bytes of a manifest.json are read.
const maxManifest = 64 << 20

// Open reads the manifest.json of a report about objects of the store. open opens a file by
// its path relative to the manifest's directory. Errors are sentences for the operator that
// follow a name, or those of open.
func Open(manifest string, s Store, open func(name string) (io.ReadCloser, error)) (*Report, error) {
	f, err := open(manifest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, err
	}
	var m struct {
		Format             string
		ReportCreationDate string
		ReportSchema       string
		Results            []struct{ TaskExecutionStatus, Bucket, MD5Checksum, Key string }
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Format != format {
		return nil, fmt.Errorf("is not the manifest.json of a report of S3 Batch Operations in the format %s", format)
	}
	r := &Report{store: s, open: open, sums: map[string]string{}}
	if r.Created, err = time.Parse(time.RFC3339, m.ReportCreationDate); err != nil {
		return nil, fmt.Errorf("does not say when the report was made: ReportCreationDate is %q", m.ReportCreationDate)
	}
	if r.columns, err = columnsOf(m.ReportSchema); err != nil {
		return nil, err
	}
	if len(m.Results) == 0 {
		return nil, errors.New("names no file with results: request a report of all tasks (ReportScope AllTasks)")
	}
	for _, file := range m.Results {
		name := path.Base(file.Key) // files are beside the manifest, also in a copy
		sum, again := r.sums[name]
		switch {
		case !again:
			r.Files = append(r.Files, name)
			r.sums[name] = strings.ToLower(file.MD5Checksum)
		case !strings.EqualFold(sum, file.MD5Checksum):
			return nil, fmt.Errorf("names two files %s with other MD5 sums", name)
		}
	}
	return r, nil
}

const format = "Report_CSV_20180820"

// columns are the indexes of the columns that are read, and the number of columns.
type columns struct{ bucket, key, status, message, all int }

// normalized returns a column's name without the differences between spellings.
func normalized(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

func columnsOf(schema string) (c columns, err error) {
	names := strings.Split(schema, ",")
	c.all = len(names)
	for i := range names {
		names[i] = normalized(names[i])
	}
	for _, column := range []struct {
		name string
		at   *int
	}{{"Bucket", &c.bucket}, {"Key", &c.key}, {"TaskStatus", &c.status}, {"ResultMessage", &c.message}} {
		if *column.at = slices.Index(names, normalized(column.name)); *column.at < 0 {
			return c, fmt.Errorf("has no column %s: ReportSchema is %q", column.name, schema)
		}
	}
	return c, nil
}

// Proof is the result of a task for one blob.
type Proof struct {
	Digest layout.Digest // of the blob's key
	ETag   string        // of the object that was hashed, without quotes
	Right  bool          // its bytes hash to Digest
}

// Read reads one of the Files, and calls each for every blob of the store that a row
// proves. If it returns an error nothing of the file counts: ErrStore, one that says that
// the file isn't as the job wrote it, or one of reading.
func (r *Report) Read(ctx context.Context, file string, each func(Proof)) error {
	if r.sums[file] == "" {
		return errors.New("has no MD5 sum in the manifest, so nothing shows that it is whole")
	}
	f, err := r.open("results/" + file)
	if err != nil {
		var again error
		if f, again = r.open(file); again != nil {
			return unreadable(err)
		}
	}
	defer f.Close()
	sum := md5.New()
	whole := io.TeeReader(f, sum)
	rows := csv.NewReader(whole)
	rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = -1, true, true // AWS's own examples of failed tasks have bare quotes
	before, named := r.unproven, r.Named
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return unreadable(err)
		}
		if err := r.row(row, each); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.sums[file] {
		r.unproven, r.Named = before, named
		return fmt.Errorf("was cut or changed: its MD5 is %s, and the manifest says %s", got, r.sums[file])
	}
	return nil
}

func unreadable(err error) error { return fmt.Errorf("can't be read: %w", backend.Cause(err)) }

// reason returns why a row proves nothing.
type reason int

const (
	failed reason = iota
	composite
	algorithm
	noETag
	malformed
	reasons
)

// clauses say, after their number, why rows prove nothing.
var clauses = [reasons]struct{ one, many string }{
	failed:    {"object was not hashed: its task failed", "objects were not hashed: their tasks failed"},
	composite: {"checksum is not of the type FULL_OBJECT: a COMPOSITE one is of the parts of an object, and not of its bytes", "checksums are not of the type FULL_OBJECT: a COMPOSITE one is of the parts of an object, and not of its bytes"},
	algorithm: {"checksum is not a SHA256", "checksums are not SHA256"},
	noETag:    {"row has no ETag: nothing shows that the object is still the one that was hashed", "rows have no ETag: nothing shows that the objects are still those that were hashed"},
	malformed: {"row can't be understood", "rows can't be understood"},
}

// tally counts rows, and keeps the text of the first.
type tally struct {
	rows  int64
	first string
}

// Notes returns why rows that were read prove nothing, as sentences without a full stop.
func (r *Report) Notes() (all []string) {
	for i, t := range r.unproven {
		if t.rows == 0 {
			continue
		}
		what := clauses[i].many
		if t.rows == 1 {
			what = clauses[i].one
		}
		all = append(all, fmt.Sprintf("%d %s (the first: %s)", t.rows, what, t.first))
	}
	return all
}

// maxMessage is how many bytes of a row's message are shown.
const maxMessage = 200

func (r *Report) note(as reason, key, message string) {
	t := &r.unproven[as]
	if t.rows++; t.rows > 1 {
		return
	}
	if t.first = strings.ToValidUTF8(key, "�"); message != "" {
		t.first += ": " + strings.ToValidUTF8(message[:min(len(message), maxMessage)], "")
	}
}

// row reads one row. Its only error is ErrStore.
func (r *Report) row(row []string, each func(Proof)) error {
	c := r.columns
	if len(row) <= max(c.bucket, c.key, c.status, c.message) {
		r.note(malformed, strings.Join(row, ","), "it has too few columns")
		return nil
	}
	bucket, key := row[c.bucket], row[c.key]
	if bucket == "Bucket" && key == "Key" { // the header
		return nil
	}
	if bucket != r.store.Container {
		return fmt.Errorf("%w: %s", ErrStore, bucket)
	}
	d, ok := r.blob(key)
	if !ok { // not a blob of the store
		return nil
	}
	r.Named++
	switch status := strings.ToLower(row[c.status]); {
	case status == "failed":
		r.note(failed, key, row[c.message])
	case status != "succeeded":
		r.note(malformed, key, "its TaskStatus is "+row[c.status])
	case len(row) != c.all:
		r.note(malformed, key, fmt.Sprintf("it has %d columns, and ReportSchema has %d", len(row), c.all))
	default:
		p, as, problem := proofOf(d, row[c.message])
		if as != reasons {
			r.note(as, key, problem)
			return nil
		}
		each(p)
	}
	return nil
}

// blob returns the digest of the store's blob that has a URL-encoded key.
func (r *Report) blob(key string) (layout.Digest, bool) {
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		plain, err := decode(key)
		plain, ok := strings.CutPrefix(plain, r.store.Prefix)
		if err != nil || !ok {
			continue
		}
		name, ok := strings.CutSuffix(plain, "/data")
		if !ok {
			return layout.Digest{}, false
		}
		d, ok := layout.ParseHex(path.Base(name))
		return d, ok && layout.BlobKey(d) == plain
	}
	return layout.Digest{}, false
}

// proofOf returns what a task's message proves of the blob d, or the reason why it proves
// nothing, which otherwise is reasons.
func proofOf(d layout.Digest, message string) (p Proof, as reason, problem string) {
	fields := map[string]string{}
	var all map[string]any
	if err := json.Unmarshal([]byte(message), &all); err != nil {
		return p, malformed, "its ResultMessage is no JSON object"
	}
	for name, value := range all {
		text, _ := value.(string)
		name = normalized(name)
		if other, twice := fields[name]; twice && other != text {
			return p, malformed, "its ResultMessage has two values of " + name
		}
		fields[name] = text
	}
	if name := fields["checksumalgorithm"]; normalized(name) != "sha256" {
		return p, algorithm, "it is " + orNone(name)
	}
	if kind := fields["checksumtype"]; normalized(kind) != "fullobject" {
		return p, composite, "it is " + orNone(kind)
	}
	var sum []byte
	for _, form := range []struct {
		text   string
		decode func(string) ([]byte, error)
	}{{fields["checksumhex"], hex.DecodeString}, {fields["checksumbase64"], unbase64}} {
		if form.text == "" {
			continue
		}
		b, err := form.decode(form.text)
		switch {
		case err != nil || len(b) != sha256.Size:
			return p, malformed, "its checksum is not that of a SHA256: " + form.text
		case sum != nil && !bytes.Equal(sum, b):
			return p, malformed, "its checksums in hex and in base64 differ"
		}
		sum = b
	}
	etag := strings.Trim(fields["etag"], `"`)
	switch {
	case sum == nil:
		return p, malformed, "it has no checksum"
	case etag == "":
		return p, noETag, ""
	}
	return Proof{Digest: d, ETag: etag, Right: bytes.Equal(sum, d[:])}, reasons, ""
}

func orNone(s string) string {
	if s == "" {
		return "not told"
	}
	return s
}

func unbase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

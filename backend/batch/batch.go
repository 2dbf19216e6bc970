// Package batch has the bytes of a store in S3 hashed where they are: by a job of S3 Batch
// Operations that computes checksums.
//
// Write writes the manifest of such a job, which names the objects to hash. Open reads the
// report with which the job ends. A report proves something of a blob only where a task
// succeeded that computed the SHA256 of the whole object, and says which ETag the object
// had: whoever believes it has to see that the object still has that ETag.
package batch

import (
	"bufio"
	"bytes"
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

// Store is where a store's objects are.
type Store struct {
	Container string // their bucket
	Prefix    string // what stands there before their keys: with a slash at its end, or ""
}

// Write writes the CSV manifest of a job for the keys of a store, one row a key, and
// returns how many these are. Keys are URL-encoded, as S3 wants them. There are no version
// IDs: a job hashes the current version of each.
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

// escaped encodes a key so that it is the same again for those who take + for a space and
// for those who don't.
func escaped(key string) string {
	return slashes.Replace(url.QueryEscape(key))
}

var slashes = strings.NewReplacer("+", "%20", "%2F", "/")

// Report is the completion report of a job.
type Report struct {
	Created time.Time // the job had ended by then
	Files   []string  // with its rows, in their order
	Named   int64     // rows about blobs of the store that were read, whatever they say

	store   Store
	open    func(name string) (io.ReadCloser, error)
	sums    map[string]string // MD5 by file
	columns columns
	unsure  [reasons]tally
}

// ErrStore is a report about another bucket.
var ErrStore = errors.New("is a report about another bucket")

// maxManifest bounds what is read of a manifest.json.
const maxManifest = 64 << 20

// Open reads the manifest.json of a report about objects of the store. open opens what
// stands in the same directory, by its path there. Errors are sentences for the operator
// that go on behind a name, or those of open.
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
		name := path.Base(file.Key) // whatever was copied where, they are beside the manifest
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

// columns are the places of what is read of a row, and how many a row has.
type columns struct{ bucket, key, status, message, all int }

// plain is a name without the differences in which writers spell it.
func plain(name string) string {
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
		names[i] = plain(names[i])
	}
	for _, column := range []struct {
		name string
		at   *int
	}{{"Bucket", &c.bucket}, {"Key", &c.key}, {"TaskStatus", &c.status}, {"ResultMessage", &c.message}} {
		if *column.at = slices.Index(names, plain(column.name)); *column.at < 0 {
			return c, fmt.Errorf("has no column %s: ReportSchema is %q", column.name, schema)
		}
	}
	return c, nil
}

// Proof is what a task computed of one blob.
type Proof struct {
	Digest layout.Digest // by which the blob is called
	ETag   string        // of the object that was hashed, without quotes
	Right  bool          // its bytes are those that the digest names
}

// Read reads one of the Files and calls each for every blob of the store of which it says
// something certain. Nothing of it may be believed if there is an error: ErrStore, one that
// says that the file isn't the one that the job wrote, or that of reading it.
func (r *Report) Read(file string, each func(Proof)) error {
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
	before, named := r.unsure, r.Named
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable(err)
		}
		if err := r.row(row, each); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.sums[file] {
		r.unsure, r.Named = before, named
		return fmt.Errorf("was cut or changed: its MD5 is %s, and the manifest says %s", got, r.sums[file])
	}
	return nil
}

func unreadable(err error) error { return fmt.Errorf("can't be read: %w", backend.Cause(err)) }

// reason is why a row proves nothing.
type reason int

const (
	failed reason = iota
	composite
	algorithm
	untold
	garbled
	reasons
)

// why says what is wrong with rows that prove nothing, after their number.
var why = [reasons]struct{ one, many string }{
	failed:    {"object was not hashed: its task failed", "objects were not hashed: their tasks failed"},
	composite: {"checksum is not of the type FULL_OBJECT: a COMPOSITE one is of the parts of an object, and not of its bytes", "checksums are not of the type FULL_OBJECT: a COMPOSITE one is of the parts of an object, and not of its bytes"},
	algorithm: {"checksum is not a SHA256", "checksums are not SHA256"},
	untold:    {"row has no ETag: nothing shows that the object is still the one that was hashed", "rows have no ETag: nothing shows that the objects are still those that were hashed"},
	garbled:   {"row can't be understood", "rows can't be understood"},
}

// tally counts rows, and keeps what the first one says.
type tally struct {
	rows  int64
	first string
}

// Notes say what of the files that were read proves nothing, as sentences without an end.
func (r *Report) Notes() (all []string) {
	for i, t := range r.unsure {
		if t.rows == 0 {
			continue
		}
		what := why[i].many
		if t.rows == 1 {
			what = why[i].one
		}
		all = append(all, fmt.Sprintf("%d %s (the first: %s)", t.rows, what, t.first))
	}
	return all
}

// maxMessage bounds what is told of a row.
const maxMessage = 200

func (r *Report) doubt(as reason, key, message string) {
	t := &r.unsure[as]
	if t.rows++; t.rows > 1 {
		return
	}
	if t.first = strings.ToValidUTF8(key, "�"); message != "" {
		t.first += ": " + strings.ToValidUTF8(message[:min(len(message), maxMessage)], "")
	}
}

// row judges one row. The only error is ErrStore.
func (r *Report) row(row []string, each func(Proof)) error {
	c := r.columns
	if len(row) <= max(c.bucket, c.key, c.status, c.message) {
		r.doubt(garbled, strings.Join(row, ","), "it has too few columns")
		return nil
	}
	bucket, key := row[c.bucket], row[c.key]
	if bucket == "Bucket" && key == "Key" { // a line of headings
		return nil
	}
	if bucket != r.store.Container {
		return fmt.Errorf("%w: %s", ErrStore, bucket)
	}
	d, ok := r.blob(key)
	if !ok { // something else in the bucket
		return nil
	}
	r.Named++
	switch status := strings.ToLower(row[c.status]); {
	case status == "failed":
		r.doubt(failed, key, row[c.message])
	case status != "succeeded":
		r.doubt(garbled, key, "its TaskStatus is "+row[c.status])
	case len(row) != c.all:
		r.doubt(garbled, key, fmt.Sprintf("it has %d columns, and ReportSchema has %d", len(row), c.all))
	default:
		p, as, problem := judge(d, row[c.message])
		if as != reasons {
			r.doubt(as, key, problem)
			return nil
		}
		each(p)
	}
	return nil
}

// blob returns the digest of the store's blob that a URL-encoded key names.
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

// judge says what a task's message proves of the blob d, or why it proves nothing.
func judge(d layout.Digest, message string) (p Proof, as reason, problem string) {
	fields := map[string]string{}
	var all map[string]any
	if err := json.Unmarshal([]byte(message), &all); err != nil {
		return p, garbled, "its ResultMessage is no JSON object"
	}
	for name, value := range all {
		text, _ := value.(string)
		name = plain(name)
		if other, twice := fields[name]; twice && other != text {
			return p, garbled, "its ResultMessage has two values of " + name
		}
		fields[name] = text
	}
	if name := fields["checksumalgorithm"]; plain(name) != "sha256" {
		return p, algorithm, "it is " + orNone(name)
	}
	if kind := fields["checksumtype"]; plain(kind) != "fullobject" {
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
			return p, garbled, "its checksum is not that of a SHA256: " + form.text
		case sum != nil && !bytes.Equal(sum, b):
			return p, garbled, "its checksums in hex and in base64 differ"
		}
		sum = b
	}
	etag := strings.Trim(fields["etag"], `"`)
	switch {
	case sum == nil:
		return p, garbled, "it has no checksum"
	case etag == "":
		return p, untold, ""
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

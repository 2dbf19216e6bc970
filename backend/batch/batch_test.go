package batch

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"regfsck/walker/layout"
)

// bucket is the store of the reports.
var bucket = Store{"images", "team a/x+y/"}

const etag = "3c3c1813042989094598e4b57ecbdc82"

// key returns the key of a body in the bucket, as in a report.
func key(body string) string {
	return escaped(bucket.Prefix + layout.BlobKey(layout.Sum([]byte(body))))
}

// message returns a task's message as AWS writes it: with its spelling of names, and =
// escaped.
func message(body string, edit ...string) string {
	sum := layout.Sum([]byte(body))
	m := fmt.Sprintf(`{"checksum_base64":"%s","etag":"%s","checksumAlgorithm":"SHA256","checksumType":"FULL_OBJECT","checksum_hex":"%s"}`,
		strings.ReplaceAll(base64.StdEncoding.EncodeToString(sum[:]), "=", `\u003d`), etag, strings.ToUpper(sum.Hex()))
	return strings.NewReplacer(edit...).Replace(m)
}

// row returns a row as AWS writes it: the HTTP status precedes the error code, whatever
// ReportSchema says.
func row(fields ...string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.Write(fields); err != nil {
		panic(err)
	}
	w.Flush()
	return b.String()
}

func good(body string, edit ...string) string {
	return row(bucket.Container, key(body), "", "succeeded", "200", "", message(body, edit...))
}

const schema = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"

// files are the files of a report, by paths relative to its manifest.
type files map[string]string

func (f files) open(name string) (io.ReadCloser, error) {
	body, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(body)), nil
}

// reported returns a report with one file of results for each of the bodies.
func reported(bodies ...string) files {
	f := files{}
	var results []string
	for i, body := range bodies {
		name := fmt.Sprintf("%d.csv", i)
		f["results/"+name] = body
		results = append(results, fmt.Sprintf(`{"TaskExecutionStatus":"succeeded","Bucket":"reports","MD5Checksum":"%x","Key":"some/prefix/job-1/results/%s"}`, md5.Sum([]byte(body)), name))
	}
	f["manifest.json"] = `{"Format":"Report_CSV_20180820","ReportCreationDate":"2026-11-20T17:48:39.725Z","Results":[` + strings.Join(results, ",") + `],"ReportSchema":"` + schema + `"}`
	return f
}

// read reads all files of a report, and returns the proofs of the valid ones.
func (f files) read(t *testing.T) (proofs []Proof, notes string, failed []string) {
	t.Helper()
	r, err := Open("manifest.json", bucket, f.open)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.Files {
		var these []Proof
		if err := r.Read(t.Context(), name, func(p Proof) { these = append(these, p) }); err != nil {
			failed = append(failed, err.Error())
			continue
		}
		proofs = append(proofs, these...)
	}
	return proofs, strings.Join(r.Notes(), "\n"), failed
}

func TestDocumentedReport(t *testing.T) {
	sum := func(body string) layout.Digest { return layout.Sum([]byte(body)) }
	right := Proof{sum("a"), etag, true}
	wrong := Proof{sum("a"), etag, false}
	other := sum("b")
	for name, c := range map[string]struct {
		rows string
		want []Proof
		note string
	}{
		"as AWS writes it":     {good("a") + good("b"), []Proof{right, {sum("b"), etag, true}}, ""},
		"a heading":            {strings.ReplaceAll(schema, ", ", ",") + "\n" + good("a"), []Proof{right}, ""},
		"hex alone":            {good("a", "checksum_base64", "x"), []Proof{right}, ""},
		"base64 alone":         {good("a", "checksum_hex", "x"), []Proof{right}, ""},
		"other spelling":       {good("a", "checksum_hex", "ChecksumHex", "etag", "ETag", "checksumType", "checksum_type", "SHA256", "sha-256", "checksumAlgorithm", "ChecksumAlgorithm"), []Proof{right}, ""},
		"an ETag in quotes":    {good("a", etag, `\"`+etag+`\"`), []Proof{right}, ""},
		"a version":            {row("images", key("a"), "v.1", "succeeded", "200", "", message("a")), []Proof{right}, ""},
		"+ for a space":        {row("images", strings.ReplaceAll(key("a"), "%20", "+"), "", "succeeded", "200", "", message("a")), []Proof{right}, ""},
		"slashes encoded":      {row("images", strings.ReplaceAll(key("a"), "/", "%2F"), "", "succeeded", "200", "", message("a")), []Proof{right}, ""},
		"another hash":         {row("images", key("a"), "", "succeeded", "200", "", message("b")), []Proof{wrong}, ""},
		"an edited hash":       {good("a", sum("a").Hex()[:4], "0000", strings.ToUpper(sum("a").Hex()[:4]), "0000"), nil, "its checksums in hex and in base64 differ"},
		"COMPOSITE":            {good("a", "FULL_OBJECT", "COMPOSITE") + good("b"), []Proof{{other, etag, true}}, "1 checksum is not of the type FULL_OBJECT: a COMPOSITE one is of the parts of an object, and not of its bytes (the first: " + key("a") + ": it is COMPOSITE)"},
		"no type":              {good("a", "checksumType", "x"), nil, "it is not told"},
		"MD5":                  {good("a", "SHA256", "MD5") + good("b", "SHA256", "CRC32"), nil, "2 checksums are not SHA256 (the first: " + key("a") + ": it is MD5)"},
		"no algorithm":         {good("a", "checksumAlgorithm", "x"), nil, "1 checksum is not a SHA256"},
		"no ETag":              {good("a", `"etag"`, `"tag"`), nil, "1 row has no ETag"},
		"no checksum":          {good("a", "checksum_", ""), nil, "it has no checksum"},
		"a short checksum":     {good("a", strings.ToUpper(sum("a").Hex()), "6D2F5339"), nil, "not that of a SHA256"},
		"two values":           {good("a", `"etag"`, `"ETag":"x","etag"`), nil, "two values of"},
		"no JSON":              {row("images", key("a"), "", "succeeded", "200", "", "Successful"), nil, "no JSON object"},
		"failed":               {row("images", key("a"), "", "failed", "200", "PermanentFailure", message("a")), nil, "1 object was not hashed: its task failed"},
		"failed, bare quotes":  {`images,` + key("a") + `,,failed,200,PermanentFailure,"error details: {""failureMessage"":"Task 2845 SSE-C is not supported", ""errorCode"": "400"}"` + "\n" + good("b"), []Proof{{other, etag, true}}, "Task 2845 SSE-C is not supported"},
		"another status":       {row("images", key("a"), "", "pending", "200", "", message("a")), nil, "its TaskStatus is pending"},
		"too few columns":      {row("images", key("a"), "", "succeeded"), nil, "too few columns"},
		"too many columns":     {row("images", key("a"), "", "succeeded", "200", "", message("a"), "more"), nil, "it has 8 columns"},
		"another prefix":       {row("images", escaped("team/"+layout.BlobKey(sum("a"))), "", "succeeded", "200", "", message("a")), nil, ""},
		"a link":               {row("images", escaped(bucket.Prefix+"docker/registry/v2/repositories/a/_layers/sha256/x/link"), "", "succeeded", "200", "", message("a")), nil, ""},
		"in another directory": {row("images", strings.Replace(key("a"), "sha256/"+sum("a").Hex()[:2], "sha256/00", 1), "", "succeeded", "200", "", message("a")), nil, ""},
	} {
		proofs, notes, failed := reported(c.rows).read(t)
		if !slices.Equal(proofs, c.want) || (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) || failed != nil {
			t.Errorf("%s: %v, notes %q, failed %q", name, proofs, notes, failed)
		}
	}
}

// TestReportsThatLie: a file that isn't as the job wrote it proves nothing; the others count.
func TestReportsThatLie(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(files)
		want string
	}{
		"cut":          {func(f files) { f["results/0.csv"] = f["results/0.csv"][:len(f["results/0.csv"])-1] }, "was cut or changed: its MD5 is "},
		"cut to a row": {func(f files) { f["results/0.csv"] = good("a") }, "was cut or changed"},
		"edited":       {func(f files) { f["results/0.csv"] = good("a") + good("b", "SHA256", "MD5") }, "was cut or changed"},
		"empty":        {func(f files) { f["results/0.csv"] = "" }, "was cut or changed"},
		"gone":         {func(f files) { delete(f, "results/0.csv") }, "can't be read: file does not exist"},
		"no MD5": {func(f files) {
			f["manifest.json"] = strings.Replace(f["manifest.json"], "MD5Checksum", "x", 1)
		}, "has no MD5 sum"},
	} {
		f := reported(good("a")+good("b", "etag", "x"), good("c"))
		c.edit(f)
		proofs, notes, failed := f.read(t)
		if len(proofs) != 1 || proofs[0].Digest != layout.Sum([]byte("c")) || len(failed) != 1 || !strings.Contains(failed[0], c.want) || notes != "" {
			t.Errorf("%s: %v, %q, notes %q", name, proofs, failed, notes)
		}
	}
	f := reported(good("a"))
	f["0.csv"] = f["results/0.csv"] // copied into one directory
	delete(f, "results/0.csv")
	if proofs, _, failed := f.read(t); len(proofs) != 1 || failed != nil {
		t.Errorf("%v, %q", proofs, failed)
	}
	r, err := Open("manifest.json", bucket, reported(good("a")+row("other", key("b"), "", "succeeded", "200", "", message("b"))).open)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read(t.Context(), r.Files[0], func(Proof) {}); !errors.Is(err, ErrStore) || !strings.HasSuffix(err.Error(), ": other") {
		t.Errorf("of another bucket: %v", err)
	}
}

// TestReadingCanBeInterrupted: a cancelled context ends the reading between two rows.
func TestReadingCanBeInterrupted(t *testing.T) {
	r, err := Open("manifest.json", bucket, reported(good("a")+good("b")+good("c")).open)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	if err := r.Read(ctx, r.Files[0], func(Proof) { read++; cancel() }); !errors.Is(err, context.Canceled) || read != 1 {
		t.Errorf("%v after %d rows", err, read)
	}
}

// TestColumnsInAnotherOrder: ReportSchema determines the columns.
func TestColumnsInAnotherOrder(t *testing.T) {
	f := reported(row("succeeded", message("a"), "images", "", key("a")))
	f["manifest.json"] = strings.Replace(f["manifest.json"], schema, "task_status,result_message,BUCKET,VersionID,key", 1)
	if proofs, notes, failed := f.read(t); len(proofs) != 1 || !proofs[0].Right || notes != "" || failed != nil {
		t.Errorf("%v, %q, %q", proofs, notes, failed)
	}
}

func TestRejectedManifests(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"another format":  {"Report_CSV_20180820", "Report_CSV_2", "is not the manifest.json of a report"},
		"no JSON":         {`{"Format"`, `"Format"`, "is not the manifest.json"},
		"no date":         {"ReportCreationDate", "x", `ReportCreationDate is ""`},
		"no real date":    {"2026-11-20T", "2026-13-20T", "does not say when"},
		"no results":      {"Results", "x", "names no file"},
		"no status":       {", TaskStatus", "", "has no column TaskStatus"},
		"no message":      {", ResultMessage", "", "has no column ResultMessage"},
		"no schema":       {"ReportSchema", "x", "has no column "},
		"doubled, unlike": {`"Results":[`, `"Results":[{"Key":"results/0.csv","MD5Checksum":"0"},`, "names two files 0.csv"},
	} {
		f := reported(good("a"))
		f["manifest.json"] = strings.Replace(f["manifest.json"], c.old, c.new, 1)
		if _, err := Open("manifest.json", bucket, f.open); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open("nothing", bucket, files{}.open); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestManifestOfAJob: rows decode to the same key whether + is decoded as a space or not.
func TestManifestOfAJob(t *testing.T) {
	keys := map[string]bool{"a": true, "a b+c%,\"ü/ä": true, "x=&?#;:@$!'()*~": true}
	var b bytes.Buffer
	n, err := Write(&b, bucket, maps.Keys(keys))
	if err != nil || n != int64(len(keys)) {
		t.Fatal(n, err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != len(keys) {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		one, err := url.PathUnescape(r[1])
		other, again := url.QueryUnescape(r[1])
		if err != nil || again != nil || one != other || !keys[strings.TrimPrefix(one, bucket.Prefix)] || r[0] != bucket.Container {
			t.Errorf("%q: %q, %q, %v, %v", r, one, other, err, again)
		}
	}
}

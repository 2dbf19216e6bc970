package main

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"regfsck/cmd/regfsck/help"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// batchJob hashes objects and writes a report as S3 does.
type batchJob struct {
	images  *s3test.Bucket
	created time.Time
	// edit replaces the row of a key: bucket, key, version, status, HTTP status, error and
	// message.
	edit func(key string, row []string) [][]string

	sums map[string][sha256.Size]byte // of objects hashed before, by ETag
}

// run executes the job of a manifest, and returns the files of its report, by path.
func (j *batchJob) run(t *testing.T, manifest string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	etags := map[string]string{}
	for _, o := range j.images.Objects(t, "") {
		etags[o.Key] = o.ETag
	}
	if j.sums == nil {
		j.sums = map[string][sha256.Size]byte{}
	}
	var parts [2]bytes.Buffer // of a report with several files
	for i, task := range tasks {
		key, err := url.PathUnescape(task[1])
		if err != nil {
			t.Fatal(err)
		}
		sum, known := j.sums[etags[key]]
		if !known {
			body, ok := j.images.Get(t, key)
			if task[0] != j.images.Name || !ok {
				t.Fatalf("%q: no such object", task)
			}
			sum = sha256.Sum256(body)
			j.sums[etags[key]] = sum
		}
		message := fmt.Sprintf(`{"etag":%q,"checksumAlgorithm":"SHA256","checksumType":"FULL_OBJECT","checksum_hex":"%X"}`, strings.Trim(etags[key], `"`), sum)
		rows := [][]string{{task[0], task[1], "", "succeeded", "200", "", message}}
		if j.edit != nil {
			rows = j.edit(key, rows[0])
		}
		if err := csv.NewWriter(&parts[i%2]).WriteAll(rows); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	var results []string
	for i := range parts {
		name := fmt.Sprintf("results/%d.csv", i)
		files[name] = parts[i].Bytes()
		results = append(results, fmt.Sprintf(`{"TaskExecutionStatus":"succeeded","Bucket":"reports","MD5Checksum":"%x","Key":"jobs/job-1/%s"}`, md5.Sum(files[name]), name))
	}
	files["manifest.json"] = fmt.Appendf(nil, `{"Format":"Report_CSV_20180820","ReportCreationDate":%q,"Results":[%s],"ReportSchema":"Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"}`,
		j.created.UTC().Format(time.RFC3339Nano), strings.Join(results, ","))
	return files
}

// TestBatchJob: the report of a batch job verifies the blobs of a bucket without downloads,
// as far as it is valid.
func TestBatchJob(t *testing.T) {
	for name, opts := range map[string]s3test.Options{"versitygw": {}, "minio": {MinIO: true}} {
		t.Run(name, func(t *testing.T) { batchOn(t, s3test.Start(t, opts)) })
	}
}

func batchOn(t *testing.T, s *s3test.Server) {
	const prefix = "team+a/x y/"
	b := fixtures.Standard()
	f := newWhole(t, fixtures.New(1))
	credentials(t, s)
	images, reports := s.Make(t, "images"), s.Make(t, "reports")
	images.Fill(t, s3test.From(b.Into, prefix))
	images.Put(t, "something/else", []byte("x"))
	f.store = "s3://images/team+a/x y"
	started := time.Now()
	f.now = func() time.Time { return started.AddDate(0, 0, 3) }
	reach := []string{"--s3-endpoint", s.Endpoint, "--no-wait"}
	key := layerOf(t, b)
	file, _ := b.File(key)

	manifest := f.dir + "/blobs.csv"
	var doc struct {
		Tables string
		Files  []struct {
			Name, Path  string
			Rows, Bytes int64
		}
		Notes []string
	}
	if exit := f.document(t, &doc, "export", "STORE", "--batch-manifest", manifest, "--s3-endpoint", s.Endpoint); exit != 0 || doc.Tables != "" || len(doc.Files) != 1 || doc.Files[0].Path != manifest || doc.Files[0].Bytes < 100*doc.Files[0].Rows {
		t.Fatalf("exit %d, %+v, %s", exit, doc, f.errs.String())
	}
	all := int(doc.Files[0].Rows)

	verified := func(j *batchJob, spoil func(files map[string][]byte), flags ...string) proven {
		t.Helper()
		files := j.run(t, manifest)
		if spoil != nil {
			spoil(files)
		}
		for name, body := range files {
			write(t, f.dir+"/report/"+name, string(body))
			reports.Put(t, "jobs/job-1/"+name, body)
		}
		local := f.proves(t, append(append(flags, "--verified", "DIR/report/manifest.json"), reach...)...)
		there := f.proves(t, append(append(flags, "--verified", "s3://reports/jobs/job-1/manifest.json"), reach...)...)
		for _, n := range there.Notes {
			n = strings.ReplaceAll(n, "s3://reports/jobs/job-1/", f.dir+"/report/")
			if !strings.Contains(strings.Join(local.Notes, "\n"), n) {
				t.Errorf("read here %q, there %q", local.Notes, there.Notes)
			}
		}
		if there.Proofs != local.Proofs || there.Exit != local.Exit || there.corrupt() != local.corrupt() {
			t.Errorf("read here %+v, there %+v", local, there)
		}
		return there
	}
	sums := map[string][sha256.Size]byte{}
	job := func(edit func(key string, row []string) [][]string) *batchJob {
		return &batchJob{images, started.Add(time.Hour), edit, sums}
	}
	about := func(change func(row []string) [][]string) *batchJob { // edits the layer's row
		return job(func(k string, row []string) [][]string {
			if k == prefix+key {
				return change(row)
			}
			return [][]string{row}
		})
	}
	message := func(old, fresh string) *batchJob {
		return about(func(row []string) [][]string {
			row[6] = strings.Replace(row[6], old, fresh, 1)
			return [][]string{row}
		})
	}

	whole := verified(job(nil), nil)
	if whole.Exit.Code != 0 || whole.Proofs.Hashed.Blobs+whole.Proofs.Unproven.Blobs > 0 || whole.Proofs.Known.Blobs+whole.Proofs.Manifests.Blobs != all || whole.Proofs.Known.Blobs < 20 {
		t.Errorf("the whole bucket: %+v of %d", whole, all)
	}
	early := job(nil)
	early.created = started.Add(-time.Hour)
	images.Put(t, prefix+key, file.Body) // the same bytes and ETag
	if p := verified(early, nil); p.Exit.Code != 8 || p.Proofs.Unproven.Blobs == 0 {
		t.Errorf("written after the report was made: %+v", p)
	}
	for what, c := range map[string]struct {
		job  *batchJob
		note string
	}{
		"no row":         {about(func([]string) [][]string { return nil }), ""},
		"failed":         {about(func(row []string) [][]string { row[3] = "failed"; return [][]string{row} }), "1 object was not hashed"},
		"COMPOSITE":      {message("FULL_OBJECT", "COMPOSITE"), "not of the type FULL_OBJECT"},
		"MD5":            {message("SHA256", "MD5"), "is not a SHA256"},
		"no ETag":        {message("etag", "x"), "1 row has no ETag"},
		"another object": {message(`"etag":"`, `"etag":"0`), ""},
		"missing column": {about(func(row []string) [][]string { return [][]string{row[:6]} }), "too few columns"},
	} {
		p := verified(c.job, nil)
		if p.Exit.Code != 8 || p.Proofs.Unproven.Blobs != 1 || p.Proofs.Known.Blobs != whole.Proofs.Known.Blobs-1 || !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
			t.Errorf("%s: %+v", what, p)
		}
		if p := verified(c.job, nil, "--verify", "missing"); p.Exit.Code != 0 || p.Proofs.Hashed.Blobs != 1 || p.Proofs.Unproven.Blobs > 0 {
			t.Errorf("%s, and what is missing: %+v", what, p)
		}
	}
	p := verified(job(nil), func(files map[string][]byte) {
		files["results/1.csv"] = files["results/1.csv"][:len(files["results/1.csv"])-1]
	})
	if p.Exit.Code != 8 || p.Proofs.Unproven.Blobs < 10 || p.Proofs.Known.Blobs < 10 || !strings.Contains(strings.Join(p.Notes, "\n"), "of its file 1.csv nothing is used: it was cut or changed") {
		t.Errorf("a file was cut: %+v", p)
	}
	lie := strings.Repeat("A", 64)
	edited := about(func(row []string) [][]string {
		again := append([]string{}, row...)
		again[6] = strings.Replace(row[6], fmt.Sprintf("%X", sha256.Sum256(file.Body)), lie, 1)
		return [][]string{row, again}
	})
	if p := verified(edited, nil); p.Exit.Code != 0 || p.Proofs.Hashed.Blobs != 1 || !strings.Contains(strings.Join(p.Notes, "\n"), "The reports disagree about blobs (1, for example") {
		t.Errorf("doubled, and not alike: %+v", p)
	}

	bad := append([]byte{}, file.Body...)
	bad[100] ^= 1
	images.Put(t, prefix+key, bad)
	for _, flags := range [][]string{nil, {"--verify", "missing"}} {
		if p := verified(job(nil), nil, flags...); p.Exit.Code != 4 || p.corrupt() != key+" " || p.Proofs.Wrong.Blobs != 1 || p.Proofs.Unproven.Blobs > 0 {
			t.Errorf("the job saw that it is corrupt: %+v", p)
		}
	}
	images.Put(t, prefix+key, file.Body)
	late := job(nil)
	p = verified(late, func(map[string][]byte) { images.Put(t, prefix+key, bad) })
	if p.Exit.Code != 8 || p.Proofs.Unproven.Blobs != 1 || p.corrupt() != "" {
		t.Errorf("replaced after the job: %+v", p)
	}
	images.Put(t, prefix+key, file.Body)
	if p = verified(late, func(map[string][]byte) { images.Put(t, prefix+key, bad) }, "--verify", "missing"); p.Exit.Code != 4 || p.corrupt() != key+" " {
		t.Errorf("replaced after the job, and what is missing: %+v", p)
	}
	images.Put(t, prefix+key, file.Body)

	verified(job(nil), nil)
	f.now = func() time.Time { return started.AddDate(0, 0, 100) }
	if p := f.proves(t, append(reach, "--verified", "DIR/report/manifest.json")...); p.Exit.Code != 8 || p.Proofs.Known.Blobs > 0 {
		t.Errorf("after 100 days: %+v", p)
	}
	if p := f.proves(t, append(reach, "--verified", "DIR/report/manifest.json", "--reverify-after", "200d")...); p.Exit.Code != 0 || p.Proofs.Known != whole.Proofs.Known {
		t.Errorf("after 100 of 200 days: %+v", p)
	}
	configured := f.dir + "/config.yml"
	write(t, configured, fmt.Sprintf("version: 0.1\nstorage: {s3: {bucket: images, rootdirectory: %q, region: %s, regionendpoint: %q, forcepathstyle: true, accesskey: %q, secretkey: %q}}\n",
		"team+a/x y", s.Region, s.Endpoint, s.AccessKey, s.SecretKey))
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	if exit := f.run("check", configured, "--no-wait", "--reverify-after", "200d", "--verified", "s3://reports/jobs/job-1/manifest.json"); exit != 0 {
		t.Errorf("with the keys of a configuration: exit %d, %s", exit, f.errs.String())
	}
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)

	other := s.Make(t, "other")
	other.Fill(t, s3test.From(b.Into, ""))
	images.Fill(t, s3test.From(fixtures.New(1).Into, "elsewhere/"))
	images.Put(t, "elsewhere/"+layout.Root+"/blobs/x", nil)
	report := "--verified " + f.dir + "/report/manifest.json"
	for args, want := range map[string]string{
		"s3://other " + report:                                               "is a report about another bucket: images, and the store is in other",
		"s3://images/elsewhere " + report:                                    "names no blob of s3://images/elsewhere",
		"s3://other --verified s3://reports/jobs/job-2/manifest.json":        "s3://reports/jobs/job-2/manifest.json: there is no such file",
		"s3://other --verified s3://nowhere/jobs/job-1/manifest.json":        "nowhere",
		"s3://other --verified " + f.dir + "/none/manifest.json":             "there is no such file",
		"s3://other --verified s3://reports/jobs/job-1/results/0.csv":        "is not the manifest.json of a report",
		"s3://other --verified gs://reports/jobs/job-1/manifest.json":        "gs://reports",
		"s3://other --verify all --verified s3://reports/jobs/manifest.json": "--verified can be used with --verify missing",
	} {
		if exit := f.run(append(append([]string{"check"}, strings.Fields(args)...), reach...)...); exit != 16 || !strings.Contains(f.errs.String(), want) {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

// TestBatchJobOfTheHelp: the job in the help topic is JSON, and requests the reports that can
// be read.
func TestBatchJobOfTheHelp(t *testing.T) {
	page, ok := help.Topic("scale")
	if !ok {
		t.Fatal("no topic")
	}
	var text string
	for _, b := range page.Blocks {
		if lines := strings.Join(b.Lines, "\n"); strings.Contains(lines, "create-job") {
			text = strings.ReplaceAll(lines, "'$etag'", "60e4")
		}
	}
	given := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z]+) '([^']*)'`).FindAllStringSubmatch(text, -1) {
		var v any
		if err := json.Unmarshal([]byte(m[2]), &v); err != nil {
			t.Errorf("--%s: %v in %s", m[1], err, m[2])
		}
		given[m[1]] = fmt.Sprint(v)
	}
	for name, want := range map[string]string{
		"operation": "map[S3ComputeObjectChecksum:map[ChecksumAlgorithm:SHA256 ChecksumType:FULL_OBJECT]]",
		"manifest":  "map[Location:map[ETag:60e4 ObjectArn:arn:aws:s3:::reports/regfsck/blobs.csv] Spec:map[Fields:[Bucket Key] Format:S3BatchOperations_CSV_20180820]]",
		"report":    "map[Bucket:arn:aws:s3:::reports Enabled:true ExpectedBucketOwner:111122223333 Format:Report_CSV_20180820 Prefix:regfsck ReportScope:AllTasks]",
	} {
		if given[name] != want {
			t.Errorf("--%s %s", name, given[name])
		}
	}
}

// TestBatchArguments: the flags apply to buckets only, and the list isn't written into a
// store.
func TestBatchArguments(t *testing.T) {
	f := newFake(t)
	write(t, f.dir+"/manifest.json", "{}")
	for args, want := range map[string]string{
		"check STORE --verified DIR/manifest.json":     "the report of a batch job proves blobs of buckets, and STORE is none",
		"export STORE --batch-manifest DIR/b.csv":      "--batch-manifest is about buckets, and STORE is none",
		"export STORE DIR/t --batch-manifest=":         "--batch-manifest needs a FILE",
		"export STORE --batch-manifest=":               "--batch-manifest needs a FILE",
		"export STORE":                                 "with --batch-manifest it needs no DIR",
		"export s3://b --batch-manifest DIR/no/where":  "can't be written",
		"export s3://b DIR/t more --batch-manifest x":  "3 arguments were given",
		"export --batch-manifest DIR/b.csv":            "0 arguments were given",
		"export s3://b --batch-manifest " + f.dir:      "there is something that is no file",
		"export s3://b --batch-manifest x --report y.": "there is no flag --report",
	} {
		want = strings.ReplaceAll(want, "STORE", f.store)
		if exit := f.run(strings.Fields(args)...); exit != 16 || !strings.Contains(f.errs.String(), want) || f.seen != nil {
			t.Errorf("%s: exit %d, %s", args, exit, f.errs.String())
		}
	}
}

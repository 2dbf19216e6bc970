package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// onRequest are the findings whose cure needs --also.
var onRequest = []string{
	"manifest-missing", "manifest-corrupt", "blob-corrupt", "tag-target-foreign", "tag-dangling", "index-child-missing", "tag-without-current", "signature-orphaned",
}

// TestPlansAreTheSameInABucket plans for each damage in a bucket, and in the directory
// in which the server keeps it: the document and the plan file are the same, the
// plan's id and all times among them.
func TestPlansAreTheSameInABucket(t *testing.T) {
	stores := map[string]*fixtures.Builder{"rotten": rotten()}
	flags := map[string][]string{"rotten": {"--thorough"}} // a bucket's listing shows everything
	for _, d := range fixtures.Damages() {
		b, name := fixtures.Standard(), d.ID+", "+d.Name
		if d.Apply(b); d.Disk != nil || slices.ContainsFunc(b.Keys(), unprintable) {
			continue
		}
		stores[name] = b
		if flags[name] = nil; d.Thorough {
			flags[name] = append(flags[name], "--thorough")
		}
		if d.Untagged {
			flags[name] = append(flags[name], "--untagged")
		}
		if slices.Contains(onRequest, d.ID) {
			flags[name] = append(flags[name], "--also", d.ID)
		}
	}
	f, s := newFix(t, fixtures.New(1)), s3test.Start(t, s3test.Options{Versioning: true})
	credentials(t, s)
	f.env["XDG_STATE_HOME"] = filepath.Join(f.dir, "state")
	t.Setenv("AWS_ENDPOINT_URL_S3", s.Endpoint)
	steps, n := 0, 0
	for name, b := range stores {
		n++
		root := []string{"", "some/path/"}[n%2]
		made := s.Make(t, fmt.Sprintf("bucket-%d", n))
		made.SetVersioning(t, s3test.Enabled)
		made.Fill(t, s3test.From(b.Into, root))
		f.store = "s3://" + made.Name + "/" + root
		in, inFile := f.planOf(t, flags[name]...)
		f.store = filepath.Join(made.Dir, root)
		on, onFile := f.planOf(t, flags[name]...)
		for field := range on {
			if !reflect.DeepEqual(on[field], in[field]) {
				t.Errorf("%s: %s is %v in the bucket, and %v in the folder", name, field, in[field], on[field])
			}
		}
		if len(in) != len(on) {
			t.Errorf("%s: %d and %d fields", name, len(in), len(on))
		}
		if !bytes.Equal(inFile, onFile) {
			t.Errorf("%s: in the bucket\n%s\nin the folder\n%s", name, inFile, onFile)
		}
		steps += len(on["steps"].([]any))
	}
	if n < 40 || steps < n {
		t.Errorf("%d stores, %d steps", n, steps)
	}
}

// planOf makes a dry run and returns what it says, without what is about the
// run and the place, and the lines of the plan that it saves but for the first
// and the last: the steps.
func (f *fake) planOf(t *testing.T, flags ...string) (document map[string]any, lines []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan")
	f.document(t, &document, append([]string{"fix", "STORE", "--save-plan", path}, flags...)...)
	for _, about := range []string{"target", "started", "finished", "cost", "bucket", "undo"} {
		delete(document, about)
	}
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(bytes.Lines(saved))
	if len(all) < 2 || !json.Valid(all[0]) {
		t.Fatalf("%s", saved)
	}
	return document, bytes.Join(all[1:len(all)-1], nil)
}

package main

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"regfsck/backend/inventory"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
)

// judged returns the result of a check, without how it was read.
func (f *fake) judged(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var doc map[string]any
	f.document(t, &doc, append([]string{"check", "STORE"}, args...)...)
	for _, key := range []string{"started", "finished", "cost", "again", "notes", "listing"} {
		delete(doc, key)
	}
	return doc
}

// TestACheckByAListing: the result equals that of a normal check, for each damage: on disk
// with the output of find, and in a bucket with that of aws.
func TestACheckByAListing(t *testing.T) {
	disk := newWhole(t, fixtures.New(1))
	bucket, s := bucketed(t)
	listing := filepath.Join(t.TempDir(), "listing")
	for n, d := range append(healthy(), fixtures.Damages()...) {
		b := fixtures.Standard()
		d.Apply(b)
		disk.rewrite(t, b)
		if d.Disk != nil {
			continue // listings have no links and mounts
		}
		find := exec.Command("find", disk.store, "!", "-type", "d", "-printf", `%y\t%s\t%T@\t%p\n`, "-o", "-empty", "-printf", `%y\t%s\t%T@\t%p\n`)
		out, err := find.Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(out), "\t") == 3*strings.Count(string(out), "\n") { // otherwise a name contains a line end
			write(t, listing, string(out))
			flags := append(flagsFor(d), "--grace", "1h")
			if is, want := disk.judged(t, append(flags, "--listing", listing)...), disk.judged(t, flags...); !reflect.DeepEqual(is, want) {
				t.Errorf("%s, %s: by the listing\n%s\nand by itself\n%s", d.ID, d.Name, readable(t, is), readable(t, want))
			}
		}
		if n%8 != 0 || strings.ContainsFunc(strings.Join(b.Keys(), ""), func(r rune) bool { return r < ' ' }) {
			continue
		}
		made := s.Make(t, fmt.Sprintf("bucket-%d", n))
		made.Fill(t, s3test.From(b.Into, "some/path/"))
		bucket.store = "s3://" + made.Name + "/some/path"
		write(t, listing, listingOf(t, made))
		flags := append(flagsFor(d), "--s3-endpoint", s.Endpoint)
		if is, want := bucket.judged(t, append(flags, "--listing", listing)...), bucket.judged(t, flags...); !reflect.DeepEqual(is, want) {
			t.Errorf("%s, %s, in a bucket: by the listing\n%s\nand by itself\n%s", d.ID, d.Name, readable(t, is), readable(t, want))
		}
	}
}

// listingOf returns the output of aws s3api list-objects-v2 for a bucket.
func listingOf(t *testing.T, made *s3test.Bucket) string {
	t.Helper()
	type object struct {
		Key, LastModified, ETag, StorageClass string
		Size                                  int64
	}
	var all struct{ Contents []object }
	for _, o := range made.Objects(t, "") {
		all.Contents = append(all.Contents, object{o.Key, o.Modified.Format("2006-01-02T15:04:05.999+00:00"), o.ETag, "STANDARD", o.Size})
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// inventoryOf writes an S3 Inventory of a bucket.
func inventoryOf(t *testing.T, dir string, made *s3test.Bucket) {
	t.Helper()
	var rows strings.Builder
	for _, o := range made.Objects(t, "") {
		fmt.Fprintf(&rows, "%q,%q,\"%d\",%q,%s\n", made.Name, url.QueryEscape(o.Key), o.Size, o.Modified.Format("2006-01-02T15:04:05.000Z"), o.ETag)
	}
	write(t, dir+"/data/1.csv", rows.String())
	write(t, dir+"/2026-11-28T01-00Z/manifest.json", fmt.Sprintf(`{"sourceBucket":%q,"creationTimestamp":"1795827600000","fileFormat":"CSV",
		"fileSchema":"Bucket, Key, Size, LastModifiedDate, ETag","files":[{"key":"data/1.csv","MD5checksum":"%x"}]}`, made.Name, md5.Sum([]byte(rows.String()))))
}

func readable(t *testing.T, doc any) string {
	t.Helper()
	body, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestAnOldListing: objects that were pushed since are found by rechecks, no removal is
// planned, and the report has the age.
func TestAnOldListing(t *testing.T) {
	b := fixtures.New(5)
	b.Image("app", "v1", fixtures.Image{})
	f := newWhole(t, b)
	listing := filepath.Join(t.TempDir(), "listing")
	out, err := exec.Command("find", f.store, "-type", "f", "-printf", `%y\t%s\t%T@\t%p\n`).Output()
	if err != nil {
		t.Fatal(err)
	}
	// It lacks a blob, as an inventory may.
	at := strings.Index(string(out), "/blobs/sha256/")
	from, until := strings.LastIndex(string(out[:at]), "\n")+1, at+strings.Index(string(out[at:]), "\n")+1
	write(t, listing, string(out[:from])+string(out[until:]))
	made := f.now().AddDate(0, 0, -3)
	if err := os.Chtimes(listing, made, made); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("check", "STORE", "--listing", listing); exit != 0 || !strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), "from a listing whose file was written 2025-02-26 12:00 UTC, 3 days ago") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	for _, args := range [][]string{{"ls", "STORE"}, {"why", "STORE", "app:v1"}} {
		if exit := f.run(append(args, "--listing", listing)...); exit != 0 || !strings.Contains(f.out.String(), "v1") && !strings.Contains(f.out.String(), "app") {
			t.Errorf("%q: exit %d, %s%s", args, exit, f.out.String(), f.errs.String())
		}
	}
	if exit := f.run("export", "STORE", "DIR/tables", "--listing", listing); exit != 0 || !strings.Contains(strings.Join(strings.Fields(f.out.String()), " "), "3 days ago") || !strings.Contains(f.out.String(), "8 tables") {
		t.Errorf("export: exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	for _, c := range []struct{ args, want string }{
		{"fix STORE --listing " + listing, "there is no flag --listing"},
		{"check STORE --listing " + listing + "-none", "no such file"},
		{"check STORE --listing " + listing + " --follow x", "can't be used with --follow"},
		{"check STORE --listing " + filepath.Join(f.store, "docker"), "is no file"},
	} {
		if exit := f.run(strings.Fields(c.args)...); exit != 16 || !strings.Contains(f.errs.String(), c.want) {
			t.Errorf("%s: exit %d, %s", c.args, exit, f.errs.String())
		}
	}
}

// TestAListingThatLacksLinks: what a listing lacks is found in the store, so no blob that a
// tag needs is called garbage, and the answer says that it is by a listing.
func TestAListingThatLacksLinks(t *testing.T) {
	f := newWhole(t, fixtures.Standard())
	out, err := exec.Command("find", f.store, "!", "-type", "d", "-printf", `%y\t%s\t%T@\t%p\n`, "-o", "-empty", "-printf", `%y\t%s\t%T@\t%p\n`).Output()
	if err != nil {
		t.Fatal(err)
	}
	listing, want := filepath.Join(t.TempDir(), "listing"), f.judged(t)
	for _, lacks := range []string{"/link\n", "/repositories/twin/", "/_manifests/tags/", "/_manifests/revisions/"} {
		text := ""
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, lacks) {
				text += line
			}
		}
		write(t, listing, text)
		if is := f.judged(t, "--listing", listing); !reflect.DeepEqual(is, want) {
			t.Errorf("without %q: by the listing\n%s\nand by itself\n%s", lacks, readable(t, is), readable(t, want))
		}
		exit := f.run("check", "STORE", "--listing", listing)
		if said := strings.Join(strings.Fields(f.out.String()), " "); exit != 0 || !strings.Contains(said, "The store has names that the listing lacks.") || !strings.Contains(said, "CLEAN according to the listing") {
			t.Errorf("without %q: exit %d, %s", lacks, exit, f.out.String())
		}
	}
}

// TestNotesOnAListing: the notes say what was compared, what the listing lacks, and what to do.
func TestNotesOnAListing(t *testing.T) {
	keys := []string{"a", "b", "c", "d"}
	for _, c := range []struct {
		is    *inventory.Comparison
		wants []string
	}{
		{nil, nil},
		{&inventory.Comparison{Repositories: 2, Compared: 2}, nil},
		{&inventory.Comparison{Repositories: 2000, Compared: 16, Listed: keys[:1], Lacking: keys}, []string{"in 16 of 2,000 repositories", "This directory was listed from the store itself: a.", "unknown: a, b, c and 1 more. Make a new listing"}},
	} {
		notes := compared(c.is)
		if len(notes) != len(c.wants) {
			t.Errorf("%+v: %q", c.is, notes)
			continue
		}
		for i, want := range c.wants {
			if !strings.Contains(notes[i], want) {
				t.Errorf("%q lacks %q", notes[i], want)
			}
		}
	}
}

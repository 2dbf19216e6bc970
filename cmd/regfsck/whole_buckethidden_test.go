package main

import (
	"strings"
	"testing"
	"time"

	"regfsck/fixtures/s3test"
	"regfsck/walker/layout"
)

// A plan says that multipart uploads are given up only where it gives one up: a
// removal leaves those that nobody named.
func TestAPlanSaysWhichUploadsItGivesUp(t *testing.T) {
	b, _ := several()
	f, _, made := change(t, b, s3test.Enabled)
	made.StartUpload(t, "some/path/"+layout.BlobKey(layout.Sum([]byte("half"))), []byte("x"))
	f.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	for args, want := range map[string]string{
		"fix STORE --grace 0s --uploads-older-than 0s":                 "this plan gives up 1;",
		"fix STORE --grace 0s":                                         "this plan gives up 0;",
		"rm STORE other:v1 --grace 0s --uploads-older-than 0s":         "this plan gives up 0;",
		"prune STORE --keep-last 1 --grace 0s --uploads-older-than 0s": "this plan gives up 0;",
	} {
		f.run(strings.Fields(args)...)
		if !strings.Contains(f.out.String(), want) {
			t.Errorf("%s lacks %q:\n%s", args, want, f.out.String())
		}
	}
}

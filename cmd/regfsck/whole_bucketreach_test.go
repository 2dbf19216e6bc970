package main

import (
	"net"
	"strings"
	"testing"

	"regfsck/fixtures/s3test"
)

// A server that isn't there is no mistake of the arguments, and nobody waits for it.
func TestAServerThatIsNotThere(t *testing.T) {
	f, _ := bucketed(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f.store = "s3://bucket"
	for _, command := range []string{"check", "ls", "fix"} {
		code := f.run(command, "STORE", "--s3-endpoint", "http://"+l.Addr().String())
		if code != 8 || !strings.Contains(f.errs.String(), "no connection to http://"+l.Addr().String()) || strings.Contains(f.errs.String(), "trying again") {
			t.Errorf("%s: exit %d, %s", command, code, f.errs.String())
		}
	}
}

// Where the requester pays, every request says so: those of a whole fix, too.
func TestARequesterPays(t *testing.T) {
	f, s, _ := change(t, rotten(), s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Do: s3test.RequesterPays()})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	if code := f.run("check", "STORE"); code != 16 || !strings.Contains(f.errs.String(), "--s3-requester-pays") {
		t.Errorf("exit %d, %s", code, f.errs.String())
	}
	var a applied
	f.document(t, &a, "fix", "STORE", "--s3-requester-pays", "--apply", "--yes")
	if a.Totals.Done == 0 {
		t.Errorf("%+v, %s", a, f.errs.String())
	}
	if code := f.run("undo", "STORE", "--s3-requester-pays"); code != 0 {
		t.Errorf("undo: exit %d, %s", code, f.errs.String())
	}
}

// What is waited for is said, though no progress is shown.
func TestWaitingIsSaid(t *testing.T) {
	f, s, _ := change(t, rotten(), "")
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.ListObjectsV2), Times: 2, Do: s3test.SlowDown()})
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	f.run("check", "STORE", "--no-progress")
	if !strings.Contains(f.errs.String(), "regfsck: the server is in trouble (503 Service Unavailable): trying again in ") {
		t.Errorf("%q", f.errs.String())
	}
}

package s3

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoots(t *testing.T) {
	for root, want := range map[string]string{"": "", "/": "", "//": "", "x": "x/", "/x": "x/", "x/": "x/", "/x/y/": "x/y/"} {
		o, err := Options{Bucket: "b", Root: root}.complete()
		if err != nil || o.Root != want {
			t.Errorf("%q: %q, %v; want %q", root, o.Root, err, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		endpoint string
		insecure bool
		want     string
	}{
		{"", true, ""},
		{"host:9000", false, "https://host:9000"},
		{"host:9000", true, "http://host:9000"},
		{"https://host/", true, "https://host"},
		{"http://host/path/", false, "http://host/path"},
	} {
		o, err := Options{Bucket: "b", Endpoint: test.endpoint, Insecure: test.insecure}.complete()
		if err != nil || o.Endpoint != test.want {
			t.Errorf("%q: %q, %v; want %q", test.endpoint, o.Endpoint, err, test.want)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"no bucket":         {},
		"bucket with path":  {Bucket: "a/b"},
		"directory bucket":  {Bucket: "name--usw2-az1--x-s3"},
		"root":              {Bucket: "b", Root: "a/../b"},
		"key alone":         {Bucket: "b", AccessKey: "k"},
		"secret alone":      {Bucket: "b", SecretKey: "hushhush"},
		"token alone":       {Bucket: "b", SessionToken: "hushhush"},
		"scheme":            {Bucket: "b", Endpoint: "ftp://host"},
		"password":          {Bucket: "b", Endpoint: "https://me:hushhush@host"},
		"broken":            {Bucket: "b", Endpoint: "https://me:hushhush@ho st"},
		"query":             {Bucket: "b", Endpoint: "https://host?x"},
		"no host":           {Bucket: "b", Endpoint: "https://"},
		"rate":              {Bucket: "b", Rate: -1},
		"certificates":      {Bucket: "b", AccessKey: "k", SecretKey: "hushhush", CA: "/does/not/exist"},
		"certificates form": {Bucket: "b", AccessKey: "k", SecretKey: "hushhush", CA: os.Args[0]},
	} {
		if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "hushhush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChain: the environment sets what the options leave open, and another server than AWS is
// addressed by path.
func TestChain(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "access", "AWS_SECRET_ACCESS_KEY": "hushhush", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
	} {
		t.Setenv(name, value)
	}
	if _, err := Open(t.Context(), Options{Bucket: "bucket"}); err == nil || !strings.Contains(err.Error(), "--s3-region") {
		t.Errorf("without a region: %v", err)
	}
	s := newServer([]string{"root/key"}, func(string) string { return "body" })
	t.Setenv("AWS_ENDPOINT_URL_S3", s.start(t))
	asked := ""
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		asked = r.URL.Query().Get("prefix")
		return false
	}
	r, err := Open(t.Context(), Options{Bucket: "bucket", Root: "root", TestDir: "some/where"})
	if err != nil || asked != "root/some/where/" {
		t.Fatal(asked, err)
	}
	defer r.Close()
	if _, err := r.Stat(t.Context(), "key"); err != nil || r.String() != "s3://bucket/root" {
		t.Errorf("%s: %v", r, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := Open(t.Context(), Options{Bucket: "bucket"}); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("without credentials: %v", err)
	}
}

// TestCertificates: an unknown certificate is rejected, unless it is given or SkipVerify is
// set.
func TestCertificates(t *testing.T) {
	s := newServer([]string{"key"}, func(string) string { return "body" })
	secure := httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Bucket: "bucket", Endpoint: secure.URL, AccessKey: "access", SecretKey: "hushhush", Attempts: 1}
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	for _, o := range []Options{
		{CA: ca}, {SkipVerify: true},
	} {
		o.Bucket, o.Endpoint, o.AccessKey, o.SecretKey = "bucket", secure.URL, "access", "hushhush"
		r, err := Open(t.Context(), o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		r.Close()
	}
}

// TestPathStyle: the bucket is in the host name only for AWS, or if requested.
func TestPathStyle(t *testing.T) {
	no := false
	for _, test := range []struct {
		o    Options
		want bool
	}{
		{Options{Region: "eu-west-7"}, false}, {Options{Endpoint: "host"}, true}, {Options{Endpoint: "host", PathStyle: &no}, false},
	} {
		test.o.Bucket, test.o.AccessKey, test.o.SecretKey = "bucket", "access", "hushhush"
		r, err := open(t.Context(), test.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.client.Options().UsePathStyle; got != test.want {
			t.Errorf("%+v: path style %v", test.o, got)
		}
	}
}

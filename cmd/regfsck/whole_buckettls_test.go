package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regfsck/fixtures/s3test"
)

// TestABucketBehindACertificateOfItsOwn: an unknown one is refused in words that
// help, and is trusted by a flag, by the surroundings, or by the registry's
// configuration.
func TestABucketBehindACertificateOfItsOwn(t *testing.T) {
	f, s, made := change(t, littered(), s3test.Enabled)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	proxy := s3test.Front(t, s, s3test.Settings{TLS: true})
	ca := filepath.Join(f.dir, "ca.pem")
	if err := os.WriteFile(ca, proxy.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := f.run("check", "STORE", "--s3-endpoint", proxy.Endpoint, "--no-cache"); exit != 16 || !strings.Contains(f.errs.String(), "certificate") {
		t.Errorf("exit %d, %s%s", exit, f.out.String(), f.errs.String())
	}
	sees := func(what string, args ...string) {
		t.Helper()
		if exit := f.run(append([]string{"check"}, append(args, "--no-cache")...)...); exit != 0 || !strings.Contains(f.out.String(), "2 tags") {
			t.Errorf("%s: exit %d, %s%s", what, exit, f.out.String(), f.errs.String())
		}
	}
	sees("--s3-ca", "STORE", "--s3-endpoint", proxy.Endpoint, "--s3-ca", ca)
	config := bucketConfig(t, s, made.Name, "some/path/")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer(s.Endpoint, proxy.Endpoint, strings.TrimPrefix(s.Endpoint, "http://"), strings.TrimPrefix(proxy.Endpoint, "https://"),
		"secure: false", "secure: true\n    skipverify: true").Replace(string(text)))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	sees("skipverify", config)
	t.Setenv("AWS_CA_BUNDLE", ca)
	sees("AWS_CA_BUNDLE", "STORE", "--s3-endpoint", proxy.Endpoint)
}

// TestALifecycleRule: until when a run can be undone is said where a rule ends it.
func TestALifecycleRule(t *testing.T) {
	f, s, _ := change(t, littered(), s3test.Enabled)
	proxy := s3test.Front(t, s, s3test.Settings{})
	proxy.Inject(s3test.Fault{Match: func(q *s3test.Request) bool { return q.Query.Has("lifecycle") }, Do: func(x *s3test.Exchange) *s3test.Answer {
		a := x.Forward()
		a.Status = 200
		a.SetBody([]byte("<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>" +
			"<NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"))
		return a
	}})
	f.run("fix", "STORE", "--s3-endpoint", proxy.Endpoint)
	until := f.now().UTC().AddDate(0, 0, 30).Format("2006-01-02")
	if said := strings.Join(strings.Fields(f.out.String()), " "); !strings.Contains(said, "30 days after they go: until "+until) {
		t.Errorf("%s", f.out.String())
	}
}

// TestCommandsForABucketCanBePasted: what is to be run next reaches the same bucket.
func TestCommandsForABucketCanBePasted(t *testing.T) {
	f, s, _ := change(t, littered(), s3test.Enabled)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	at := "--s3-endpoint " + s.Endpoint
	says := func(words string) {
		t.Helper()
		if !strings.Contains(f.out.String(), words) {
			t.Errorf("it doesn't say %q:\n%s%s", words, f.out.String(), f.errs.String())
		}
	}
	f.run("fix", "STORE", "--s3-endpoint", s.Endpoint)
	says("regfsck fix " + f.store + " " + at + " --apply")
	plan := filepath.Join(f.dir, "plan.jsonl")
	f.run("fix", "STORE", "--s3-endpoint", s.Endpoint, "--save-plan", plan)
	says("regfsck apply " + plan + " " + at)
	f.run("apply", plan, "--s3-endpoint", s.Endpoint, "--yes")
	says(" " + at + "\n")
	if !strings.Contains(f.out.String(), "regfsck undo "+f.store) || !strings.Contains(f.out.String(), "regfsck purge "+f.store) {
		t.Errorf("%s", f.out.String())
	}
}

package inuse

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func readLog(t *testing.T, body string) *Log {
	t.Helper()
	l := NewLog(now)
	if err := l.Read(strings.NewReader(body)); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return l
}

// TestFormsOfLogs: each line is as the named program writes it.
func TestFormsOfLogs(t *testing.T) {
	const at = "2026-11-28T21:49:00Z"
	combined := `127.0.0.1 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/team/app/manifests/v1 HTTP/1.1" 200 246 "" "curl/7.88.1"`
	wrapped, err := json.Marshal(map[string]string{"log": combined + "\n", "stream": "stdout", "time": "2026-11-28T21:49:01.5Z"})
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"registry 3.1, access log": combined,
		"registry 2.8, text":       `time="2026-11-28T21:49:00Z" level=info msg="response completed" go.version=go1.26.8 http.request.host="127.0.0.1:23698" http.request.id=8b516d89-82ca-4431-bd3b-d16741975410 http.request.method=GET http.request.remoteaddr="127.0.0.1:46344" http.request.uri=/v2/team/app/manifests/v1 http.request.useragent=curl/7.88.1 http.response.contenttype=application/vnd.oci.image.manifest.v1+json http.response.duration=4.625042ms http.response.status=200 http.response.written=246`,
		"registry 3.1, text":       `time="2026-11-28T21:49:00.0Z" level=info msg="response completed" go.version=go1.26.8 http.request.method=HEAD http.request.uri="/v2/team/app/manifests/v1?ns=docker.io" http.request.useragent="docker/27 (linux) \"x\"" http.response.status=200 http.response.written=0 vars.name=team/app vars.reference=v1 version=v3.1.2+unknown`,
		"registry 3.1, JSON":       `{"go.version":"go1.26.8","http.request.method":"GET","http.request.uri":"/v2/team/app/manifests/v1","http.response.duration":"8.827993ms","http.response.status":200,"level":"info","msg":"response completed","time":"2026-11-28T21:49:00Z","vars.name":"team/app"}`,
		"logstash":                 `{"@timestamp":"2026-11-28T22:49:00+01:00","http.request.method":"GET","http.request.uri":"/v2/team/app/manifests/v1","http.response.status":304}`,
		"nginx":                    `10.1.2.3 - jane [28/Nov/2026:22:49:00 +0100] "GET /v2/team/app/manifests/v1 HTTP/2.0" 200 246 "-" "containerd/v2.0" "10.0.0.1"`,
		"nginx below a path":       `reg.example.com:443 10.1.2.3 - - [28/Nov/2026:21:49:00 +0000] "HEAD /registry/v2/team%2Fapp/manifests/v1?x=1 HTTP/1.1" 307 0`,
		"docker":                   string(wrapped),
		"containerd":               "2026-11-28T21:49:01.5Z stdout F " + combined,
		"containerd, JSON":         `2026-11-28T21:49:01.5Z stderr F {"time":"2026-11-28T21:49:00Z","http.request.method":"GET","http.request.uri":"/v2/team/app/manifests/v1","http.response.status":200}`,
		"journal":                  `Nov 28 21:49:00 host registry[12]: ` + combined,
		"with DOS line ends":       combined + "\r",
	} {
		l := readLog(t, "\n"+line+"\nrubbish\n")
		got := l.Pulls[Pull{"team/app", "v1"}]
		if len(l.Pulls) != 1 || time.Unix(0, got).UTC().Format(time.RFC3339) != at {
			t.Errorf("%s: %v", name, l.Pulls)
		}
	}
	for name, line := range map[string]string{
		"a push":         strings.Replace(combined, "GET", "PUT", 1),
		"not found":      strings.Replace(combined, " 200 ", " 404 ", 1),
		"denied":         strings.Replace(combined, " 200 ", " 401 ", 1),
		"of a blob":      strings.Replace(combined, "manifests/v1", "blobs/v1", 1),
		"of no tag":      strings.Replace(combined, "manifests/v1", "manifests/-", 1),
		"of no name":     strings.Replace(combined, "team/app", "team//app", 1),
		"without a date": strings.Replace(combined, "[28/Nov/2026:21:49:00 +0000]", "[today]", 1),
		"too old":        strings.Replace(combined, "2026", "1999", 1),
		"an error":       `time="2026-11-28T21:49:00Z" level=error msg="response completed with error" http.request.method=GET http.request.uri=/v2/team/app/manifests/v1 http.response.status=404`,
		"the beginning":  `time="2026-11-28T21:49:00Z" level=info msg="authorized request" http.request.method=GET http.request.uri=/v2/team/app/manifests/v1`,
		"too long":       strings.Repeat("x", maxLine) + combined,
	} {
		if l := readLog(t, line); len(l.Pulls) > 0 {
			t.Errorf("%s is a pull: %v", name, l.Pulls)
		}
	}
	future := readLog(t, strings.Replace(combined, "2026", "2031", 1))
	if got := future.Pulls[Pull{"team/app", "v1"}]; got != now.UnixNano() || len(future.hours) > 0 {
		t.Errorf("what is still to come: %v, %v", got, future.hours)
	}
}

// TestForgedDates: a client writes its user's name and other words into a line; none of them
// is taken as its date.
func TestForgedDates(t *testing.T) {
	const at = "2026-11-28T21:49:00Z"
	for name, line := range map[string]string{
		"a date as a user":       `1.2.3.4 - [01/Nov/2026:00:00:00 +0000] [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "x"`,
		"a part of one":          `1.2.3.4 - x[01/Nov/2026:00:00:00 +0000] "x [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "x"`,
		"a date as an agent":     `1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "[01/Nov/2026:00:00:00 +0000] "`,
		"a line of a registry":   `1.2.3.4 - time=2026-11-01T00:00:00Z http.request.method=GET http.request.uri=/v2/a/manifests/v1 http.response.status=200 [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1`,
		"that line, as an agent": `1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "x time=2026-11-01T00:00:00Z x"`,
	} {
		l := readLog(t, strings.Replace(line, `"x [28`, `\x22x [28`, 1))
		if got := time.Unix(0, l.Pulls[Pull{"a", "v1"}]).UTC().Format(time.RFC3339); got != at || len(l.hours) != 1 {
			t.Errorf("%s: %s, %v", name, got, l.hours)
		}
	}
}

// TestCoveredTimes: only successful requests count; a log with failures alone, or other lines
// of a registry, shows no pulls.
func TestCoveredTimes(t *testing.T) {
	hour := time.Date(2026, 11, 28, 21, 0, 0, 0, time.UTC).Unix() / 3600
	const stamp = `time="2026-11-28T21:49:00Z" level=info `
	for line, covers := range map[string]bool{
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/ HTTP/1.1" 200 1`:                                                               true,
		`1.2.3.4 - [01/Nov/2026:00:00:00 +0000] [28/Nov/2026:22:49:00 +0100] "PUT /v2/a/manifests/v1 HTTP/1.1" 201 1`:                      true,
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/ HTTP/1.1" 401 1`:                                                               false,
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 404 1`:                                                 false,
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 502 1`:                                                 false,
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "" 200 1`:                                                                                false,
		`1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/ HTTP/1.1" 2000000000 1`:                                                        false,
		stamp + `msg="response completed" http.request.method=GET http.request.uri=/ http.response.status=200`:                             true,
		stamp + `msg="Starting upload purge in 42m0s"`:                                                                                     false,
		stamp + `msg="response completed with error" http.request.method=GET http.request.uri=/v2/a/manifests/v1 http.response.status=404`: false,
		`{"time":"2026-11-28T21:49:00Z","request":"GET /v2/a/manifests/v1 HTTP/1.1","status":200}`:                                         false,
		`{"time":"2026-11-28T21:49:00Z","msg":"health"}`:                                                                                   false,
	} {
		l := readLog(t, line)
		if l.hours[hour] != covers || len(l.hours) > 1 {
			t.Errorf("%s covers %v", line, l.hours)
		}
	}
}

// TestForgedRequests: text from a client is no request, and hides none.
func TestForgedRequests(t *testing.T) {
	const evil = `http.request.method=PUT http.request.uri=/v2/evil/manifests/v1 http.response.status=404 time=\"2026-11-01T00:00:00Z\"`
	for name, line := range map[string]string{
		"a page, before the address": `time="2026-11-28T21:49:00Z" level=info msg="response completed" http.request.host="x" http.request.id=1 http.request.referer="` + evil + `" http.request.method=GET http.request.uri=/v2/a/manifests/v1 http.response.status=200`,
		"a client":                   `time="2026-11-28T21:49:00Z" level=info msg="response completed" http.request.method=GET http.request.uri=/v2/a/manifests/v1 http.request.useragent="` + evil + `" http.response.status=200`,
		"a client, of nginx":         `1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "x] \x22GET /v2/evil/manifests/v1 HTTP/1.1\x22 200 1"`,
		"a page, of a registry 3.1":  `1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "[01/Nov/2026:00:00:00 +0000] \"GET /v2/evil/manifests/v1 HTTP/1.1\" 200 1" "{\"log\":\"x\"}"`,
		"a client that writes JSON":  `1.2.3.4 - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/v1 HTTP/1.1" 200 1 "-" "{\"time\":\"2026-11-01T00:00:00Z\",\"http.request.method\":\"GET\",\"http.request.uri\":\"/v2/evil/manifests/v1\",\"http.response.status\":200}"`,
	} {
		l := readLog(t, line)
		at := time.Date(2026, 11, 28, 21, 49, 0, 0, time.UTC)
		if len(l.Pulls) != 1 || l.Pulls[Pull{"a", "v1"}] != at.UnixNano() || len(l.hours) != 1 || !l.hours[at.Unix()/3600] {
			t.Errorf("%s: %v, %v", name, l.Pulls, l.hours)
		}
	}
}

func TestLogsOfOtherCompressions(t *testing.T) {
	for name, magic := range packed {
		if err := NewLog(now).Read(strings.NewReader(magic + "rest")); err == nil || !strings.Contains(err.Error(), "compressed with "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLogsThatAreCompressed(t *testing.T) {
	line := `x - - [28/Nov/2026:21:49:00 +0000] "GET /v2/a/manifests/%d HTTP/1.1" 200 1` + "\n"
	var b bytes.Buffer
	for i := range 2 { // compressed files may have several members
		z := gzip.NewWriter(&b)
		fmt.Fprintf(z, line, i)
		z.Close()
	}
	if l := readLog(t, b.String()); len(l.Pulls) != 2 {
		t.Errorf("%v", l.Pulls)
	}
	if err := NewLog(now).Read(bytes.NewReader(b.Bytes()[:b.Len()-9])); err == nil {
		t.Error("a file that was cut is read as a whole one")
	}
	if err := NewLog(now).Read(strings.NewReader("\x1f\x8bno")); err == nil {
		t.Error("what only begins like gzip is read")
	}
}

func TestGaps(t *testing.T) {
	day := func(d, hour int) time.Time { return time.Date(2026, 11, d, hour, 30, 0, 0, time.UTC) }
	log := func(times ...time.Time) *Log {
		l := NewLog(day(30, 12))
		for _, at := range times {
			l.Read(strings.NewReader("x - - [" + at.Format("02/Jan/2006:15:04:05 -0700") + `] "GET /v2/ HTTP/1.1" 200 1`))
		}
		return l
	}
	for _, c := range []struct {
		log  *Log
		want string
	}{
		{log(day(27, 3), day(28, 1), day(28, 22), day(29, 20), day(30, 11)), ""},
		{log(), "28 12:30 to 30 12:30"},
		{log(day(28, 14), day(30, 12)), "28 14:00 to 30 12:00"},
		{log(day(1, 1), day(30, 12)), "28 12:30 to 30 12:00"},
		{log(day(28, 13), day(29, 9)), "29 09:00 to 30 12:30"},
		{log(day(29, 14), day(30, 9)), "28 12:30 to 29 14:00"},
	} {
		got := ""
		if begin, end, found := c.log.Gap(day(28, 12), day(30, 12), 24*time.Hour); found {
			got = begin.Format("02 15:04") + " to " + end.Format("02 15:04")
		}
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	both := log(day(28, 13))
	both.Add(log(day(29, 12), day(30, 11)))
	if _, _, found := both.Gap(day(28, 12), day(30, 12), 24*time.Hour); found {
		t.Error("two logs don't make a whole one")
	}
}

// TestHostileLogs: any log is read, and its pulls have valid forms.
func TestHostileLogs(t *testing.T) {
	parts := []string{`[28/Nov/2026:21:49:00 +0000]`, ` "GET `, "/v2/", "app", "/manifests/", "v1", `" 200 `, `time="`, "2026-11-28T21:49:00Z", `"`, "{", "}", `"log":`, `"LOG":"{\"a\":`, ":", `\"`, "[", "]", " ", "\n", "\x00", "%2", "%2F", "http.request.uri=", "http.response.status=", "200", "sha256:", strings.Repeat("a", 64), "\xff", "999999999999999999999", "../"}
	r := rand.New(rand.NewPCG(2, 2))
	for range 20_000 {
		var b strings.Builder
		for range r.IntN(14) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		l := readLog(t, b.String())
		for p := range l.Pulls {
			if !utf8.ValidString(p.Repository+p.Reference) || strings.ContainsAny(p.Repository+p.Reference, " %\x00\"[]{}") || strings.Contains(p.Repository, "..") || p.Repository == "" || p.Reference == "" {
				t.Fatalf("%q: %+v", b.String(), p)
			}
		}
	}
}

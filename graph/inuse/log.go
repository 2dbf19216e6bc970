package inuse

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"regfsck/walker/layout"
)

// Log is the pulls in the access logs of a registry.
type Log struct {
	// Pulls are the times of the last successful requests for manifests, in nanoseconds since
	// 1970.
	Pulls map[Pull]int64

	// Requests is the number of lines with a request and its status.
	Requests int

	now   time.Time
	hours map[int64]bool // hours since 1970 with a successful request
}

// Pull is the manifest that a pull requests.
type Pull struct{ Repository, Reference string }

// Limits of logs. Longer lines are ignored.
const (
	maxLine  = 64 << 10 // bytes
	maxPulls = 1 << 21
)

// NewLog returns an empty log. Later times than now in its lines count as now.
func NewLog(now time.Time) *Log {
	return &Log{Pulls: map[Pull]int64{}, now: now, hours: map[int64]bool{}}
}

// Add adds the content of another log.
func (l *Log) Add(o *Log) {
	for p, at := range o.Pulls {
		l.Pulls[p] = max(l.Pulls[p], at)
	}
	l.Requests += o.Requests
	maps.Copy(l.hours, o.hours)
}

// packed are the first bytes of files in compressed formats that aren't supported.
var packed = map[string]string{"xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "lz4": "\x04\x22\x4d\x18"}

// Read adds a log file, which may be compressed with gzip: in the combined format of nginx
// and others, or a registry's log as text or JSON, also as container engines wrap it. Other
// lines are ignored.
func (l *Log) Read(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		defer unpacked.Close()
		in = bufio.NewReaderSize(unpacked, maxLine)
	}
	for name, magic := range packed {
		if begin, _ := in.Peek(len(magic)); string(begin) == magic {
			return fmt.Errorf("it is compressed with %s, which isn't read: unpack it, or use gzip", name)
		}
	}
	for long := false; ; {
		line, err := in.ReadSlice('\n')
		if !long && !errors.Is(err, bufio.ErrBufferFull) {
			if l.line(line); len(l.Pulls) > maxPulls {
				return fmt.Errorf("it names more than %d images", maxPulls)
			}
		}
		long = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// request is the request of a line.
type request struct {
	at          time.Time // the zero time if the line has none
	method, uri string
	status      int
}

// line adds a line. Only a successful request shows that pulls are logged at its time: some
// logs have only failures.
func (l *Log) line(line []byte) {
	r := parseLine(line, false)
	if r.at.Year() < 2013 || r.method == "" || r.uri == "" || r.status < 100 || r.status > 599 { // there were no such registries before 2013
		return
	}
	l.Requests++
	met := r.status/100 == 2 || r.status/100 == 3
	switch {
	case !met:
		return
	case r.at.After(l.now):
		r.at = l.now
	default:
		l.hours[r.at.Unix()/3600] = true
	}
	if r.method != "GET" && r.method != "HEAD" {
		return
	}
	if p, ok := pullOf(r.uri); ok {
		l.Pulls[p] = max(l.Pulls[p], r.at.UnixNano())
	}
}

// parseLine parses a line in any of the formats. The wrapper of a container engine is removed
// once.
func parseLine(line []byte, wrapped bool) request {
	if i := bytes.IndexByte(line, '{'); i >= 0 && bytes.Contains(line[i:], []byte(`":`)) {
		var doc struct {
			Time, Log string
			Timestamp string `json:"@timestamp"`
			Method    string `json:"http.request.method"`
			URI       string `json:"http.request.uri"`
			Status    int    `json:"http.response.status"`
		}
		if json.Unmarshal(line[i:], &doc) == nil {
			if doc.Log != "" && !wrapped {
				return parseLine([]byte(doc.Log), true)
			}
			return request{parseTime(cmp.Or(doc.Time, doc.Timestamp)), doc.Method, doc.URI, doc.Status}
		}
	}
	if of := fields(string(line)); strings.Contains(string(line), `time="`+of["time"]+`"`) { // values from clients can't contain these quotes
		if at := parseTime(of["time"]); !at.IsZero() {
			r := request{at: at, method: of["http.request.method"], uri: of["http.request.uri"]}
			r.status, _ = strconv.Atoi(of["http.response.status"])
			return r
		}
	}
	return parseCombined(string(line))
}

// parseCombined parses a line of the combined format, with any text before its date: the
// client chooses the user's name, which can't contain a quote.
func parseCombined(line string) (r request) {
	before, after, _ := strings.Cut(line, `] "`)
	r.at, _ = time.Parse("02/Jan/2006:15:04:05 -0700", before[strings.LastIndexByte(before, '[')+1:])
	if r.at.IsZero() {
		return r
	}
	asked, after, _ := strings.Cut(after, `" `)
	if words := strings.Fields(asked); len(words) > 1 {
		r.method, r.uri = words[0], words[1]
	}
	status, _, _ := strings.Cut(after, " ")
	r.status, _ = strconv.Atoi(strings.TrimSpace(status))
	return r
}

// fields returns the fields key=value of a line, the first of each key. Text in the quotes of
// a value, such as a user agent, is no field.
func fields(line string) map[string]string {
	all := map[string]string{}
	for rest := line; rest != ""; {
		at := strings.IndexAny(rest, "= ")
		if at < 0 {
			break
		}
		key, is := rest[:at], rest[at] == '='
		if rest = rest[at+1:]; !is {
			continue
		}
		value, quoted := "", false
		if text, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(text)
			rest, quoted = rest[len(text):], true
		}
		if !quoted {
			value, rest, _ = strings.Cut(rest, " ")
			value = strings.TrimSpace(value)
		}
		if _, known := all[key]; !known {
			all[key] = value
		}
	}
	return all
}

func parseTime(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return at
}

// pullOf returns the pull of a request's path; ok is false if it isn't for a manifest.
func pullOf(uri string) (p Pull, ok bool) {
	path, _, _ := strings.Cut(uri, "?")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	_, path, ok = strings.Cut(path, "/v2/")
	at := strings.LastIndex(path, "/manifests/")
	if !ok || at < 0 {
		return p, false
	}
	p.Repository, p.Reference = path[:at], path[at+len("/manifests/"):]
	if _, digest := layout.ParseAnyDigest(p.Reference); !digest && !layout.ValidTag(p.Reference) {
		return p, false
	}
	return p, layout.ValidRepository(p.Repository)
}

// Gap returns the first period between two times, longer than most, without a line in the
// log; found is false if there is none. It counts in hours.
func (l *Log) Gap(from, to time.Time, most time.Duration) (begin, end time.Time, found bool) {
	begin = from
	for _, hour := range slices.Sorted(maps.Keys(l.hours)) {
		end = time.Unix(hour*3600, 0).UTC()
		if end.Sub(begin) > most {
			return begin, end, true
		}
		if end.After(begin) {
			begin = end
		}
	}
	return begin, to, to.Sub(begin) > most
}

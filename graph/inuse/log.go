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

// Log is what access logs tell of a registry.
type Log struct {
	// Pulls are when something was last asked for and given: a manifest of a
	// repository, by tag or by digest, in nanoseconds since 1970.
	Pulls map[Pull]int64

	// Requests are the lines that tell of a request and how it was answered.
	Requests int

	now   time.Time
	hours map[int64]bool // since 1970, of which a line tells of a request that was met
}

// Pull is what a pull asks for.
type Pull struct{ Repository, Reference string }

// The bounds of logs. A line that is longer says nothing.
const (
	maxLine  = 64 << 10 // bytes
	maxPulls = 1 << 21
)

// NewLog returns a log of nothing, as read at a moment: what a line says of a later
// time happened then.
func NewLog(now time.Time) *Log {
	return &Log{Pulls: map[Pull]int64{}, now: now, hours: map[int64]bool{}}
}

// Add adds what another log tells.
func (l *Log) Add(o *Log) {
	for p, at := range o.Pulls {
		l.Pulls[p] = max(l.Pulls[p], at)
	}
	l.Requests += o.Requests
	maps.Copy(l.hours, o.hours)
}

// packed are how files begin that are compressed in ways that aren't read.
var packed = map[string]string{"xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "lz4": "\x04\x22\x4d\x18"}

// Read adds a log file, which may be compressed with gzip: of nginx and its like in
// the combined format, or of a registry, as text or as JSON, also as container engines
// wrap it. Lines that say something else, or nothing, are passed over.
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
				return fmt.Errorf("it tells of more than %d images", maxPulls)
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

// request is what a line tells of.
type request struct {
	at          time.Time // the zero time where it doesn't say when
	method, uri string
	status      int
}

// line adds a line. Only a request that was met proves that pulls are logged at its time:
// there are logs that hold what failed alone.
func (l *Log) line(line []byte) {
	r := parseLine(line, false)
	if r.at.Year() < 2013 || r.method == "" || r.uri == "" || r.status < 100 || r.status > 599 { // before 2013 there were no registries of this kind
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

// parseLine reads a line of any of the forms. One that a container engine wrapped is
// unwrapped once.
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
	if of := fields(string(line)); strings.Contains(string(line), `time="`+of["time"]+`"`) { // others can't write quotes
		if at := parseTime(of["time"]); !at.IsZero() {
			r := request{at: at, method: of["http.request.method"], uri: of["http.request.uri"]}
			r.status, _ = strconv.Atoi(of["http.response.status"])
			return r
		}
	}
	return parseCombined(string(line))
}

// parseCombined reads a line of the combined format, with anything before its date: a
// user's name too, which who asks may choose. It can't hold a quote.
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

// fields returns what a line says as key=value, the first of each key. What stands in the
// quotes of a value, as the name of a client or the page it comes from, is no key.
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

// pullOf returns what an address asks for, if it is that of a manifest.
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

// Gap returns the first time between two moments of which the log has no line for more
// than most; false if there is none. It goes by hours.
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

package apply

import (
	"crypto/md5"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"

	"regfsck/fixtures/bucket"
)

// mishap is one way in which a bucket goes wrong. Its faults are made anew for
// each phase; percent is about how many requests they meet.
type mishap struct {
	lies   bool // about keys, each once: it can't be noticed by whom it is told
	faults func(d *dice) []bucket.Fault
}

// dice decides what goes wrong.
type dice struct {
	mu      sync.Mutex
	r       *rand.Rand
	percent int
	told    map[string]bool
}

func newDice(seed uint64, percent int) *dice {
	return &dice{r: rand.New(rand.NewPCG(seed, 23)), percent: percent, told: map[string]bool{}}
}

func (d *dice) roll() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(100) < d.percent
}

// once is roll, and never true for the same thing again.
func (d *dice) once(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told[what] || d.r.IntN(100) >= d.percent {
		return false
	}
	d.told[what] = true
	return true
}

// always decides once for each thing.
func (d *dice) always(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	is, known := d.told[what]
	if !known {
		is = d.r.IntN(100) < d.percent
		d.told[what] = is
	}
	return is
}

// first is true once for each thing.
func (d *dice) first(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.told["first "+what] = true }()
	return !d.told["first "+what]
}

// hiddenAs returns the repository of a key, or the tag.
func hiddenAs(key string) string {
	repository, rest, _ := strings.Cut(key, "/_")
	if tag, ok := strings.CutPrefix(rest, "manifests/tags/"); ok {
		tag, _, _ = strings.Cut(tag, "/")
		return repository + ":" + tag
	}
	return repository
}

// met makes a fault of those requests that a match picks and the dice too.
func (d *dice) met(match func(*bucket.Request) bool, do bucket.Action) []bucket.Fault {
	return []bucket.Fault{{Match: func(r *bucket.Request) bool { return match(r) && d.roll() }, Do: do}}
}

// burst is met, and then a few requests more.
func (d *dice) burst(do bucket.Action) []bucket.Fault {
	left := 0
	return []bucket.Fault{{Match: func(*bucket.Request) bool {
		if left > 0 {
			left--
			return true
		}
		if d.roll() {
			left = 8
		}
		return left > 0
	}, Do: do}}
}

// outage ends all at some request, for good.
func (d *dice) outage(do bucket.Action) []bucket.Fault {
	return []bucket.Fault{{Skip: d.r.IntN(5 * d.percent), Do: do}}
}

// lists makes a fault of some pages, of each request's once.
func (d *dice) lists(do bucket.Action) []bucket.Fault {
	return []bucket.Fault{{Match: func(r *bucket.Request) bool {
		return listing(r) && d.once(string(r.Operation)+"?"+r.Query.Encode())
	}, Do: do}}
}

// keys makes a fault of some objects, of each once for each kind of request.
func (d *dice) keys(do bucket.Action) []bucket.Fault {
	return []bucket.Fault{{Match: func(r *bucket.Request) bool {
		return reading(r) && d.once(string(r.Operation)+" "+r.Key)
	}, Do: do}}
}

var (
	listing   = bucket.Of(bucket.ListObjectsV2, bucket.ListObjectVersions, bucket.ListMultipartUploads)
	reading   = bucket.Of(bucket.GetObject, bucket.HeadObject)
	answering = bucket.Of(bucket.GetObject, bucket.ListObjectsV2, bucket.ListObjectVersions, bucket.ListMultipartUploads, bucket.DeleteObjects)
)

func anything(*bucket.Request) bool { return true }

// md5Of is the ETag of an object with such bytes.
func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// mishaps are all of them, by name.
var mishaps = map[string]mishap{
	"slow down": {false, func(d *dice) []bucket.Fault { return d.burst(bucket.SlowDown()) }},
	"reset":     {false, func(d *dice) []bucket.Fault { return d.met(anything, bucket.Reset()) }},
	"lost":      {false, func(d *dice) []bucket.Fault { return d.met(anything, bucket.ResetAfter()) }},
	"cut":       {false, func(d *dice) []bucket.Fault { return d.met(answering, bucket.Cut()) }},
	"broken": {false, func(d *dice) []bucket.Fault {
		return d.met(anything, bucket.Refuse(http.StatusInternalServerError, "InternalError", "We encountered an internal error."))
	}},
	"outage": {false, func(d *dice) []bucket.Fault { return d.outage(bucket.SlowDown()) }},
	"lost, gone": {false, func(d *dice) []bucket.Fault {
		return append(d.met(anything, bucket.ResetAfter()), d.outage(bucket.Reset())...)
	}},
	"denied": {false, func(d *dice) []bucket.Fault {
		return []bucket.Fault{{Match: func(r *bucket.Request) bool { return r.Key != "" && d.always(r.Key) }, Do: bucket.AccessDenied()}}
	}},
	"denied requests": {false, func(d *dice) []bucket.Fault {
		return []bucket.Fault{{Match: func(r *bucket.Request) bool { return d.always(string(r.Operation)) }, Do: bucket.AccessDenied()}}
	}},
	"keys that stay": {false, func(d *dice) []bucket.Fault {
		code := func(string) string {
			if !d.roll() {
				return ""
			}
			return [...]string{"AccessDenied", "InternalError", "SlowDown", "OddTrouble"}[rand.IntN(4)]
		}
		return []bucket.Fault{{Match: bucket.Of(bucket.DeleteObjects), Do: bucket.DeleteErrors(code)}}
	}},
	"wrong etags": {false, func(d *dice) []bucket.Fault {
		return []bucket.Fault{{Match: bucket.Of(bucket.ListObjectsV2), Do: bucket.ListETags(func(key, etag string) string {
			if !d.always(key) {
				return etag
			}
			return md5Of("something else")
		})}}
	}},
	"no token":  {false, func(d *dice) []bucket.Fault { return d.met(listing, bucket.NoToken()) }},
	"duplicate": {false, func(d *dice) []bucket.Fault { return d.met(bucket.Of(bucket.ListObjectsV2), bucket.Duplicate()) }},
	"unsorted":  {false, func(d *dice) []bucket.Fault { return d.met(bucket.Of(bucket.ListObjectsV2), bucket.Unsort()) }},
	"shrunk":    {false, func(d *dice) []bucket.Fault { return d.met(bucket.Of(bucket.ListObjectsV2), bucket.ShrinkPage()) }},
	"stale":     {true, func(*dice) []bucket.Fault { return []bucket.Fault{{Match: listing, Do: bucket.Stale()}} }},
	"empty":     {true, func(d *dice) []bucket.Fault { return d.lists(bucket.EmptyPage()) }},
	"hidden": {true, func(d *dice) []bucket.Fault {
		return []bucket.Fault{{Match: bucket.Of(bucket.ListObjectsV2), Do: bucket.HideKeys(func(key string) bool { return d.once(key) })}}
	}},
	"hidden folders": {true, func(d *dice) []bucket.Fault {
		return []bucket.Fault{{Match: bucket.Of(bucket.ListObjectsV2), Do: bucket.HideKeys(func(key string) bool {
			return d.always(hiddenAs(key)) && d.first(key)
		})}}
	}},
	"missing": {true, func(d *dice) []bucket.Fault {
		return d.keys(bucket.Refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist."))
	}},
	"other bytes": {true, func(d *dice) []bucket.Fault {
		return d.keys(bucket.EditBody(func(body []byte) []byte { return body[:len(body)/2] }))
	}},
}

package apply

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regfsck/backend"
	"regfsck/backend/s3"
	"regfsck/fixtures"
	"regfsck/fixtures/s3test"
	"regfsck/graph/check"
	"regfsck/graph/finding"
	"regfsck/graph/gc"
	"regfsck/graph/journal"
	"regfsck/graph/plan"
)

// mishap is a kind of fault of a bucket. Its faults are made anew for each phase; percent is
// the share of requests.
type mishap struct {
	lies   bool // about keys, each once, so that they can't be detected at once
	faults func(d *dice) []s3test.Fault
}

// dice decides which requests are faulty.
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

// once is roll, and never true again for the same what.
func (d *dice) once(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told[what] || d.r.IntN(100) >= d.percent {
		return false
	}
	d.told[what] = true
	return true
}

// always decides once for each what.
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

// first is true once for each what.
func (d *dice) first(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.told["first "+what] = true }()
	return !d.told["first "+what]
}

// hiddenAs returns the repository or tag of a key.
func hiddenAs(key string) string {
	repository, rest, _ := strings.Cut(key, "/_")
	if tag, ok := strings.CutPrefix(rest, "manifests/tags/"); ok {
		tag, _, _ = strings.Cut(tag, "/")
		return repository + ":" + tag
	}
	return repository
}

// met makes some of the requests that match faulty.
func (d *dice) met(match func(*s3test.Request) bool, do s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Match: func(r *s3test.Request) bool { return match(r) && d.roll() }, Do: do}}
}

// burst is met, with the next few requests.
func (d *dice) burst(do s3test.Action) []s3test.Fault {
	left := 0
	return []s3test.Fault{{Match: func(*s3test.Request) bool {
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

// outage makes all requests after one faulty.
func (d *dice) outage(do s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Skip: d.r.IntN(5 * d.percent), Do: do}}
}

// lists makes some pages faulty, each once.
func (d *dice) lists(do s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Match: func(r *s3test.Request) bool {
		return listing(r) && d.once(string(r.Operation)+"?"+r.Query.Encode())
	}, Do: do}}
}

// keys makes requests for some objects faulty, each kind once.
func (d *dice) keys(do s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Match: func(r *s3test.Request) bool {
		return reading(r) && d.once(string(r.Operation)+" "+r.Key)
	}, Do: do}}
}

var (
	listing   = s3test.Of(s3test.ListObjectsV2, s3test.ListObjectVersions, s3test.ListMultipartUploads)
	reading   = s3test.Of(s3test.GetObject, s3test.HeadObject)
	answering = s3test.Of(s3test.GetObject, s3test.ListObjectsV2, s3test.ListObjectVersions, s3test.ListMultipartUploads, s3test.DeleteObjects)
)

func anything(*s3test.Request) bool { return true }

// md5Of returns the ETag of an object with these bytes.
func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// mishaps are all kinds, by name.
var mishaps = map[string]mishap{
	"slow down": {false, func(d *dice) []s3test.Fault { return d.burst(s3test.SlowDown()) }},
	"reset":     {false, func(d *dice) []s3test.Fault { return d.met(anything, s3test.Reset()) }},
	"lost":      {false, func(d *dice) []s3test.Fault { return d.met(anything, s3test.ResetAfter()) }},
	"cut":       {false, func(d *dice) []s3test.Fault { return d.met(answering, s3test.Cut()) }},
	"broken": {false, func(d *dice) []s3test.Fault {
		return d.met(anything, s3test.Refuse(http.StatusInternalServerError, "InternalError", "We encountered an internal error."))
	}},
	"outage": {false, func(d *dice) []s3test.Fault { return d.outage(s3test.SlowDown()) }},
	"lost, gone": {false, func(d *dice) []s3test.Fault {
		return append(d.met(anything, s3test.ResetAfter()), d.outage(s3test.Reset())...)
	}},
	"denied": {false, func(d *dice) []s3test.Fault {
		return []s3test.Fault{{Match: func(r *s3test.Request) bool { return r.Key != "" && d.always(r.Key) }, Do: s3test.AccessDenied()}}
	}},
	"denied requests": {false, func(d *dice) []s3test.Fault {
		return []s3test.Fault{{Match: func(r *s3test.Request) bool { return d.always(string(r.Operation)) }, Do: s3test.AccessDenied()}}
	}},
	"keys that are kept": {false, func(d *dice) []s3test.Fault {
		code := func(string) string {
			if !d.roll() {
				return ""
			}
			return [...]string{"AccessDenied", "InternalError", "SlowDown", "OddTrouble"}[rand.IntN(4)]
		}
		return []s3test.Fault{{Match: s3test.Of(s3test.DeleteObjects), Do: s3test.DeleteErrors(code)}}
	}},
	"wrong etags": {false, func(d *dice) []s3test.Fault {
		return []s3test.Fault{{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.ListETags(func(key, etag string) string {
			if !d.always(key) {
				return etag
			}
			return md5Of("something else")
		})}}
	}},
	"no token":  {false, func(d *dice) []s3test.Fault { return d.met(listing, s3test.NoToken()) }},
	"duplicate": {false, func(d *dice) []s3test.Fault { return d.met(s3test.Of(s3test.ListObjectsV2), s3test.Duplicate()) }},
	"unsorted":  {false, func(d *dice) []s3test.Fault { return d.met(s3test.Of(s3test.ListObjectsV2), s3test.Unsort()) }},
	"shrunk":    {false, func(d *dice) []s3test.Fault { return d.met(s3test.Of(s3test.ListObjectsV2), s3test.ShrinkPage()) }},
	"stale":     {true, func(*dice) []s3test.Fault { return []s3test.Fault{{Match: listing, Do: s3test.Stale()}} }},
	"empty":     {true, func(d *dice) []s3test.Fault { return d.lists(s3test.EmptyPage()) }},
	"hidden": {true, func(d *dice) []s3test.Fault {
		return []s3test.Fault{{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.HideKeys(func(key string) bool { return d.once(key) })}}
	}},
	"hidden directories": {true, func(d *dice) []s3test.Fault {
		return []s3test.Fault{{Match: s3test.Of(s3test.ListObjectsV2), Do: s3test.HideKeys(func(key string) bool {
			return d.always(hiddenAs(key)) && d.first(key)
		})}}
	}},
	"missing": {true, func(d *dice) []s3test.Fault {
		return d.keys(s3test.Refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist."))
	}},
	"other bytes": {true, func(d *dice) []s3test.Fault {
		return d.keys(s3test.EditBody(func(body []byte) []byte { return body[:len(body)/2] }))
	}},
}

// front is a bucket with faults.
type front struct {
	*testing.T
	seed   uint64
	kind   mishap
	how    string
	place  *s3test.Bucket
	proxy  *s3test.Proxy
	keep   bool
	state  string
	policy gc.Policy
}

// open opens the store as a new process does, and then makes it faulty.
func (f *front) open(phase uint64, troubled bool) *s3.Store {
	f.Helper()
	f.proxy.Heal()
	s, err := s3.OpenStore(f.Context(), s3.Options{
		Bucket: f.place.Name, Root: "root", Endpoint: f.proxy.Endpoint, Region: f.proxy.Region, Workers: 4,
		AccessKey: f.proxy.AccessKey, SecretKey: f.proxy.SecretKey, Attempts: 3, Backoff: time.Millisecond,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	if troubled {
		percent := []int{2, 10, 30}[(f.seed+phase)%3]
		f.proxy.Inject(f.kind.faults(newDice(10*f.seed+phase, percent))...)
	}
	return s
}

// dump returns the objects in the bucket, without the proxy.
func (f *front) dump() map[string]string {
	f.Helper()
	all := map[string]string{}
	for key, body := range f.place.Contents(f.T, "root/docker/") {
		all[strings.TrimPrefix(key, "root/")] = " " + string(body)
	}
	return all
}

// options returns the options of a check at this moment.
func (f *front) options() check.Options {
	o := options(f.policy)
	o.Now, o.Grace, o.Workers, o.Fingerprint = time.Now(), 0, 4, true
	return o
}

// everything returns the findings of a check, a line each.
func everything(r *check.Result) (all []string) {
	for f := range r.Findings {
		all = append(all, fmt.Sprint(f.Kind, " ", f.Path, " ", f.Detail, f.Affects))
	}
	slices.Sort(all)
	return all
}

// tryFix plans and applies, as regfsck fix --apply.
func (f *front) tryFix(s backend.Store, state string) (*Outcome, error) {
	if _, err := Finish(context.Background(), s, state); err != nil {
		return nil, err
	}
	result, _, err := check.Store(context.Background(), s, f.options())
	if err != nil {
		return nil, err
	}
	in := input(s, state, plan.New(result, f.policy), f.policy)
	in.Scan, in.Now, in.Workers, in.Found, in.Made = f.options(), time.Now, 4, result, true
	in.Run.Keep, in.Limits.NoUndoOK, in.Limits.MaxDelete = f.keep, !f.keep, 1
	if reasons := Refusals(result, in.Plan, in.Limits, Facts{Given: in.Given}); len(reasons) > 0 {
		return nil, &Refused{reasons}
	}
	return Run(context.Background(), in)
}

// fixAll fixes without faults until there are no steps.
func (f *front) fixAll(s backend.Store, state string) {
	f.Helper()
	for range maxRuns {
		if out, err := f.tryFix(s, state); err != nil || len(out.NotDone) > 0 {
			f.Fatalf("%s: %v, %+v", f.how, err, out)
		}
	}
}

// unlocked opens the store without faults, and removes the lease.
func (f *front) unlocked() *s3.Store {
	f.Helper()
	s := f.open(0, false)
	if body, ok := f.place.Get(f.T, "root/.regfsck/lock"); ok {
		var by struct{ Run string }
		if err := json.Unmarshal(body, &by); err != nil {
			f.Fatalf("%s: the lease holds %q: %v", f.how, body, err)
		}
		if err := s.BreakLock(f.Context(), by.Run); err != nil {
			f.Fatalf("%s: %v", f.how, err)
		}
	}
	return s
}

// A longer run: go test ./graph/apply -run TroubleInBuckets -buckets 5000
// One bucket again: go test ./graph/apply -run TroubleInBuckets -buckets 1 -bucket 4711
var (
	troubledBuckets = flag.Uint64("buckets", 48, "how many buckets meet trouble")
	troubledBucket  = flag.Uint64("bucket", 0, "the seed of the first of them")
)

// TestTroubleInBuckets: with any faults between a bucket and a check, a fix and its undo, no
// tag loses anything, nothing more is removed, later runs without faults have the usual
// result, and an undo restores every byte.
func TestTroubleInBuckets(t *testing.T) {
	const groups = 4
	names := slices.Sorted(maps.Keys(mishaps))
	for group := range uint64(groups) {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			server := s3test.Start(t, s3test.Options{Versioning: true})
			proxy := s3test.Front(t, server, s3test.Settings{CountOnly: true})
			for i := group; i < *troubledBuckets; i += groups {
				seed := *troubledBucket + i
				name := names[seed%uint64(len(names))]
				f := &front{T: t, seed: seed, kind: mishaps[name], place: server.Make(t, fmt.Sprint("registry-", seed)), proxy: proxy}
				f.keep = seed/uint64(len(names))%2 == 0
				b, what := troubledStore(seed)
				f.how = fmt.Sprintf("seed %d, %s, %s, versions %v", seed, what, name, f.keep)
				f.fillAndTry(b)
			}
		})
	}
}

// troubledStore returns a store with a damage, or a random one.
func troubledStore(seed uint64) (*fixtures.Builder, string) {
	all := oneOfEach()
	names := slices.Sorted(maps.Keys(all))
	if seed%4 == 0 {
		b, _ := randomStore(seed)
		return b, "random"
	}
	name := names[seed%uint64(len(names))]
	if seed%4 == 1 {
		name = "messy"
	}
	return all[name], name
}

// fillAndTry writes a store to the bucket and runs everything with faults.
func (f *front) fillAndTry(b *fixtures.Builder) {
	if f.keep {
		f.place.SetVersioning(f.T, s3test.Enabled)
	}
	f.place.Fill(f.T, s3test.From(b.Into, "root/"))
	f.state, f.policy = f.TempDir(), gc.Policy{Untagged: true}
	was := f.dump()
	m := &fixtures.Memory{}
	b.Into(m.Put, func(string) {}) // a bucket has no empty directories
	f.fixAll(m.Store(), f.TempDir())
	want := map[string]string{}
	for key, body := range files(dump(m)) {
		want[key] = " " + body
	}
	f.check(was)
	f.fix(was, want)
	if f.keep {
		f.undo(was, want)
	}
}

// check checks with faults: the result is incomplete or right, and healthy objects aren't
// called damaged.
func (f *front) check(was map[string]string) {
	f.Helper()
	right, _, err := check.Store(f.Context(), f.open(0, false), f.options())
	if err != nil {
		f.Fatal(err)
	}
	hurt, _, err := check.Store(f.Context(), f.open(1, true), f.options())
	f.proxy.Heal()
	if d := diff(was, f.dump()); d != "" {
		f.Fatalf("%s: a check changed\n%s", f.how, d)
	}
	if err != nil {
		return
	}
	unsound := map[string]bool{}
	for found := range right.Findings {
		unsound[found.Path] = true
	}
	for found := range hurt.Findings {
		if found.Kind.Severity() == finding.Error && !unsound[found.Path] {
			f.Errorf("%s: %s %s %s", f.how, found.Kind, found.Path, found.Detail)
		}
	}
	if is, want := everything(hurt), everything(right); hurt.Complete && !f.kind.lies && !slices.Equal(is, want) {
		f.Errorf("%s: complete, and it says\n%s\nwant\n%s", f.how, strings.Join(is, "\n"), strings.Join(want, "\n"))
	}
}

// fix fixes with faults, and then without.
func (f *front) fix(was, want map[string]string) {
	f.Helper()
	f.tryFix(f.open(2, true), f.state)
	f.proxy.Heal()
	is := f.dump()
	if l := lost(needs(was), was, is); l != "" {
		f.Fatalf("%s: a tag's needs:\n%s", f.how, l)
	}
	gone := deleted(was, want)
	for _, key := range deleted(was, is) {
		if !slices.Contains(gone, key) {
			f.Fatalf("%s: %s is gone", f.how, key)
		}
	}
	f.fixAll(f.unlocked(), f.state)
	if d := diff(want, f.dump()); d != "" {
		f.Fatalf("%s: after the next fix:\n%s", f.how, d)
	}
}

// undo undoes with faults, and then without.
func (f *front) undo(was, want map[string]string) {
	f.Helper()
	Undo(context.Background(), f.open(3, true), f.state, "")
	f.proxy.Heal()
	needed := needs(was)
	maps.DeleteFunc(needed, func(key string, _ bool) bool { return was[key] != want[key] }) // written by the fix, and to be removed
	if l := lost(needed, was, f.dump()); l != "" {
		f.Fatalf("%s: after a broken undo a tag's needs:\n%s", f.how, l)
	}
	stays := f.undoAll(f.unlocked())
	is := f.dump()
	maps.DeleteFunc(is, func(key string, _ string) bool { return slices.Contains(stays, key) })
	if d := diff(was, is); d != "" {
		f.Fatalf("%s: after the undo:\n%s", f.how, d)
	}
}

// undoAll undoes all runs without faults. It returns the links that one run wrote and a later
// one removed: their undo gives them a new time, as a push would, so that the first run's
// undo keeps them. Runs within two seconds can't be distinguished by time: what was restored
// may be kept too.
func (f *front) undoAll(s backend.Store) (stays []string) {
	f.Helper()
	runs, err := os.ReadDir(filepath.Join(f.state, "runs"))
	if err != nil && !os.IsNotExist(err) {
		f.Fatal(err)
	}
	for {
		out, err := Undo(context.Background(), s, f.state, "")
		if errors.Is(err, journal.ErrNoRun) {
			return stays
		}
		if err != nil {
			f.Fatalf("%s: undo: %v", f.how, err)
		}
		for _, l := range out.NotDone {
			switch {
			case l.Reason == errRewritten.Error() && len(runs) > 1:
				stays = append(stays, l.Step.Key)
			case l.Failed || l.Reason == errRewritten.Error() || l.Reason == errLost.Error():
				f.Fatalf("%s: undo: %+v", f.how, l)
			}
		}
	}
}

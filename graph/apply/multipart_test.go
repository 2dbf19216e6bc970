package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
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
	"regfsck/walker/layout"
)

// TestAborts: stale multipart uploads are aborted after another listing; objects at their
// keys are kept. An undo restores all else and reports them.
func TestAborts(t *testing.T) {
	p, data := partly()
	was, state := dump(p.m), t.TempDir()
	out := mustFix(t, p, state, gc.Policy{})
	if !slices.Equal(p.ids(), []string{"young"}) || out.Counts[finding.MultipartStale].Done != 3 || p.listings != 2 {
		t.Fatalf("left are %q after %d listings: %+v", p.ids(), p.listings, out)
	}
	if d := deleted(was, dump(p.m)); slices.Contains(d, p.blob) || !slices.Contains(d, layout.UploadKey("a", "u")+"/startedat") {
		t.Errorf("deleted are %q", d)
	}
	for n := range 2 {
		back, err := Undo(context.Background(), p, state, out.Run)
		if err != nil || back.Steps.Failed > 0 || diff(was, dump(p.m)) != "" {
			t.Fatalf("%v, %+v\n%s", err, back, diff(was, dump(p.m)))
		}
		var left []string
		for _, l := range back.NotDone {
			left = append(left, string(l.Step.Op)+" "+l.Step.Key+" "+l.Step.Upload)
			if l.Reason != errAborted.Error() {
				t.Errorf("%+v", l)
			}
		}
		slices.Sort(left)
		want := []string{"abort " + p.blob + " copy", "abort " + data + " 1", "abort " + data + " 2"}
		if n > 0 {
			want = nil
		}
		if !slices.Equal(left, want) {
			t.Errorf("left are %q, want %q", left, want)
		}
	}
	if runs, err := journal.Summaries(state); err != nil || runs[0].Status != journal.Undone {
		t.Errorf("%v, %+v", err, runs)
	}
}

// TestSkippedAborts: a multipart upload that has changed, can't be aborted, or is of a kept
// upload is skipped and reported. All else is done.
func TestSkippedAborts(t *testing.T) {
	denied := fmt.Errorf("abort: %w: it needs s3:AbortMultipartUpload", fs.ErrPermission)
	at := func(n int, do func()) func(int) error {
		return func(is int) error {
			if is == n {
				do()
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		spoil  func(p *parted)
		left   map[string]string // by id: in the reason
		failed bool
		stay   []string
	}{
		"gone meanwhile": {
			func(p *parted) { p.list = at(2, func() { p.drop("1") }) },
			map[string]string{"1": "it no longer exists"}, false, []string{"young"},
		},
		"gone at the last moment": {
			func(p *parted) {
				p.abort = func(u backend.Upload) (bool, error) { p.drop("1"); return true, nil }
			},
			map[string]string{"1": "it no longer exists"}, false, []string{"young"},
		},
		"another by its id": {
			func(p *parted) { p.list = at(2, func() { p.drop("copy"); p.add(p.blob, "copy", now) }) },
			map[string]string{"copy": "another one has its id now"}, false, []string{"copy", "young"},
		},
		"denied": {
			func(p *parted) {
				p.abort = func(backend.Upload) (bool, error) { return false, denied }
			},
			map[string]string{"1": "for the same reason as", "2": "for the same reason as", "copy": "s3:AbortMultipartUpload"},
			true, []string{"1", "2", "copy", "young"},
		},
		"not to be listed": {
			func(p *parted) {
				p.list = func(n int) error {
					if n > 1 {
						return fixtures.ErrFaulty
					}
					return nil
				}
			},
			map[string]string{"1": "for the same reason as", "2": "for the same reason as", "copy": fixtures.ErrFaulty.Error()},
			true, []string{"1", "2", "copy", "young"},
		},
		"an answer is lost": {
			func(p *parted) {
				p.abort = func(u backend.Upload) (bool, error) {
					if u.ID == "2" {
						return true, fixtures.ErrFaulty
					}
					return true, nil
				}
			},
			map[string]string{"2": fixtures.ErrFaulty.Error()}, true, []string{"young"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := partly()
			c.spoil(p)
			out, err := fix(p, t.TempDir(), gc.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, l := range out.NotDone {
				if got[l.Step.Upload] = l.Reason; l.Failed != c.failed {
					t.Errorf("%+v", l)
				}
			}
			for id, word := range c.left {
				if !strings.Contains(got[id], word) || len(got) != len(c.left) {
					t.Errorf("left are %q, want %q", got, c.left)
				}
			}
			ids := p.ids()
			slices.Sort(ids)
			if !slices.Equal(ids, c.stay) || out.Steps.Done == 0 {
				t.Errorf("%q are there, want %q; %+v", ids, c.stay, out.Counts)
			}
		})
	}
}

// TestPartsOfAContinuedUpload: the multipart uploads of an upload that was continued are
// kept.
func TestPartsOfAContinuedUpload(t *testing.T) {
	p, data := partly()
	dir := layout.UploadKey("a", "u") + "/"
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), atFirst(fixtures.OpRemove, func() { // of a link
		p.m.Put(dir+"startedat", []byte("once more"), fixtures.Epoch.Add(time.Minute))
	}))
	out, err := fix(p, t.TempDir(), gc.Policy{Untagged: true})
	if err != nil || len(p.ids()) != 3 || slices.Contains(p.ids(), "copy") {
		t.Fatalf("%v, %q are there, %+v", err, p.ids(), out)
	}
	left := reasons(out)
	if len(out.NotDone) != 3 || left[dir] != "it was written to" || left[data] != "its upload is kept" {
		t.Errorf("left are %q", left)
	}
}

// TestAContinuedMultipartUpload: one that was continued since the plan refuses it.
func TestAContinuedMultipartUpload(t *testing.T) {
	p, data := partly()
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), atFirst(fixtures.OpLock, func() {
		p.m.Put(layout.UploadKey("a", "u")+"/startedat", []byte("once more"), now)
	}))
	_, err := fix(p, t.TempDir(), gc.Policy{})
	if no, ok := errors.AsType[*Refused](err); !ok || !slices.Contains(no.Reasons[0].Keys, data) || len(p.ids()) != 4 {
		t.Errorf("%v, %q are there", err, p.ids())
	}
}

// TestAPlanOfOnePart: a plan aborts only the one of several at a key that it has.
func TestAPlanOfOnePart(t *testing.T) {
	p, _ := partly()
	p.add(p.blob, "another", fixtures.Epoch)
	result, _, err := check.Store(context.Background(), p, options(gc.Policy{}))
	if err != nil {
		t.Fatal(err)
	}
	one, state := plan.New(result, gc.Policy{}), t.TempDir()
	one.Steps = slices.DeleteFunc(one.Steps, func(s plan.Step) bool { return s.Upload != "copy" })
	out, err := Run(context.Background(), input(p, state, one, gc.Policy{}))
	if err != nil || out.Steps.Done != 1 || len(out.NotDone) > 0 || !slices.Equal(p.ids(), []string{"2", "1", "young", "another"}) {
		t.Fatalf("%v, %q are there, %+v", err, p.ids(), out)
	}
	forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
	run, err := journal.Read(state, out.Run, journal.Whole)
	if err != nil || !run.Intended(plan.Abort, plan.FullKey(p.blob, "copy")) || run.Intended(plan.Abort, plan.FullKey(p.blob, "another")) {
		t.Errorf("%v, %+v", err, run)
	}
	if kept, err := purgeReceipts(run, state); err != nil || len(kept) > 0 { // the object at its key was never the run's
		t.Errorf("%v, kept are %+v", err, kept)
	}
}

// nothingParted hides the method Abort.
type nothingParted struct {
	backend.Store
	backend.Multipart
}

// TestAStoreWithoutAbort: a store that can only list multipart uploads keeps them, with the
// reason.
func TestAStoreWithoutAbort(t *testing.T) {
	p, _ := partly()
	out, err := fix(nothingParted{p.m.Store(), p}, t.TempDir(), gc.Policy{})
	if err != nil || len(out.NotDone) != 3 || len(p.ids()) != 4 || out.NotDone[0].Reason != backend.ErrNoMultipart.Error() {
		t.Errorf("%v, %+v", err, out)
	}
}

// TestMultipartUploadsAfterACrash: what was aborted before a crash without a receipt counts
// as done when the plan is resumed, the rest is done then, and the run can be undone.
func TestMultipartUploadsAfterACrash(t *testing.T) {
	for _, meant := range []bool{false, true} {
		p, data := partly()
		result, _, err := check.Store(context.Background(), p, options(gc.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		was, state, saved := dump(p.m), t.TempDir(), plan.New(result, gc.Policy{})
		first, err := Run(context.Background(), input(p, state, saved, gc.Policy{}))
		if err != nil || len(first.NotDone) > 0 {
			t.Fatalf("%v, %+v", err, first)
		}
		forget(t, filepath.Join(state, "runs", first.Run, journal.FileName))
		if meant {
			p.add(data, "2", fixtures.Epoch)
		}
		out, err := Run(context.Background(), input(p, state, saved, gc.Policy{}))
		if err != nil || !out.Resumed || len(out.NotDone) > 0 || out.Steps.Done != first.Steps.Done || len(p.ids()) != 1 {
			t.Fatalf("%v, %+v, want %+v", err, out, first)
		}
		if meant {
			p.add(data, "2", fixtures.Epoch)
		}
		back, err := Undo(context.Background(), p, state, "")
		if left := len(back.NotDone); err != nil || meant && left != 2 || !meant && left != 3 || diff(was, dump(p.m)) != "" {
			t.Errorf("%v, %+v\n%s", err, back, diff(was, dump(p.m)))
		}
	}
}

// partedBucket is a store in a bucket behind a proxy, with stale multipart uploads: of an
// upload, at a blob's key, and a young one.
type partedBucket struct {
	*s3.Store
	t     *testing.T
	place *s3test.Bucket
	proxy *s3test.Proxy
	data  string // of an upload with two parts
	blob  string // the key of a needed blob
	young string
}

func inPartedBucket(t *testing.T, server *s3test.Server, name string) *partedBucket {
	t.Helper()
	b := garbage()
	p := &partedBucket{t: t, place: server.Make(t, name), proxy: s3test.Front(t, server, s3test.Settings{})}
	p.data, p.blob = layout.UploadKey("a", "u")+"/data", b.Image("a", "v2", fixtures.Image{}).Blobs[1].Key()
	b.Put(layout.UploadKey("a", "u")+"/startedat", []byte("then"))
	p.place.SetVersioning(t, s3test.Enabled)
	p.place.Fill(t, s3test.From(b.Into, "root/"))
	p.begin(p.data, fixtures.Epoch)
	p.begin(p.data, fixtures.Epoch)
	p.begin(p.blob, fixtures.Epoch)
	p.young = p.begin(p.blob, now.Add(-time.Minute))
	var err error
	p.Store, err = s3.OpenStore(t.Context(), s3.Options{
		Bucket: p.place.Name, Root: "root", Endpoint: p.proxy.Endpoint, Region: server.Region,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// begin begins a multipart upload at that time, and returns its id.
func (p *partedBucket) begin(key string, at time.Time) string {
	p.t.Helper()
	id := p.place.StartUpload(p.t, "root/"+key, []byte("part"))
	p.place.SetUploadTime(p.t, "root/"+key, id, at)
	return id
}

func (p *partedBucket) ids() (all []string) {
	p.t.Helper()
	for _, u := range p.place.Uploads(p.t) {
		all = append(all, u.ID)
	}
	return all
}

// TestMultipartUploadsInABucket: stale ones are aborted, neither the young one nor an object
// at the same key. After a crash they are done; nothing later removes the object.
func TestMultipartUploadsInABucket(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	for n, crashed := range []bool{false, true} {
		p, state := inPartedBucket(t, server, fmt.Sprintf("parted-%d", n)), t.TempDir()
		was := files(dump(p))
		result, _, err := check.Store(context.Background(), p, options(gc.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		saved := plan.New(result, gc.Policy{})
		out, err := Run(context.Background(), input(p, state, saved, gc.Policy{}))
		if err != nil || len(out.NotDone) > 0 || out.Counts[finding.MultipartStale].Done != 3 {
			t.Fatalf("%v, %+v", err, out)
		}
		if got := p.proxy.Counts()[s3test.AbortMultipartUpload]; got != 3 {
			t.Errorf("%d aborts", got)
		}
		if crashed {
			forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
			again, err := Run(context.Background(), input(p, state, saved, gc.Policy{}))
			if err != nil || !again.Resumed || len(again.NotDone) > 0 || again.Steps.Done != out.Steps.Done {
				t.Errorf("%v, %+v, want %+v", err, again, out)
			}
			forget(t, filepath.Join(state, "runs", out.Run, journal.FileName))
		}
		if ids := p.ids(); !slices.Equal(ids, []string{p.young}) {
			t.Errorf("left are %q, want %q", ids, p.young)
		}
		if crashed {
			if _, err := Purge(context.Background(), p, state, out.Run); err != nil {
				t.Error(err)
			}
			if _, ok := p.place.Get(t, "root/"+p.blob); !ok {
				t.Errorf("%s is gone", p.blob)
			}
			continue
		}
		back, err := Undo(context.Background(), p, state, "")
		if err != nil || len(back.NotDone) != 3 || back.Steps.Failed > 0 || diff(was, files(dump(p))) != "" {
			t.Errorf("%v, %+v\n%s", err, back, diff(was, files(dump(p))))
		}
	}
}

// TestABucketThatDeniesAborts: the missing permission is reported once, and all else is done.
func TestABucketThatDeniesAborts(t *testing.T) {
	server := s3test.Start(t, s3test.Options{Versioning: true})
	p, state := inPartedBucket(t, server, "denied"), t.TempDir()
	p.proxy.Inject(s3test.Fault{Match: s3test.Of(s3test.AbortMultipartUpload), Do: s3test.AccessDenied()})
	out, err := fix(p, state, gc.Policy{})
	if err != nil || len(out.NotDone) != 3 || out.Steps.Done == 0 || len(p.ids()) != 4 {
		t.Fatalf("%v, %+v, %q", err, out, p.ids())
	}
	told := 0
	for _, l := range out.NotDone {
		if told += strings.Count(l.Reason, "s3:AbortMultipartUpload"); !l.Failed || l.Step.Op != plan.Abort {
			t.Errorf("%+v", l)
		}
	}
	if told != 1 {
		t.Errorf("told %d times: %+v", told, out.NotDone)
	}
	p.proxy.Heal()
	mustFix(t, p, state, gc.Policy{})
	if ids := p.ids(); !slices.Equal(ids, []string{p.young}) {
		t.Errorf("left are %q, want %q", ids, p.young)
	}
}

// parted is a store with multipart uploads, for one goroutine.
type parted struct {
	*fixtures.FaultyStore
	m        *fixtures.Memory
	blob     string // the key of a needed blob
	uploads  []backend.Upload
	listings int
	list     func(n int) error                    // called before the n-th listing
	abort    func(u backend.Upload) (bool, error) // returns whether an abort is made, and its error
}

func (p *parted) Uploads(_ context.Context, each func(backend.Upload) error) error {
	p.listings++
	if err := p.list(p.listings); err != nil {
		return err
	}
	for _, u := range slices.Clone(p.uploads) {
		if err := each(u); err != nil {
			return err
		}
	}
	return nil
}

func (p *parted) Abort(_ context.Context, u backend.Upload) error {
	made, err := p.abort(u)
	if made && err == nil && !slices.Contains(p.uploads, u) {
		err = &fs.PathError{Op: "abort", Path: u.Key, Err: fs.ErrNotExist}
	}
	if made {
		p.drop(u.ID)
	}
	return err
}

func (p *parted) add(key, id string, started time.Time) {
	p.uploads = append(p.uploads, backend.Upload{Key: key, ID: id, Started: started.UnixNano()})
}

func (p *parted) drop(id string) {
	p.uploads = slices.DeleteFunc(p.uploads, func(u backend.Upload) bool { return u.ID == id })
}

func (p *parted) ids() (all []string) {
	for _, u := range p.uploads {
		all = append(all, u.ID)
	}
	return all
}

// partly returns a store with garbage, a stale upload with two parts, a stale one at the key
// of a needed blob, and a young one.
func partly() (p *parted, data string) {
	b := garbage()
	data, blob := layout.UploadKey("a", "u")+"/data", b.Image("a", "v2", fixtures.Image{}).Blobs[1].Key()
	b.Put(layout.UploadKey("a", "u")+"/startedat", []byte("then"))
	p = &parted{m: b.Memory(), blob: blob}
	p.FaultyStore = fixtures.NewFaultyStore(p.m.Store(), nil)
	p.add(data, "2", fixtures.Epoch)
	p.add(data, "1", fixtures.Epoch)
	p.add(blob, "copy", fixtures.Epoch)
	p.add(blob, "young", now)
	p.list = func(int) error { return nil }
	p.abort = func(backend.Upload) (bool, error) { return true, nil }
	return p, data
}

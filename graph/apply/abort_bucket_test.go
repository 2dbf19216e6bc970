package apply

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regfsck/backend/s3"
	"regfsck/fixtures"
	"regfsck/fixtures/bucket"
	"regfsck/graph"
	"regfsck/graph/plan"
	"regfsck/walker/layout"
)

// partedBucket is a store in a bucket, behind a proxy, with stale parts of an
// upload, one at a blob's key, and a young one.
type partedBucket struct {
	*s3.Store
	t     *testing.T
	place *bucket.Bucket
	proxy *bucket.Proxy
	data  string // where the upload has two parts
	blob  string // the key of one that is needed
	young string
}

func inPartedBucket(t *testing.T, server *bucket.Server, name string) *partedBucket {
	t.Helper()
	b := garbage()
	p := &partedBucket{t: t, place: server.Make(t, name), proxy: bucket.Front(t, server, bucket.Settings{})}
	p.data, p.blob = layout.UploadKey("a", "u")+"/data", b.Image("a", "v2", fixtures.Image{}).Blobs[1].Key()
	b.Put(layout.UploadKey("a", "u")+"/startedat", []byte("then"))
	p.place.SetVersioning(t, bucket.Enabled)
	p.place.Fill(t, bucket.From(b.Into, "root/"))
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

// In a bucket the stale parts go, and neither the young one nor an object at the
// same key. After a crash they are done; nothing that follows takes the object.
func TestMultipartUploadsInABucket(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	for n, crashed := range []bool{false, true} {
		p, state := inPartedBucket(t, server, fmt.Sprintf("parted-%d", n)), t.TempDir()
		was := files(dump(p))
		result, _, err := graph.Check(context.Background(), p, options(graph.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		saved := plan.New(result, graph.Policy{})
		out, err := Run(context.Background(), input(p, state, saved, graph.Policy{}))
		if err != nil || len(out.NotDone) > 0 || out.Counts["multipart-stale"].Done != 3 {
			t.Fatalf("%v, %+v", err, out)
		}
		if got := p.proxy.Counts()[bucket.AbortMultipartUpload]; got != 3 {
			t.Errorf("%d aborts", got)
		}
		if crashed {
			forget(t, filepath.Join(state, "runs", out.Run, journalName))
			again, err := Run(context.Background(), input(p, state, saved, graph.Policy{}))
			if err != nil || !again.Resumed || len(again.NotDone) > 0 || again.Total().Done != out.Total().Done {
				t.Errorf("%v, %+v, want %+v", err, again, out)
			}
			forget(t, filepath.Join(state, "runs", out.Run, journalName))
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
		if err != nil || len(back.NotDone) != 3 || back.Total().Failed > 0 || diff(was, files(dump(p))) != "" {
			t.Errorf("%v, %+v\n%s", err, back, diff(was, files(dump(p))))
		}
	}
}

// Where aborting is denied, what is missing is said once, and all else is done.
func TestABucketThatDeniesAborts(t *testing.T) {
	server := bucket.Start(t, bucket.Options{Versioning: true})
	p, state := inPartedBucket(t, server, "denied"), t.TempDir()
	p.proxy.Inject(bucket.Fault{Match: bucket.Of(bucket.AbortMultipartUpload), Do: bucket.AccessDenied()})
	out, err := fix(p, state, graph.Policy{})
	if err != nil || len(out.NotDone) != 3 || out.Total().Done == 0 || len(p.ids()) != 4 {
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
	mustFix(t, p, state, graph.Policy{})
	if ids := p.ids(); !slices.Equal(ids, []string{p.young}) {
		t.Errorf("left are %q, want %q", ids, p.young)
	}
}

package s3

import (
	"slices"
	"strings"
	"testing"

	"regfsck/fixtures/bucket"
)

// realLinks puts links into a real server, and stands between.
func realLinks(t *testing.T, l links) (*bucket.Proxy, Options) {
	t.Helper()
	server := bucket.Start(t, bucket.Options{})
	b := server.Make(t, "links")
	all := map[string][]byte{}
	for key, body := range l {
		all["root/"+key] = []byte(body)
	}
	b.Fill(t, bucket.Map(all))
	p := bucket.Front(t, server, bucket.Settings{})
	o := realOptions(server, b.Name)
	o.Endpoint, o.Attempts, o.Backoff = p.Endpoint, 10, 1
	return p, o
}

// TestRealFaults: what a real server's network does to a listing costs requests
// and changes nothing.
func TestRealFaults(t *testing.T) {
	l := newLinks(20, 400)
	for i := range 20 {
		l.tag(numbered(i), i)
	}
	p, o := realLinks(t, l)
	lists, gets := bucket.Of(bucket.ListObjectsV2), bucket.Of(bucket.GetObject)
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.pageSize = 10
	l.list(t, r)
	cost(t, r, 0, len(l))
	if c := r.Cost(); int(c.List) != p.Counts()[bucket.ListObjectsV2] {
		t.Errorf("counted %d lists, and the proxy %d", c.List, p.Counts()[bucket.ListObjectsV2])
	}
	for name, faults := range map[string][]bucket.Fault{
		"slow down": {{Match: lists, Times: 9, Do: bucket.SlowDown()}},
		"cut":       {{Match: lists, Skip: 1, Times: 4, Do: bucket.Cut()}},
		"reset":     {{Match: lists, Skip: 2, Times: 4, Do: bucket.Reset()}, {Match: lists, Skip: 9, Times: 2, Do: bucket.ResetAfter()}},
		"no MD5s": {{Match: lists, Do: bucket.ListETags(func(key, etag string) string { return `"` + sum(key) + `"` })},
			{Match: gets, Skip: 5, Times: 3, Do: bucket.Cut()}, {Match: gets, Times: 5, Do: bucket.SlowDown()}},
		"start ignored": {{Match: lists, Do: bucket.IgnoreStart()}},
	} {
		t.Run(name, func(t *testing.T) {
			p.Inject(faults...)
			defer p.Heal()
			if faults := l.list(t, r); len(faults) > 0 {
				t.Error(faults)
			}
		})
	}
}

// TestRealPagesDistrusted: a listing that contradicts itself isn't taken for one.
func TestRealPagesDistrusted(t *testing.T) {
	l := newLinks(5, 200)
	p, o := realLinks(t, l)
	for name, spoil := range map[string]bucket.Action{
		"no token": bucket.NoToken(), "duplicate": bucket.Duplicate(), "unsorted": bucket.Unsort(), "denied": bucket.AccessDenied(), "shrunk": bucket.ShrinkPage(),
	} {
		r, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		r.pageSize = 20
		p.Inject(bucket.Fault{Match: bucket.Of(bucket.ListObjectsV2), Skip: 3, Do: spoil})
		_, faults, err := keysOf(t, r, "docker")
		if err == nil && len(faults) == 0 {
			t.Errorf("%s: the listing went well", name)
		}
		p.Heal()
		r.Close()
	}
}

// TestRealNames: a real server's spelling of names is understood.
func TestRealNames(t *testing.T) {
	l := links{}
	for _, name := range []string{"a b", " a", "a+b", "%41", "é", "日本語", "*?[a]", `"quoted'`, "&<>;", "~", "a-b/c", "a.b/c", "a/c", "a_b/c"} {
		l[name] = name
	}
	_, o := realLinks(t, l)
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, size := range []int32{0, 2} {
		r.pageSize = size
		keys, _, err := keysOf(t, r, "")
		if err != nil || len(keys) != len(l) {
			t.Errorf("pages of %d: %q, %v", size, keys, err)
		}
		for name := range l {
			if _, err := r.Stat(t.Context(), name); err != nil || !slices.Contains(keys, strings.Clone(name)) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

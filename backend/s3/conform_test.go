package s3

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"regfsck/backend"
	"regfsck/fixtures"
	"regfsck/fixtures/bucket"
)

// idleClosing closes connections after each listing, since the suite counts
// goroutines and an idle connection has two.
type idleClosing struct{ *Reader }

func (r idleClosing) List(ctx context.Context, prefix string, expect backend.Expect, each func(backend.Batch) error) error {
	defer r.Close()
	return r.Reader.List(ctx, prefix, expect, each)
}

func TestConforms(t *testing.T) {
	for _, root := range []string{"", "some/where"} {
		for _, pageSize := range []int32{0, 7} {
			t.Run(fmt.Sprintf("%s/%d", root, pageSize), func(t *testing.T) {
				fixtures.Conformance(t, fixtures.Keeper{NoDirs: true, Fill: func(t *testing.T, files map[string]string, folders []string) backend.Reader {
					bodies := map[string]string{}
					for key, body := range files {
						if root != "" {
							key = root + "/" + key
						}
						bodies[key] = body
					}
					s := newServer(slices.Collect(maps.Keys(bodies)), func(key string) string { return bodies[key] })
					r := s.reader(t, Options{Root: root})
					r.pageSize = pageSize
					return idleClosing{r}
				}})
			})
		}
	}
}

// TestConformsReal runs the suite against real servers. Names with control
// characters stay on our own, since the first can't tell them: it doesn't know the
// encoding that lets any byte stand in a page.
func TestConformsReal(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) { conformsReal(t, bucket.Start(t, bucket.Options{})) })
	t.Run("minio", func(t *testing.T) { conformsReal(t, bucket.Start(t, bucket.Options{MinIO: true})) })
}

func conformsReal(t *testing.T, server *bucket.Server) {
	n := 0
	fixtures.Conformance(t, fixtures.Keeper{NoDirs: true, Fill: func(t *testing.T, files map[string]string, folders []string) backend.Reader {
		if slices.ContainsFunc(slices.Collect(maps.Keys(files)), hasControls) {
			return idleClosing{newServer(slices.Collect(maps.Keys(files)), func(key string) string { return files[key] }).reader(t, Options{})}
		}
		n++
		b := server.Make(t, fmt.Sprintf("conform-%d", n))
		all := map[string][]byte{}
		for key, body := range files {
			all["root/"+key] = []byte(body)
		}
		b.Fill(t, bucket.Map(all))
		r, err := Open(t.Context(), realOptions(server, b.Name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return idleClosing{r}
	}})
}

func realOptions(s *bucket.Server, name string) Options {
	return Options{
		Bucket: name, Root: "/root", Endpoint: strings.TrimPrefix(s.Endpoint, "http://"), Insecure: true,
		Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
	}
}

func hasControls(key string) bool { return strings.ContainsFunc(key, unicode.IsControl) }

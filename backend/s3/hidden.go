package s3

import (
	"context"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"regfsck/backend"
)

// Noncurrent counts the versions below the folders that stand behind a newer
// version or a delete marker, and the bytes that they take. It lists all versions
// there, some folders at a time. A bucket that has never kept versions has none.
func (s *Store) Noncurrent(ctx context.Context, folders []string) (versions int, bytes int64, err error) {
	if versioned, err := s.Versioned(ctx); err != nil || !versioned {
		return 0, 0, err
	}
	var n, size atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(s.workers)
	for _, folder := range folders {
		work.Go(func() error {
			l := versionListing{s: s, q: versionRequest{prefix: s.root + folder}}
			l.each = func(v version) {
				if !v.latest && !v.marker {
					n.Add(1)
					size.Add(v.size)
				}
			}
			for l.next(ctx) {
			}
			return l.err
		})
	}
	err = work.Wait()
	return int(n.Load()), size.Load(), err
}

// Unfinished counts the multipart uploads that were begun below the root and not
// finished, and the bytes of their parts.
func (s *Store) Unfinished(ctx context.Context) (uploads int, bytes int64, err error) {
	var all []backend.Upload
	err = s.Uploads(ctx, func(u backend.Upload) error {
		all = append(all, u)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	var size atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(s.workers)
	for _, u := range all {
		work.Go(func() error {
			n, err := s.parts(ctx, u)
			size.Add(n)
			return err
		})
	}
	err = work.Wait()
	return len(all), size.Load(), err
}

// maxPartPages bounds the pages of one upload's parts: S3 has at most 10,000
// parts, in pages of 1,000.
const maxPartPages = 100

// parts returns how many bytes an upload's parts take. One that has ended
// meanwhile takes none.
func (s *Store) parts(ctx context.Context, u backend.Upload) (bytes int64, err error) {
	in := &s3.ListPartsInput{Bucket: &s.bucket, Key: aws.String(s.root + u.Key), UploadId: &u.ID}
	for range maxPartPages {
		out, err := s.client.ListParts(ctx, in)
		switch {
		case gone(err):
			return 0, nil
		case err != nil:
			return bytes, s.explain(ctx, "list the parts of", u.Key, mayListParts, err)
		}
		for _, p := range out.Parts {
			bytes += aws.ToInt64(p.Size)
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	return bytes, nil
}

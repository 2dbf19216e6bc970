package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// replica is a version that has to be copied, since something else was deleted
// above it.
type replica struct {
	at    int
	under int // where the markers above it begin
	h     history
}

// carryOut does what was decided, and looks whether it helped.
func (r *restoration) carryOut() {
	failed := r.lift.run(r.ctx, r.Store)
	var keys []string
	var at []int
	for i := range r.lifted {
		if failed[i] != nil {
			r.fail(i, failed[i])
			continue
		}
		keys, at = append(keys, r.keys[i]), append(at, i)
	}
	items, errs := r.statsOf(r.ctx, keys)
	for n, i := range at {
		was := r.lifted[i]
		switch {
		case errs[n] != nil:
			r.fail(i, fmt.Errorf("nothing hides it any more, and yet it can't be seen: %w", errs[n]))
		case items[n].Size != was.size || items[n].ETag != was.etag:
			r.fail(i, fmt.Errorf("something else than version %s came back", was.id))
		}
	}
	for _, c := range r.copies {
		if err := r.copy(c); err != nil {
			r.fail(c.at, err)
		}
	}
}

// copy brings a version back as a new one, and gives up the old one.
func (r *restoration) copy(c replica) error {
	key, below := r.keys[c.at], c.under+c.h.markers(c.under)
	source := url.PathEscape(r.bucket + "/" + r.root + key)
	in := &s3.CopyObjectInput{
		Bucket: &r.bucket, Key: aws.String(r.root + key),
		CopySource: aws.String(strings.ReplaceAll(source, "%2F", "/") + "?versionId=" + url.QueryEscape(c.h[below].id)),
	}
	err := r.whileHeld(r.ctx, func(ctx context.Context) error {
		_, err := r.client.CopyObject(ctx, in)
		if err != nil {
			err = r.explain(ctx, "restore", key, mayGetVersion, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	var d deletion
	d.add(c.at, key, c.h[below:below+1], c.h[c.under:below])
	return d.run(r.ctx, r.Store)[c.at]
}

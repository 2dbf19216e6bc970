package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	r.lookDirectly()
}

// copy brings a version back as a new one, and gives up the old one.
func (r *restoration) copy(c replica) error {
	key, below := r.keys[c.at], c.under+c.h.markers(c.under)
	in := &s3.CopyObjectInput{Bucket: &r.bucket, Key: aws.String(r.root + key), CopySource: aws.String(r.copySource(key, c.h[below].id))}
	r.options.copied(in)
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
	r.check = append(r.check, c.at)
	var d deletion
	d.add(c.at, key, c.h[below:below+1], c.h[c.under:below])
	return d.run(r.ctx, r.Store)[c.at]
}

// copySource names a version of a key in the header of a copy, where servers
// decode it as they do a form: a plus sign stands for a space.
func (r *Reader) copySource(key, version string) string {
	source := strings.ReplaceAll(url.QueryEscape(r.bucket+"/"+r.root+key), "+", "%20")
	return strings.ReplaceAll(source, "%2F", "/") + "?versionId=" + url.QueryEscape(version)
}

// lookDirectly asks for each key itself that is said to be in its place: neither a
// page of versions nor the answer to a copy proves that it can be read.
func (r *restoration) lookDirectly() {
	var keys []string
	var at []int
	for _, i := range r.check {
		if r.errs[i] == nil && !strings.HasSuffix(r.keys[i], "/") {
			keys, at = append(keys, r.keys[i]), append(at, i)
		}
	}
	_, errs := r.Reader.Stats(r.ctx, keys)
	for n, i := range at {
		switch {
		case errors.Is(errs[n], fs.ErrNotExist):
			r.fail(i, errUnseen)
		case errs[n] != nil:
			r.fail(i, fmt.Errorf("it can't be seen whether it is there: %w", errs[n]))
		}
	}
}

// errUnseen is none of fs.ErrNotExist: what is kept may come back yet.
var errUnseen = errors.New("the versions that the server lists say that it is in its place, and the server doesn't find it there")

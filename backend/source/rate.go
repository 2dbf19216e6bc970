package source

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// Rate limits how many bytes a second all readers together may read. A nil Rate is no
// limit.
type Rate struct{ *rate.Limiter }

// maxBurst is the largest number of bytes that may be read at once.
const maxBurst = 256 << 10

// NewRate returns a rate of so many bytes a second; nil, which is no limit, for 0.
func NewRate(bytes int64) *Rate {
	if bytes <= 0 {
		return nil
	}
	return &Rate{rate.NewLimiter(rate.Limit(bytes), int(min(bytes, maxBurst)))}
}

// Reader returns a reader of the same bytes that keeps to the rate. It fails when ctx ends.
func (r *Rate) Reader(ctx context.Context, from io.Reader) io.Reader { return &rated{r, ctx, from} }

// rated is a reader that keeps to a rate.
type rated struct {
	rate *Rate
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r *rated) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.rate == nil {
		return r.from.Read(p)
	}
	n, err := r.from.Read(p[:min(len(p), r.rate.Burst())])
	if late := r.rate.WaitN(r.ctx, n); late != nil {
		err = late
	}
	return n, err
}

package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// defaultTimeout is how long a source may be silent: longer than a disk takes to wake up,
// or a server to restart.
const defaultTimeout = 2 * time.Minute

// ErrSilent is the error of a source that hasn't answered for too long.
var ErrSilent = errors.New("doesn't answer")

// limited is a source with a timeout: on a network filesystem without its server a read
// blocks for ever.
type limited struct {
	Source
	timeout
}

// WithTimeout returns a source that isn't used any more once it was silent for so long.
func WithTimeout(s Source, limit time.Duration) Source { return &limited{s, timeout{limit: limit}} }

// timeout limits how long a source may be silent. Once it has expired the source isn't
// used any more. The zero timeout has the default limit.
type timeout struct {
	limit   time.Duration
	expired atomic.Bool
}

// wait returns how long to wait for a result.
func (t *timeout) wait() time.Duration { return cmp.Or(t.limit, defaultTimeout) }

// expire marks the timeout as expired and returns the error.
func (t *timeout) expire() error {
	t.expired.Store(true)
	return fmt.Errorf("%w for %s", ErrSilent, t.wait())
}

// check returns an error if the timeout has expired.
func (t *timeout) check() error {
	if t.expired.Load() {
		return fmt.Errorf("was given up: it %w for %s", ErrSilent, t.wait())
	}
	return nil
}

// within calls do, and stops waiting when the timeout expires; drop gets a result that
// arrives later.
func within[T any](ctx context.Context, t *timeout, do func() (T, error), drop func(T)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var none T
	if err := t.check(); err != nil {
		return none, err
	}
	came := make(chan answer, 1)
	go func() {
		v, err := do()
		came <- answer{v, err}
	}()
	timer := time.NewTimer(t.wait())
	defer timer.Stop()
	late := func(err error) (T, error) {
		go func() {
			if a := <-came; a.err == nil {
				drop(a.v)
			}
		}()
		return none, err
	}
	select {
	case a := <-came:
		return a.v, a.err
	case <-ctx.Done():
		return late(ctx.Err())
	case <-timer.C:
		return late(t.expire())
	}
}

// Size implements Source.
func (l *limited) Size(ctx context.Context, b Blob) (int64, error) {
	return within(ctx, &l.timeout, func() (int64, error) { return l.Source.Size(ctx, b) }, func(int64) {})
}

// Open implements Source.
func (l *limited) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	return l.open(ctx, func() (io.ReadCloser, error) { return l.Source.Open(ctx, b) })
}

// open calls do, and returns a reader that reads ahead with the timeout.
func (t *timeout) open(ctx context.Context, do func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	f, err := within(ctx, t, do, func(f io.ReadCloser) { f.Close() })
	if err != nil {
		return nil, err
	}
	r := &readAhead{from: f, timeout: t, ctx: ctx, chunks: make(chan chunk, 1), done: make(chan struct{})}
	go r.fill()
	return r, nil
}

// buffers have one read each: while one is hashed and written, the next is filled.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer [256 << 10]byte

// readAhead reads a file before its bytes are requested. Read fails when the timeout
// expires or the context ends.
type readAhead struct {
	from    io.ReadCloser
	timeout *timeout
	ctx     context.Context
	chunks  chan chunk
	done    chan struct{} // closed by Close

	current chunk
	at      int // how much of it was returned
}

// chunk is some bytes, and the error after them.
type chunk struct {
	buf *buffer
	n   int
	err error
}

// fill reads until an error, the end or Close, and closes the file.
func (r *readAhead) fill() {
	defer r.from.Close()
	for {
		buf := buffers.Get().(*buffer)
		n, err := r.from.Read(buf[:])
		select {
		case r.chunks <- chunk{buf, n, err}:
		case <-r.done:
			buffers.Put(buf)
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (r *readAhead) Read(p []byte) (int, error) {
	for r.at == r.current.n {
		r.free()
		if r.current.err != nil {
			return 0, r.current.err
		}
		timer := time.NewTimer(r.timeout.wait())
		select {
		case r.current = <-r.chunks:
		case <-r.ctx.Done():
			r.current = chunk{err: r.ctx.Err()}
		case <-timer.C:
			r.current = chunk{err: r.timeout.expire()}
		}
		timer.Stop()
		r.at = 0
	}
	n := copy(p, r.current.buf[r.at:r.current.n])
	r.at += n
	return n, nil
}

// free releases the buffer that was read last.
func (r *readAhead) free() {
	if r.current.buf != nil {
		buffers.Put(r.current.buf)
		r.current.buf = nil
	}
}

// Close implements io.Closer. It doesn't wait for a read that hangs.
func (r *readAhead) Close() error {
	r.free()
	r.current, r.at = chunk{err: fs.ErrClosed}, 0
	close(r.done)
	return nil
}

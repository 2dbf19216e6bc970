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

// patience is how long a source may be silent before it is given up: longer than a disk
// takes to wake up, or a server to be started again.
const patience = 2 * time.Minute

// ErrSilent is a source that hasn't answered for too long.
var ErrSilent = errors.New("doesn't answer")

// patient is a source that is given up where it is silent for a while: a network
// filesystem whose server is gone holds a read for good.
type patient struct {
	Source
	guard
}

// WithPatience returns a source that is given up where it is silent for so long.
func WithPatience(s Source, limit time.Duration) Source { return &patient{s, guard{limit: limit}} }

// guard bounds how long a source may be silent, once: from then on it isn't asked any
// more. The zero guard has the usual patience.
type guard struct {
	limit  time.Duration
	silent atomic.Bool
}

// wait returns how long an answer is waited for.
func (g *guard) wait() time.Duration { return cmp.Or(g.limit, patience) }

// giveUp says that nothing has come, and has the source not asked again.
func (g *guard) giveUp() error {
	g.silent.Store(true)
	return fmt.Errorf("%w for %s", ErrSilent, g.wait())
}

// refuse returns why the source isn't asked; nil where it is.
func (g *guard) refuse() error {
	if g.silent.Load() {
		return fmt.Errorf("was given up: it %w for %s", ErrSilent, g.wait())
	}
	return nil
}

// within calls do, and gives it up after a while; drop gets what comes later.
func within[T any](ctx context.Context, g *guard, do func() (T, error), drop func(T)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var none T
	if err := g.refuse(); err != nil {
		return none, err
	}
	came := make(chan answer, 1)
	go func() {
		v, err := do()
		came <- answer{v, err}
	}()
	timer := time.NewTimer(g.wait())
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
		return late(g.giveUp())
	}
}

// Size is Source's.
func (p *patient) Size(ctx context.Context, b Blob) (int64, error) {
	return within(ctx, &p.guard, func() (int64, error) { return p.Source.Size(ctx, b) }, func(int64) {})
}

// Open is Source's.
func (p *patient) Open(ctx context.Context, b Blob) (io.ReadCloser, error) {
	return p.open(ctx, func() (io.ReadCloser, error) { return p.Source.Open(ctx, b) })
}

// open opens something, and has it read ahead.
func (g *guard) open(ctx context.Context, do func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	f, err := within(ctx, g, do, func(f io.ReadCloser) { f.Close() })
	if err != nil {
		return nil, err
	}
	r := &ahead{from: f, guard: g, ctx: ctx, chunks: make(chan chunk, 1), done: make(chan struct{})}
	go r.fill()
	return r, nil
}

// buffers are what is read at once: while one is hashed and written, the next is filled.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer [256 << 10]byte

// ahead reads a file ahead of whoever reads it, and gives up where nothing comes, or
// where the context of its opening ends.
type ahead struct {
	from   io.ReadCloser
	guard  *guard
	ctx    context.Context
	chunks chan chunk
	done   chan struct{} // closed once nobody reads any more

	current chunk
	at      int // what was read of it
}

// chunk is some bytes, and what came after them.
type chunk struct {
	buf *buffer
	n   int
	err error
}

// fill reads until something ends it, and closes the file.
func (r *ahead) fill() {
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

// Read is io.Reader's.
func (r *ahead) Read(p []byte) (int, error) {
	for r.at == r.current.n {
		r.free()
		if r.current.err != nil {
			return 0, r.current.err
		}
		timer := time.NewTimer(r.guard.wait())
		select {
		case r.current = <-r.chunks:
		case <-r.ctx.Done():
			r.current = chunk{err: r.ctx.Err()}
		case <-timer.C:
			r.current = chunk{err: r.guard.giveUp()}
		}
		timer.Stop()
		r.at = 0
	}
	n := copy(p, r.current.buf[r.at:r.current.n])
	r.at += n
	return n, nil
}

// free gives back the buffer that was read last.
func (r *ahead) free() {
	if r.current.buf != nil {
		buffers.Put(r.current.buf)
		r.current.buf = nil
	}
}

// Close is io.Closer's. A read that hangs is left to itself.
func (r *ahead) Close() error {
	r.free()
	r.current, r.at = chunk{err: fs.ErrClosed}, 0
	close(r.done)
	return nil
}

//go:build amd64 || arm64

package file

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// listing is one call of List: a stack of work, and the workers that take from
// its top. The caller's goroutine is the first of them; others join while
// there is more work than idle workers.
type listing struct {
	*linux
	ctx    context.Context
	expect backend.HintFunc
	each   func(backend.Batch) error
	prefix string
	twins  twins
	plain  bool // see linux.plain

	stop  atomic.Bool  // somebody ended it early
	held  atomic.Int64 // directories that are open
	group sync.WaitGroup

	mu      sync.Mutex // of all below
	work    sync.Cond  // there is more, or it is over
	stack   []task
	running int // workers
	idle    int // those of them that wait
	err     error

	turn sync.Mutex // whoever holds it may call each
}

// task is a directory to open, or an open one to read on.
type task struct {
	more   *directory    // to read on; the rest is then unused
	parent *directory    // open, and above it; nil where it is to be opened by its key
	key    string        // of the directory to open
	own    backend.Hint  // the leaf expected in it
	leaf   *backend.Hint // expected in its children; nil where that must be asked
	done   bool          // that leaf was handed over
	rounds int           // how often it was named and not found
}

func (l *linux) list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	n := &listing{linux: l, ctx: ctx, expect: expect, each: each, prefix: prefix, running: 1}
	n.work.L = &n.mu
	defer context.AfterFunc(ctx, func() { n.fail(ctx.Err()) })()
	n.plain = l.plain()
	w := n.newWorker()
	n.twins = l.twinsOf(&w.k, prefix)
	err := w.top()
	w.run()
	n.group.Wait()
	if err != nil {
		return err
	}
	return n.err
}

// top opens the directory that is to be listed.
func (w *worker) top() error {
	n := w.listing
	fd, pe := n.openKey(&w.k, n.prefix, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case pe == nil:
		if err := w.single(fd, n.prefix); err != nil {
			w.k.close(fd)
			w.fault(n.prefix, n.prefix, err)
			return nil
		}
		n.push(task{more: w.newDirectory(fd, task{key: n.prefix})})
		return nil
	case errors.Is(pe, fs.ErrNotExist):
	case errors.Is(pe, unix.ENOTDIR):
		pe.Err = errNotDir
	default:
		w.fault(n.prefix, pe.Path, pe.Err)
		return nil
	}
	pe.Op = "list"
	return pe
}

// push adds work to the top of the stack, and workers where there are too few.
func (n *listing) push(tasks ...task) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stack = append(n.stack, tasks...)
	for wake := min(len(tasks), n.idle); wake > 0; wake-- {
		n.work.Signal()
	}
	for want := len(n.stack) - n.idle; want > 0 && n.running < n.workers; want-- {
		n.running++
		n.group.Go(func() { n.newWorker().run() })
	}
}

// pop takes work from the top of the stack and waits for some where others may
// still bring it. It reports false when all is done.
func (n *listing) pop() (task, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.idle++
	for len(n.stack) == 0 && n.idle < n.running {
		n.work.Wait()
	}
	if len(n.stack) == 0 {
		n.work.Broadcast()
		return task{}, false
	}
	n.idle--
	last := len(n.stack) - 1
	t := n.stack[last]
	n.stack[last] = task{}
	n.stack = n.stack[:last]
	return t, true
}

// fail ends the listing with err, the first of which counts. Work that is left
// is still taken from the stack, to give back what it holds.
func (n *listing) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
	}
	n.stop.Store(true)
}

// hand calls each, unless the listing is over.
func (n *listing) hand(b backend.Batch) {
	n.turn.Lock()
	defer n.turn.Unlock()
	if n.stop.Load() {
		return
	}
	err := n.ctx.Err()
	if err == nil {
		err = n.each(b)
	}
	if err != nil {
		n.fail(err)
	}
}

// bufferSize is how much of a directory is read at once, and so the share of one
// worker: about 700 names of digests.
const bufferSize = 64 << 10

// worker does one task after the other, with memory that it uses again.
type worker struct {
	*listing
	k      kernel
	batch  batch
	buffer *[bufferSize]byte
	path   []byte
	st     unix.Stat_t
	kids   []task // found, and not yet on the stack
	cost   struct{ list, get, head, bytes int64 }
}

func (n *listing) newWorker() *worker {
	return &worker{listing: n, buffer: n.buffers.Get().(*[bufferSize]byte), k: kernel{sampler: sampler{local: n.plain}}}
}

// run works until nothing is left to do.
func (w *worker) run() {
	defer w.buffers.Put(w.buffer)
	for {
		t, ok := w.pop()
		if !ok {
			w.flush()
			return
		}
		w.do(t)
		w.pushKids()
		w.flush()
	}
}

// do opens a directory and reads it, or reads on in one. Once the listing is over
// it only gives back what the task holds.
func (w *worker) do(t task) {
	f := t.more
	if f == nil && !w.stop.Load() {
		f = w.enter(t)
	}
	if f != nil {
		w.read(f, t)
		w.release(f)
	}
	if t.parent != nil {
		w.release(t.parent)
	}
}

func (w *worker) pushKids() {
	if len(w.kids) > 0 {
		w.push(w.kids...)
		clear(w.kids)
		w.kids = w.kids[:0]
	}
}

// flush hands over what was gathered, and adds up what was done for it.
func (w *worker) flush() {
	if b := w.batch.seal(); len(b.Items)+len(b.Faults) > 0 {
		w.hand(b)
	}
	w.batch.reset()
	c := w.counts
	c.list.Add(w.cost.list)
	c.get.Add(w.cost.get)
	c.head.Add(w.cost.head)
	c.bytes.Add(w.cost.bytes)
	c.calls.Add(w.k.calls)
	w.k.calls = 0
	w.cost.list, w.cost.get, w.cost.head, w.cost.bytes = 0, 0, 0, 0
}

// room makes the batch one of dir that takes one more.
func (w *worker) room(dir string) {
	if w.batch.dir != dir || w.batch.full() {
		w.flush()
		w.batch.dir = dir
	}
}

// item adds a file of dir. Its name is given in up to three parts.
func (w *worker) item(st *unix.Stat_t, body []byte, name ...string) {
	it := itemOf(st)
	it.Body = body
	w.batch.add(it, name...)
}

// fault adds what is unknown, to a batch of dir.
func (w *worker) fault(dir, key string, err error) {
	w.room(dir)
	w.batch.faults = append(w.batch.faults, backend.Fault{Key: key, Err: err})
}

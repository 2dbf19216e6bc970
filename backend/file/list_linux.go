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

// listing is one call of List: a stack of tasks, and workers that take tasks from
// its top. The caller's goroutine is the first worker; more are started while
// there are more tasks than idle workers.
type listing struct {
	*linux
	ctx        context.Context
	expect     backend.HintFunc
	each       func(backend.Batch) error
	prefix     string
	identities identities
	plain      bool // see linux.plain

	stopped  atomic.Bool  // it ended early
	openDirs atomic.Int64 // number of open directories
	group    sync.WaitGroup

	mu      sync.Mutex // of the fields below, but turn
	work    sync.Cond  // there is a new task, or there will be none
	stack   []task
	running int // workers
	idle    int // workers that wait
	err     error

	turn sync.Mutex // held while each is called
}

// task is a directory to open, or an open one whose reading continues.
type task struct {
	more     *directory   // continue with this one; the other fields are then unused
	parent   *directory   // an open directory above it; nil: open it by its key
	key      string       // of the directory to open
	own      backend.Hint // the leaf expected in it
	leafDone bool         // own was already returned
	rounds   int          // how often it was listed and not found
}

func (l *linux) list(ctx context.Context, prefix string, expect backend.HintFunc, each func(backend.Batch) error) error {
	n := &listing{linux: l, ctx: ctx, expect: expect, each: each, prefix: prefix, running: 1}
	n.work.L = &n.mu
	defer context.AfterFunc(ctx, func() { n.fail(ctx.Err()) })()
	n.plain = l.plain()
	w := n.newWorker()
	n.identities = l.knownDirectories(&w.k, prefix)
	err := w.openPrefix()
	w.run()
	n.group.Wait()
	if err != nil {
		return err
	}
	n.mu.Lock() // the end of ctx may still call fail
	defer n.mu.Unlock()
	return n.err
}

// openPrefix opens the directory that is listed.
func (w *worker) openPrefix() error {
	n := w.listing
	fd, pe := n.openKey(&w.k, n.prefix, unix.O_RDONLY|unix.O_DIRECTORY)
	switch {
	case pe == nil:
		if err := w.checkTwice(fd, n.prefix); err != nil {
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

// push adds tasks to the top of the stack, and starts workers if there are too few.
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

// pop takes a task from the top of the stack. It waits while other workers may add
// some, and returns false when all tasks are done.
func (w *worker) pop() (task, bool) {
	n := w.listing
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.stack) == 0 && !w.batch.empty() {
		n.mu.Unlock()
		w.flush()
		n.mu.Lock()
	}
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

// fail ends the listing. The first err is its result. Remaining tasks are still
// taken from the stack, to close their descriptors.
func (n *listing) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
	}
	n.stopped.Store(true)
}

// bufferSize is how many bytes of a directory are read at once, before another worker may
// continue: about 700 names of digests.
const bufferSize = 64 << 10

// worker does one task after the other, and reuses its memory.
type worker struct {
	*listing
	k        kernel
	batch    batch
	buffer   *[bufferSize]byte
	path     []byte
	st       unix.Stat_t
	children []task // not yet on the stack
	cost     struct{ list, get, head, bytes int64 }
}

func (n *listing) newWorker() *worker {
	return &worker{listing: n, buffer: n.buffers.Get().(*[bufferSize]byte), k: kernel{sampler: sampler{local: n.plain}}}
}

// run does tasks until there are none. What they found is delivered when each is free or the
// batch is full: if all workers waited for each, the processors would have nothing to do
// between two of its calls.
func (w *worker) run() {
	defer w.buffers.Put(w.buffer)
	defer w.count()
	for t, ok := w.pop(); ok; t, ok = w.pop() {
		w.do(t)
		w.pushChildren()
		if !w.batch.empty() && w.turn.TryLock() {
			w.deliver()
		}
	}
}

// do opens and reads a directory, or continues to read one. After the listing has ended
// it only closes the task's descriptors.
func (w *worker) do(t task) {
	f := t.more
	if f == nil && !w.stopped.Load() {
		f = w.openTask(t)
	}
	if f != nil {
		w.read(f, t)
		w.release(f)
	}
	if t.parent != nil {
		w.release(t.parent)
	}
}

func (w *worker) pushChildren() {
	if len(w.children) > 0 {
		w.push(w.children...)
		clear(w.children)
		w.children = w.children[:0]
	}
}

// flush delivers the batch, when each is free.
func (w *worker) flush() {
	w.turn.Lock()
	w.deliver()
}

// deliver passes the batch to each, unless the listing has ended, and unlocks turn.
func (w *worker) deliver() {
	defer w.turn.Unlock()
	w.count()
	err := w.batch.deliver(w.ctx, func(b backend.Batch) error {
		if w.stopped.Load() {
			return nil
		}
		return w.each(b)
	})
	if err != nil {
		w.fail(err)
	}
}

// count adds the worker's costs to the counters.
func (w *worker) count() {
	c := w.counts
	c.list.Add(w.cost.list)
	c.get.Add(w.cost.get)
	c.head.Add(w.cost.head)
	c.bytes.Add(w.cost.bytes)
	c.calls.Add(w.k.calls)
	w.k.calls = 0
	w.cost.list, w.cost.get, w.cost.head, w.cost.bytes = 0, 0, 0, 0
}

// batchFor sets the directory of the next item, and ensures that the batch has space for it.
func (w *worker) batchFor(dir string) {
	if w.batch.full() {
		w.flush()
	}
	w.batch.of(dir)
}

// item adds a file of dir. Its name is given in up to three parts.
func (w *worker) item(st *unix.Stat_t, body []byte, name ...string) {
	it := itemOf(st)
	it.Body = body
	w.batch.add(it, name...)
}

// fault adds a fault to a batch of dir.
func (w *worker) fault(dir, key string, err error) {
	w.batchFor(dir)
	w.batch.faults = append(w.batch.faults, backend.Fault{Key: key, Err: err})
}

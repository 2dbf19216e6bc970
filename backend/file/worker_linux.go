//go:build amd64 || arm64

package file

import (
	"golang.org/x/sys/unix"

	"regfsck/backend"
)

// bufferSize is how much of a folder is read at once, and so the share of one
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
	return &worker{listing: n, buffer: n.buffers.Get().(*[bufferSize]byte)}
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

// do opens a folder and reads it, or reads on in one. Once the listing is over
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
	w.batch.add(backend.Item{Size: st.Size, Modified: backend.Nanoseconds(st.Mtim.Sec, st.Mtim.Nsec), Body: body}, name...)
}

// fault adds what is unknown, to a batch of dir.
func (w *worker) fault(dir, key string, err error) {
	w.room(dir)
	w.batch.faults = append(w.batch.faults, backend.Fault{Key: key, Err: err})
}

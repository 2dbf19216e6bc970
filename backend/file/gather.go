//go:build unix

package file

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// gathering makes what several writers wrote last, with one sync of the whole filesystem
// for all that wait for it. Small files are written many at once then, and cost two syncs
// all together, where each would cost three by itself. Nil is a gathering of nobody: each
// syncs what is its own.
//
// It is used only where the sync of a filesystem tells of bytes that could not be written
// since the directory was opened by which it is synced: see dir.tellsErrors.
type gathering struct {
	sync func() error // of the whole filesystem

	mu      sync.Mutex
	writers int // that have entered and not left
	next    *round
	syncing bool  // the round before
	failed  int   // rounds whose sync failed
	failure error // of the last one
}

// round is a sync that some wait for.
type round struct {
	waiting int
	due     bool          // it starts once the one before has ended
	done    chan struct{} // is closed once err and failed are known
	err     error
	failed  int // rounds whose sync has failed so far, with this one
}

// writers are as many as write files at once. Each of them has some descriptors open, and
// may be waiting for a sync.
var writers = make(chan struct{}, mostWriters())

// mostWriters is how many writers leave enough descriptors to all else.
func mostWriters() int {
	const each, fewest, most = 8, 8, 1024
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fewest
	}
	return int(min(max(uint64(limit.Cur)/each, fewest), most))
}

const (
	gatherBelow = 1 << 20              // bytes; a larger file is synced by itself
	gatherFor   = 5 * time.Millisecond // how long the first of a round waits for others that are not done yet
)

// gatherer returns what syncs a new file of so many bytes. The whole store is on one
// filesystem where nothing is followed out of it.
func (w *locker) gatherer(size int64) *gathering {
	l := w.held.Load()
	if l == nil || size > gatherBelow || len(w.store.following()) > 0 {
		return nil
	}
	return l.gathering
}

// enter counts a writer that is going to wait, before it writes anything. The number
// returned is what file and directory want.
func (g *gathering) enter() (failed int) {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writers++
	return g.failed
}

// leave counts it no more.
func (g *gathering) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.writers--
	g.startIfAll()
	g.mu.Unlock()
}

// file returns once the bytes of f last. failed is of enter.
func (g *gathering) file(f *os.File, failed int) error {
	if g == nil {
		return f.Sync()
	}
	return g.wait(failed)
}

// directory returns once it lasts which names are in d, and above it. failed is of enter.
func (g *gathering) directory(d dir, failed int) error {
	if g == nil {
		return d.sync()
	}
	return g.wait(failed)
}

// wait returns once all that the caller wrote lasts. The system tells of bytes that it
// could not write once, by the sync that met them. They may be those of a writer that waits
// for a later round: so it fails for each that had entered before such a sync ended.
func (g *gathering) wait(failed int) error {
	g.mu.Lock()
	r := g.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		g.next = r
		time.AfterFunc(gatherFor, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.next == r {
				g.start()
			}
		})
	}
	r.waiting++
	g.startIfAll()
	g.mu.Unlock()
	<-r.done
	if r.err == nil && r.failed > failed {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.failure
	}
	return r.err
}

// startIfAll starts the next round once every writer waits for it. g is locked.
func (g *gathering) startIfAll() {
	if g.next != nil && g.next.waiting >= g.writers {
		g.start()
	}
}

// start starts the next round, at the latest once the one before has ended: two syncs at
// once are no quicker, and each that begins later is for more writers. g is locked.
func (g *gathering) start() {
	r := g.next
	r.due = true
	if g.syncing {
		return
	}
	g.next, g.syncing = nil, true
	go func() {
		err := g.sync()
		g.mu.Lock()
		defer g.mu.Unlock()
		if err != nil {
			g.failed, g.failure = g.failed+1, err
		}
		r.err, r.failed = err, g.failed
		close(r.done)
		g.syncing = false
		if g.next != nil && g.next.due {
			g.start()
		}
	}()
}

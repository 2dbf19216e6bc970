//go:build unix

package file

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// syncGroup syncs the whole filesystem once for several writers that wait for it. Many
// small files then cost two syncs together, instead of three syncs each. With a nil
// syncGroup each writer syncs its own file and directory.
//
// It is used only if the sync of a filesystem reports bytes that could not be written
// since the directory was opened that is synced: see dir.syncReportsErrors.
type syncGroup struct {
	sync func() error // of the whole filesystem

	mu      sync.Mutex
	writers int // that called enter and not yet leave
	next    *round
	syncing bool  // the round before next is running
	failed  int   // rounds whose sync failed
	failure error // of the last one
}

// round is one sync and the writers that wait for it.
type round struct {
	waiting int           // writers
	ready   bool          // start it when the round before has ended
	done    chan struct{} // closed when err and failed are set
	err     error
	failed  int // rounds whose sync has failed so far, with this one
}

// writers limits how many files are written at once. Each writer has some descriptors open,
// and may be waiting for a sync.
var writers = make(chan struct{}, maxWriters())

// maxWriters returns how many writers may run without using too many descriptors.
func maxWriters() int {
	const each, fewest, most = 8, 8, 1024
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fewest
	}
	return int(min(max(uint64(limit.Cur)/each, fewest), most))
}

const (
	gatherBelow = 1 << 20              // bytes; a larger file is synced by itself
	gatherFor   = 5 * time.Millisecond // how long the first writer of a round waits for others
)

// syncGroupFor returns the group that syncs a new file of that size, nil for none. Without
// followed keys the whole store is on one filesystem.
func (w *locker) syncGroupFor(size int64) *syncGroup {
	l := w.held.Load()
	if l == nil || size > gatherBelow || len(w.store.follow) > 0 {
		return nil
	}
	return l.syncGroup
}

// enter adds a writer, which calls it before it writes. It returns a number for file and
// directory.
func (g *syncGroup) enter() (failed int) {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writers++
	return g.failed
}

// leave removes the writer.
func (g *syncGroup) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.writers--
	g.startIfAll()
	g.mu.Unlock()
}

// file returns when the bytes of f are durable. failed is the result of enter.
func (g *syncGroup) file(f *os.File, failed int) error {
	if g == nil {
		return f.Sync()
	}
	return g.wait(failed)
}

// directory returns when the names in d and above it are durable. failed is the result of
// enter.
func (g *syncGroup) directory(d dir, failed int) error {
	if g == nil {
		return d.sync()
	}
	return g.wait(failed)
}

// wait returns when everything that the caller wrote is durable. Only one sync reports that
// bytes could not be written, and they may be those of a writer that waits for a later round.
// So wait fails for every writer that entered before such a sync ended.
func (g *syncGroup) wait(failed int) error {
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

// startIfAll starts the next round if every writer waits for it. g is locked.
func (g *syncGroup) startIfAll() {
	if g.next != nil && g.next.waiting >= g.writers {
		g.start()
	}
}

// start starts the next round, after the one before has ended: two syncs at once are not
// faster, and a later one serves more writers. g is locked.
func (g *syncGroup) start() {
	r := g.next
	r.ready = true
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
		if g.next != nil && g.next.ready {
			g.start()
		}
	}()
}

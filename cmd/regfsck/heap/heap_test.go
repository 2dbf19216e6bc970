package heap

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestShareOfALargeHeap(t *testing.T) {
	for _, c := range []struct {
		live uint64
		most int64
		want int
	}{
		{0, 100, 100}, {1 << 20, 100, 100}, {64 << 20, 100, 100}, {128 << 20, 100, 50}, {1 << 30, 100, 20}, {64 << 30, 200, 20}, {1 << 20, 200, 200},
	} {
		if got := share(c.live, c.most); got != c.want {
			t.Errorf("of %d bytes %d %%, want %d", c.live, got, c.want)
		}
	}
}

// goal returns the heap size of the next collection.
func goal() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// TestALimitFollowsTheHeap: GOGC is lowered when the heap has grown.
func TestALimitFollowsTheHeap(t *testing.T) {
	Limit(100)
	held := make([][]byte, 0, 512)
	for range 512 {
		held = append(held, make([]byte, 1<<20))
	}
	for range 100 {
		runtime.GC()
		if inUse() >= 512<<20 && goal() < inUse()*3/2 {
			runtime.KeepAlive(held)
			return
		}
		time.Sleep(10 * time.Millisecond) // finalizers run concurrently
	}
	t.Errorf("of %d bytes in use the next collection waits for %d", inUse(), goal())
}

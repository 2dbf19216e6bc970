package apply

import (
	"os"
	"runtime/debug"
	"testing"
)

// The tests make thousands of small stores and throw them away. By the usual rule the
// garbage of each is collected while it is made, which takes up to a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	debug.SetMemoryLimit(1 << 30) // collects more often beyond that
	os.Exit(m.Run())
}

//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package standing

import (
	"os"
	"syscall"
)

// SIGINFO is what Ctrl-T sends.
func init() { Signals = append(Signals, os.Signal(syscall.SIGINFO)) }

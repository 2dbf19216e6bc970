//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package standing

import (
	"os"
	"syscall"
)

// Ctrl-T sends SIGINFO.
func init() { Signals = append(Signals, os.Signal(syscall.SIGINFO)) }

//go:build unix

package standing

import (
	"os"
	"syscall"
)

func init() { Signals = append(Signals, os.Signal(syscall.SIGUSR1)) }

// Package standing has the signals that request the progress of a run: SIGUSR1, and SIGINFO
// on systems that have it. On Windows there are none.
package standing

import "os"

// Signals are the signals of this system.
var Signals []os.Signal

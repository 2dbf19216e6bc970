// Package standing names the signals by which a user asks a run where it stands: SIGUSR1,
// and SIGINFO where there is one. Other systems have none.
package standing

import "os"

// Signals are those of this system.
var Signals []os.Signal

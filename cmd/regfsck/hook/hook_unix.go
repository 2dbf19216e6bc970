//go:build unix

package hook

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// lastly runs the command $1 where no Ctrl-C ends it, and ends with the code $2.
const lastly = `trap '' HUP INT TERM
` + shell + ` -c "$1" </dev/null 1>&2
code=$?
[ $code = 0 ] || echo "regfsck: --after failed: exit status $code" >&2
exit "$2"`

// Replace ends this program at once, as if it were killed, and runs the command in its
// place, in the same process. That ends with the exit code. Replace returns only where
// this fails.
func Replace(command string, environ []string, exit int) error {
	return os.NewSyscallError("exec", syscall.Exec(shell, []string{"sh", "-c", lastly, "regfsck", command, strconv.Itoa(exit)}, environ))
}

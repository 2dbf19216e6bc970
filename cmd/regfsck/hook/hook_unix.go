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

// lastly runs the command $1, ignores the signals of a terminal, and exits with $2.
const lastly = `trap '' HUP INT TERM
` + shell + ` -c "$1" </dev/null 1>&2
code=$?
[ $code = 0 ] || echo "regfsck: --after failed: exit status $code" >&2
exit "$2"`

// Replace replaces this process at once by the shell command, which ends with the given exit
// code. It returns only if that fails.
func Replace(command string, environ []string, exit int) error {
	return os.NewSyscallError("exec", syscall.Exec(shell, []string{"sh", "-c", lastly, "regfsck", command, strconv.Itoa(exit)}, environ))
}

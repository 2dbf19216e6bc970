//go:build !unix

package hook

import (
	"errors"
	"os/exec"
)

func apart(*exec.Cmd) {}

func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

// Replace returns errors.ErrUnsupported.
func Replace(string, []string, int) error { return errors.ErrUnsupported }

// Package failure has the error type of commands: an error, its exit code, and a hint at what
// to do.
//
// The error is a clause without a full stop, such as "--grace is a duration like 30m, 1h or
// 7d, not \"5\"". The hint is whole sentences on lines of its own.
package failure

import (
	"fmt"

	"regfsck/backend"
	"regfsck/report/exitcode"
)

// NothingChanged is the hint if a command that changes stores failed before its first change.
const NothingChanged = "Nothing was changed."

// Error is an error with its exit code and a hint; "" is no hint.
type Error struct {
	Exit exitcode.Code
	Err  error
	Hint string
}

// New returns an error with exit code and hint.
func New(exit exitcode.Code, err error, hint string) *Error { return &Error{exit, err, hint} }

// Misuse returns a failure of the arguments, or of what they name.
func Misuse(hint, format string, values ...any) error {
	return &Error{exitcode.Usage, fmt.Errorf(format, values...), hint}
}

// Error returns the text of the error, without the hint.
func (f *Error) Error() string { return f.Err.Error() }

// Unwrap returns the underlying error.
func (f *Error) Unwrap() error { return f.Err }

// Unwritable returns the error of a file that can't be written.
func Unwritable(path string, err error) error {
	return fmt.Errorf("%s can't be written: %w", path, backend.Cause(err))
}

// Unreadable returns the error of a file that can't be read.
func Unreadable(path string, err error) error {
	return fmt.Errorf("%s can't be read: %w", path, backend.Cause(err))
}

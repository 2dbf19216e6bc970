// Package failure is what a command ends with where it can't give its answer: an error,
// the exit code that it calls for, and what to do about it.
//
// The error is a clause without a full stop, such as "--grace is a duration like 30m, 1h
// or 7d, not \"5\"". The hint is whole sentences, and stands on lines of its own.
package failure

import (
	"fmt"

	"regfsck/backend"
	"regfsck/report/exitcode"
)

// NothingChanged is the hint where a command that changes a store ended before it did.
const NothingChanged = "Nothing was changed."

// Error is an error with the exit code that it calls for and a hint at what to do; "" for
// none.
type Error struct {
	Exit exitcode.Code
	Err  error
	Hint string
}

// New returns a failure with all that there is to say of it.
func New(exit exitcode.Code, err error, hint string) *Error { return &Error{exit, err, hint} }

// Misuse is a failure of the arguments or of what they name.
func Misuse(hint, format string, values ...any) error {
	return &Error{exitcode.Usage, fmt.Errorf(format, values...), hint}
}

// Error returns the clause.
func (f *Error) Error() string { return f.Err.Error() }

// Unwrap returns the error without exit code and hint.
func (f *Error) Unwrap() error { return f.Err }

// Unwritable says that a file can't be written, and why.
func Unwritable(path string, err error) error {
	return fmt.Errorf("%s can't be written: %w", path, backend.Cause(err))
}

// Unreadable says that a file can't be read, and why.
func Unreadable(path string, err error) error {
	return fmt.Errorf("%s can't be read: %w", path, backend.Cause(err))
}

//go:build !linux && !darwin

package disk

import "errors"

// Of returns the space of the filesystem on which a directory stands. The error is
// errors.ErrUnsupported where the system or the filesystem doesn't tell it.
func Of(string) (Space, error) { return Space{}, errors.ErrUnsupported }

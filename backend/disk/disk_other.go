//go:build !linux && !darwin

package disk

import "errors"

// Of returns the Space of a directory's filesystem. The error is errors.ErrUnsupported if
// the system or the filesystem doesn't report it.
func Of(string) (Space, error) { return Space{}, errors.ErrUnsupported }

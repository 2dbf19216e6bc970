package retain

import (
	"fmt"
	"strconv"
)

// Count is how many slots a rule has. The zero Count is a rule that wasn't
// given.
type Count int

// The counts that are no numbers of slots.
const (
	All  Count = -1 // a slot for everything
	None Count = -2 // the rule was given with 0: it keeps nothing
)

// ParseCount reads a number from 0 to 999999999, or "all" ("unlimited" is the
// same).
func ParseCount(s string) (Count, error) {
	if s == "all" || s == "unlimited" {
		return All, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil || n > 999_999_999:
		return 0, fmt.Errorf("%q is neither a number, 0 or more, nor \"all\"", s)
	case n == 0:
		return None, nil
	}
	return Count(n), nil
}

// String writes a count as ParseCount reads it; the zero Count is "".
func (c Count) String() string {
	switch c {
	case 0:
		return ""
	case All:
		return "all"
	case None:
		return "0"
	}
	return strconv.Itoa(int(c))
}

func (c Count) given() bool { return c == All || c > 0 }

// slots returns c as a number.
func (c Count) slots() int {
	if c == All {
		return int(^uint(0) >> 1)
	}
	return int(c)
}

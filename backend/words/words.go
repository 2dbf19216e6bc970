// Package words formats numbers and counted nouns for people.
package words

import (
	"strconv"
	"strings"
)

// Number formats n with a comma between thousands.
func Number[T int | int64 | int32](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// All returns the text of each value; nil if there are none.
func All[T any](values []T, text func(T) string) (all []string) {
	for _, v := range values {
		all = append(all, text(v))
	}
	return all
}

// Plural formats a number with its noun and what follows it: "1 tag", "2,000 tags", "1 tag
// is", "2 tags are".
func Plural[T int | int64 | int32](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

package document

import (
	"iter"
	"time"
)

// Map returns the sequence of of(v) for each value.
func Map[A, B any](all iter.Seq[A], of func(A) B) iter.Seq[B] {
	return func(yield func(B) bool) {
		for a := range all {
			if !yield(of(a)) {
				return
			}
		}
	}
}

// Each returns the sequence of of(&v) for each element.
func Each[A, B any](all []A, of func(*A) B) iter.Seq[B] {
	return func(yield func(B) bool) {
		for i := range all {
			if !yield(of(&all[i])) {
				return
			}
		}
	}
}

// Time formats a time; the zero time is "".
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// List returns an empty list for nil.
func List[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

package backend

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Join is errors.Join for what people read: the clauses stand in one line, each
// once, and not below each other.
func Join(errs ...error) error {
	var all joined
	for _, err := range errs {
		if inner, ok := err.(joined); ok {
			all = append(all, inner...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// joined is several errors as one.
type joined []error

// Error returns the clauses, those that say the same once.
func (j joined) Error() string {
	var said []string
	for _, err := range j {
		if text := OneLine(err.Error()); !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	return strings.Join(said, "; ")
}

// Unwrap returns the errors, for errors.Is and errors.As.
func (j joined) Unwrap() []error { return j }

// OneLine returns the text of somebody else's error as a clause: without its
// line breaks, which a report would show as foreign characters.
func OneLine(text string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.TrimSpace(strings.Join(lines, " "))
}

// Cause returns an error without the operation and the path that it may carry, for
// whoever names both anyway.
func Cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

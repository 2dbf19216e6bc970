package backend

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Join is errors.Join for messages to people: the errors are clauses in one line, each
// once.
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

// joined is a list of errors as one error.
type joined []error

// Error returns the clauses, without repetition.
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

// OneLine returns the text of a foreign error as a clause: without its line breaks, which a
// report would show as foreign characters.
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

// Cause returns an error without the operation and path of an fs.PathError, for callers
// that name both themselves.
func Cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

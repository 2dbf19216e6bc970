package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"regfsck/report"
)

// ask returns nil if a person at a terminal types the word.
func (s *session) ask(ctx context.Context, question, word string) error {
	if !s.asks() {
		return &failure{report.Refused, errors.New("refused: nobody is there to be asked"), "Off a terminal --yes says that you mean it. Nothing was changed."}
	}
	fmt.Fprint(s.stderr, report.Clean(question))
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(s.stdin).ReadString('\n')
		typed <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.stderr)
		return ctx.Err()
	case line := <-typed:
		if line != word {
			return &failure{report.Refused, errors.New("refused: this is not what was to be typed"), "Nothing was changed."}
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"

	"regfsck/report"
)

// stopping is what is said when a run that changes a store is told to stop,
// which takes until the next safe point.
const stopping = "regfsck: stopping at the next safe point; a second Ctrl-C ends it at once, and loses nothing either"

// announce says so as soon as ctx ends, through the bar if there is one, until
// the returned function is called. By then a second signal ends the process.
func (s *session) announce(ctx context.Context, bar *report.Progress) (done func()) {
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		s.unhook()
		if bar != nil {
			bar.Say(stopping)
		} else {
			fmt.Fprintln(s.stderr, stopping)
		}
	})
	return func() {
		if !stop() {
			<-said
		}
	}
}

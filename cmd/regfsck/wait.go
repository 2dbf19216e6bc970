package main

import (
	"context"
	"fmt"
	"time"

	"regfsck/graph"
	"regfsck/report"
)

// waitFor returns what waits for links in motion, and says so.
func (s *session) waitFor(out *output) func(context.Context, graph.Motion) error {
	return func(ctx context.Context, m graph.Motion) error {
		rest := m.Until.Sub(s.now())
		if rest <= 0 {
			return nil
		}
		more := ""
		if m.Keys > 1 {
			more = " and " + report.Plural(m.Keys-1, "link more", "links more")
		}
		out.say(fmt.Sprintf("something was written or removed within the last minute around %s%s: waiting %d s to look again (--no-wait judges at once)",
			m.Key, more, int64((rest+time.Second-1)/time.Second)))
		return s.sleep(ctx, m.Until)
	}
}

// sleep returns at a time, or when ctx ends.
func sleep(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package graph

import (
	"context"
	"time"
)

// Motion is what a judgement waits for: links that are absent or invalid, around
// which something was written or removed so shortly before that it may be a push
// or a delete that is half done.
type Motion struct {
	Keys  int       // how many links
	Key   string    // the first of them
	Until time.Time // nothing is half done any more then, if nothing else happens
}

// pending are the links that were seen to be in motion.
type pending struct {
	keys   int
	key    string
	newest int64 // nanoseconds since 1970
}

func (p *pending) add(key string, at int64) {
	if p.keys == 0 || key < p.key {
		p.key = key
	}
	p.keys++
	p.newest = max(p.newest, at)
}

// patience returns what takes down what is in motion, nil where nobody waits for it.
func (c *Scan) patience() *pending {
	if c.Wait == nil || c.waited {
		return nil
	}
	return &pending{}
}

// wait waits once, until what is in motion can be judged, and a minute at most: a
// clock that runs ahead isn't waited for. It reports whether it has waited.
func (c *Scan) wait(ctx context.Context, p *pending) (bool, error) {
	if p == nil || p.keys == 0 {
		return false, nil
	}
	c.waited = true
	until := min(p.newest, c.Now.Add(time.Since(c.opened)).UnixNano()) + int64(motion)
	if err := c.Wait(ctx, Motion{p.keys, p.key, time.Unix(0, until)}); err != nil {
		return false, err
	}
	c.g.motionAfter = max(c.g.motionAfter, until-int64(motion))
	return true, nil
}

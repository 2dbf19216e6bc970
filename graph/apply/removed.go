package apply

import (
	"hash/maphash"
	"strings"
	"time"

	"regfsck/graph/plan"
)

// RemovedKeys returns which keys runs since a time have removed, and not put back, as
// their journals say; nil for none. A key that none has removed may be among them
// by chance: it is to be looked at, and not to be taken for gone. What can't be read
// is left out.
func RemovedKeys(state string, since time.Time) func(key string) bool {
	all, _ := readRuns(state, glance)
	seed, removed := maphash.MakeSeed(), map[uint64]bool{}
	for _, p := range all {
		if p.undone || p.begin.Time.Before(since) {
			continue
		}
		p, err := readPast(state, p.id)
		if err != nil {
			continue
		}
		for _, i := range p.intents {
			if i.Op == plan.Remove && !strings.HasSuffix(i.Key, "/") && p.receipts[i.Key].Err == "" {
				removed[maphash.String(seed, i.Key)] = true
			}
		}
	}
	if len(removed) == 0 {
		return nil
	}
	return func(key string) bool { return removed[maphash.String(seed, key)] }
}

package apply

import (
	"time"

	"regfsck/graph/plan"
)

// Rebuilt is when a link was written by a run, and the time of what it was made
// from, both in whole seconds, the first rounded up as a scan does.
type Rebuilt struct{ Written, From time.Time }

// RebuiltLinks returns the links that runs have rebuilt, by key: the last time of each.
// A store that can't set a file's time, as a bucket can't, shows them as new.
func RebuiltLinks(state string) (map[string]Rebuilt, error) {
	all, err := readRuns(state, readPast)
	if err != nil {
		return nil, err
	}
	links := map[string]Rebuilt{}
	for _, p := range all {
		for _, i := range p.intents {
			r, told := p.receipts[i.target()]
			if i.Op != plan.Write || i.From == 0 || !told || r.Err != "" || r.Time == 0 {
				continue
			}
			made := Rebuilt{time.Unix((r.Time+int64(time.Second)-1)/int64(time.Second), 0).UTC(), time.Unix(i.From, 0).UTC()}
			if made.Written.After(links[i.Key].Written) {
				links[i.Key] = made
			}
		}
	}
	return links, nil
}

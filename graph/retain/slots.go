package retain

import (
	"fmt"
	"time"

	"regfsck/walker/layout"
)

// countSlots carries out the rules with a number of slots.
func (j *judgement) countSlots() {
	for _, rule := range j.rules.counted() {
		switch {
		case !rule.count.given():
		case rule.period.key == nil:
			j.keepLast(rule)
		default:
			j.keepPeriods(rule)
		}
	}
}

// keepLast gives slots to digests. Digests whose newest tags are of the same
// date have the same place.
func (j *judgement) keepLast(rule counted) {
	name, places := rule.String(), map[layout.Digest]int{}
	j.ties(func(_ int, same []dated) {
		place := len(places) + 1
		for _, d := range same {
			digest := j.tags[d.tag].Digest
			if places[digest] == 0 {
				places[digest] = place
			}
			text := name + " (" + ordinal(places[digest]) + ")"
			if places[digest] <= rule.count.slots() {
				j.keep(d.tag, text)
			} else {
				j.miss(d.tag, text)
			}
		}
	})
}

// keepPeriods gives slots to periods. What it says is written once a period.
func (j *judgement) keepPeriods(rule counted) {
	var (
		taken   int // slots
		now     periodTaken
		winners map[layout.Digest]bool
	)
	j.ties(func(before int, same []dated) {
		moment := time.Unix(0, same[0].date).In(j.setting.Zone)
		key := rule.period.key(moment)
		left := taken < rule.count.slots()
		if key != now.key { // no period that has tags has the key 0
			if left {
				taken++
				winners = digests(j.tags, same)
			}
			now = rule.taken(key, left, taken, moment)
		}
		oldest := left && before+len(same) == len(j.order)
		for _, d := range same {
			switch {
			case now.has && winners[j.tags[d.tag].Digest]:
				j.keep(d.tag, now.won)
			case oldest:
				j.keep(d.tag, rule.String()+" (the oldest)")
			default:
				j.miss(d.tag, now.lost)
			}
		}
	})
}

// periodTaken is the period that is being gone through.
type periodTaken struct {
	key       int64
	has       bool   // a slot
	won, lost string // what is said of its newest tags, and of the others
}

func (c counted) taken(key int64, has bool, slot int, moment time.Time) periodTaken {
	name := c.period.name(moment)
	p := periodTaken{key: key, has: has, lost: fmt.Sprintf("%s (%s lies further back)", c, name)}
	if has {
		p.won, p.lost = fmt.Sprintf("%s (%s: %s)", c, ordinal(slot), name), fmt.Sprintf("%s (%s has a newer one)", c, name)
	}
	return p
}

func digests(tags []Tag, of []dated) map[layout.Digest]bool {
	set := make(map[layout.Digest]bool, len(of))
	for _, d := range of {
		set[tags[d.tag].Digest] = true
	}
	return set
}

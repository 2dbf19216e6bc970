package retain

import (
	"fmt"

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

// ties calls each with tags of the same date, the newest first. Those before
// them are as many as the number says.
func (j *judgement) ties(each func(before int, same []dated)) {
	for at := 0; at < len(j.order); {
		first := j.order[at]
		n := leading(j.order[at:], func(d dated) bool { return d.compare(first) == 0 })
		each(at, j.order[at:at+n])
		at += n
	}
}

// keepLast gives slots to digests. Digests whose newest tags are of the same
// date have the same place.
func (j *judgement) keepLast(rule counted) {
	places := map[layout.Digest]int{}
	j.ties(func(_ int, same []dated) {
		place := len(places) + 1
		for _, d := range same {
			digest := j.tags[d.tag].Digest
			if places[digest] == 0 {
				places[digest] = place
			}
			text := fmt.Sprintf("%s (%s)", rule, ordinal(places[digest]))
			if places[digest] <= rule.count.slots() {
				j.keep(d.tag, text)
			} else {
				j.miss(d.tag, text)
			}
		}
	})
}

// keepPeriods gives slots to periods.
func (j *judgement) keepPeriods(rule counted) {
	var (
		taken   int   // slots
		current int64 // the period
		has     bool  // it has a slot
		winners map[layout.Digest]bool
	)
	j.ties(func(before int, same []dated) {
		key, name := rule.period.of(same[0].date, j.setting.Zone)
		fresh := before == 0 || key != current
		left := taken < rule.count.slots()
		if current = key; fresh {
			if has = left; has {
				taken++
				winners = digests(j.tags, same)
			}
		}
		oldest := !fresh && left && before+len(same) == len(j.order)
		for _, d := range same {
			switch {
			case has && winners[j.tags[d.tag].Digest]:
				j.keep(d.tag, fmt.Sprintf("%s (%s: %s)", rule, ordinal(taken), name))
			case oldest:
				j.keep(d.tag, fmt.Sprintf("%s (the oldest)", rule))
			case has:
				j.miss(d.tag, fmt.Sprintf("%s (%s has a newer one)", rule, name))
			default:
				j.miss(d.tag, fmt.Sprintf("%s (%s lies further back)", rule, name))
			}
		}
	})
}

func digests(tags []Tag, of []dated) map[layout.Digest]bool {
	set := make(map[layout.Digest]bool, len(of))
	for _, d := range of {
		set[tags[d.tag].Digest] = true
	}
	return set
}

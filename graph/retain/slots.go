package retain

import (
	"fmt"
	"strconv"
	"time"

	"regfsck/walker/layout"
)

// counted is a rule with slots.
type counted struct {
	name   string
	count  Count
	period period // zero: slots are digests
}

func (c counted) String() string { return c.name + " " + c.count.String() }

// keepLast assigns slots to digests. Digests whose newest tags have the same date share a
// rank.
func (e *evaluation) keepLast(rule counted) {
	name, places := rule.String(), map[layout.Digest]int{}
	e.ties(func(_ int, same []dated) {
		place := len(places) + 1
		for _, d := range same {
			digest := e.tags[d.tag].Digest
			if places[digest] == 0 {
				places[digest] = place
			}
			text := name + " (" + ordinal(places[digest]) + ")"
			if places[digest] <= rule.count.slots() {
				e.keep(d.tag, text)
			} else {
				e.miss(d.tag, text)
			}
		}
	})
}

// keepPeriods assigns slots to periods. Its reasons are formatted once a period.
func (e *evaluation) keepPeriods(rule counted) {
	var (
		taken   int // slots taken
		now     periodTaken
		winners map[layout.Digest]bool
	)
	e.ties(func(before int, same []dated) {
		moment := time.Unix(0, same[0].date).In(e.options.Zone)
		key := rule.period.key(moment)
		left := taken < rule.count.slots()
		if key != now.key { // 0 is the key of no period
			if left {
				taken++
				winners = digests(e.tags, same)
			}
			now = rule.taken(key, left, taken, moment)
		}
		oldest := left && before+len(same) == len(e.order)
		for _, d := range same {
			switch {
			case now.has && winners[e.tags[d.tag].Digest]:
				e.keep(d.tag, now.won)
			case oldest:
				e.keep(d.tag, rule.String()+" (the oldest)")
			default:
				e.miss(d.tag, now.lost)
			}
		}
	})
}

// periodTaken is the current period of keepPeriods.
type periodTaken struct {
	key       int64
	has       bool   // it has a slot
	won, lost string // the reasons for its newest tags and for the others
}

func (c counted) taken(key int64, has bool, slot int, moment time.Time) periodTaken {
	name := c.period.name(moment)
	p := periodTaken{key: key, has: has, lost: fmt.Sprintf("%s (%s is too far back)", c, name)}
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

// period is a kind of calendar period.
type period struct {
	key  func(time.Time) int64 // differs between periods
	name func(time.Time) string
}

var (
	hour = period{
		key:  func(t time.Time) int64 { return t.Unix() - int64(60*t.Minute()+t.Second()) },
		name: func(t time.Time) string { return t.Format("2006-01-02 15h") },
	}
	day = period{
		key:  func(t time.Time) int64 { return int64(t.Year()*1000 + t.YearDay()) },
		name: func(t time.Time) string { return t.Format(time.DateOnly) },
	}
	week = period{
		key: func(t time.Time) int64 {
			year, week := t.ISOWeek()
			return int64(year*100 + week)
		},
		name: func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprintf("%d-W%02d", year, week)
		},
	}
	month = period{
		key:  func(t time.Time) int64 { return int64(t.Year()*100) + int64(t.Month()) },
		name: func(t time.Time) string { return t.Format("2006-01") },
	}
	year = period{
		key:  func(t time.Time) int64 { return int64(t.Year()) },
		name: func(t time.Time) string { return t.Format("2006") },
	}
)

// ordinal returns 1st, 2nd, 3rd, 4th, 11th, 21st.
func ordinal(n int) string {
	ending := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return strconv.Itoa(n) + ending
}

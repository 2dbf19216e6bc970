package retain

import (
	"fmt"
	"time"
)

// period is a kind of period on the calendar.
type period struct {
	key  func(time.Time) int64 // another number for another period
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

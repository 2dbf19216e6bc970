package retain

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Examples of restic's manual, with other dates and the same results.

// Two weeks of working days with a tag at 11:00, a second one on Fridays at 23:00, and none
// on the second Wednesday.
const twoWeeks = `
	mon1 a 2024-09-02T11:00 = %s
	tue1 b 2024-09-03T11:00 = %s
	wed1 c 2024-09-04T11:00 = %s
	thu1 d 2024-09-05T11:00 = %s
	fri1 e 2024-09-06T11:00 = %s
	end1 f 2024-09-06T23:00 = %s
	mon2 g 2024-09-09T11:00 = %s
	tue2 h 2024-09-10T11:00 = %s
	thu2 i 2024-09-12T11:00 = %s
	fri2 j 2024-09-13T11:00 = %s
	end2 k 2024-09-13T23:00 = %s`

func TestResticDailyExample(t *testing.T) {
	back := func(day string) string { return "- not kept by keep-daily 5 (2024-09-0" + day + " is too far back)" }
	golden{name: "the last five days that have one", rules: Rules{Daily: 5}, lines: fmt.Sprintf(twoWeeks,
		back("2"), back("3"), back("4"), back("5"), "- not kept by keep-daily 5 (2024-09-06 has a newer one)",
		"keep-daily 5 (5th: 2024-09-06)", "keep-daily 5 (4th: 2024-09-09)", "keep-daily 5 (3rd: 2024-09-10)",
		"keep-daily 5 (2nd: 2024-09-12)", "- not kept by keep-daily 5 (2024-09-13 has a newer one)",
		"keep-daily 5 (1st: 2024-09-13); newest",
	)}.run(t)
}

// TestResticWithinExample: a tag exactly as old as the limit is removed.
func TestResticWithinExample(t *testing.T) {
	out, in := "- not kept by keep-within 7d (after 2024-09-06 23:00)", "keep-within 7d"
	golden{name: "a week", rules: Rules{Within: Duration{Days: 7}}, lines: fmt.Sprintf(twoWeeks,
		out, out, out, out, out, out, in, in, in, in, in+"; newest")}.run(t)
}

// TestResticHundredYearsExample: a tag a day for 100 years, until a Sunday: 7 daily ones; 4
// more weekly ones, since the 7 include one; 11 more monthly and 74 more yearly ones, since
// the last day is one of each.
func TestResticHundredYearsExample(t *testing.T) {
	last := time.Date(2112, 12, 25, 0, 0, 0, 0, time.UTC)
	if last.Weekday() != time.Sunday {
		t.Fatal(last.Weekday())
	}
	var tags []Tag
	for day := last; day.Year() > 2012; day = day.AddDate(0, 0, -1) {
		name := day.Format(time.DateOnly)
		tags = append(tags, Tag{Name: name, Digest: digest(name), Pushed: Nanoseconds(day)})
	}
	want := []string{
		"2112-12-25", "2112-12-24", "2112-12-23", "2112-12-22", "2112-12-21", "2112-12-20", "2112-12-19",
		"2112-12-18", "2112-12-11", "2112-12-04", "2112-11-27",
		"2112-11-30", "2112-10-31", "2112-09-30", "2112-08-31", "2112-07-31", "2112-06-30",
		"2112-05-31", "2112-04-30", "2112-03-31", "2112-02-29", "2112-01-31",
	}
	for year := 2038; year <= 2111; year++ {
		want = append(want, fmt.Sprintf("%d-12-31", year))
	}
	verdicts, err := Judge(tags, Rules{Daily: 7, Weekly: 5, Monthly: 12, Yearly: 75}, Options{Now: last.AddDate(0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	got := kept(tags, verdicts)
	slices.Sort(got)
	slices.Sort(want)
	if len(want) != 7+4+11+74 || !slices.Equal(got, want) {
		t.Errorf("%d are kept, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
}

func kept(tags []Tag, verdicts []Verdict) (names []string) {
	for i, v := range verdicts {
		if v.Keep {
			names = append(names, tags[i].Name)
		}
	}
	return names
}

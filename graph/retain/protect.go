package retain

import (
	"fmt"
	"time"
)

// keepWithin keeps what is less than so much older than the newest tag.
func (j *judgement) keepWithin() {
	if j.rules.Within == (Duration{}) || len(j.order) == 0 {
		return
	}
	border := j.rules.Within.Before(time.Unix(0, j.order[0].date).In(j.setting.Zone))
	rule := "keep-within " + j.rules.Within.String()
	missed := fmt.Sprintf("%s (after %s)", rule, border.Format("2006-01-02 15:04"))
	for _, d := range j.order {
		if time.Unix(0, d.date).After(border) {
			j.keep(d.tag, rule)
		} else {
			j.miss(d.tag, missed)
		}
	}
}

// keepTags keeps by name, whatever the date.
func (j *judgement) keepTags() {
	for _, re := range j.rules.Tags {
		rule := "keep-tags " + re.String()
		for i := range j.tags {
			switch {
			case j.verdicts[i].Signature:
			case re.MatchString(j.tags[i].Name):
				j.keep(i, rule)
			default:
				j.miss(i, rule)
			}
		}
	}
}

// protect keeps latest and the newest tag.
func (j *judgement) protect() {
	for i := range j.tags {
		if j.tags[i].Name == "latest" && !j.mayRemove(i) {
			j.keep(i, "latest")
		}
	}
	var newest *dated
	for i, d := range j.order {
		if newest != nil && d.compare(*newest) != 0 {
			return
		}
		if !j.mayRemove(d.tag) {
			newest = &j.order[i]
			j.keep(d.tag, "newest")
		}
	}
}

func (j *judgement) mayRemove(tag int) bool {
	return matchesAny(j.rules.MayRemove, j.tags[tag].Name)
}

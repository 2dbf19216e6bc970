package report

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
)

// barWidth is how many columns a bar with its numbers needs; a narrower terminal
// is shown words.
const barWidth = 80

// reached says in words what a bar shows.
func reached(done, total int64, unit string) string {
	number := Number[int64]
	if unit == "bytes" {
		number, unit = Size, ""
	}
	s := ": " + number(done)
	if total > 0 {
		s += " of " + number(total)
	}
	if unit != "" {
		s += " " + unit
	}
	if total > 0 {
		s += fmt.Sprintf(" (%d %%)", 100*min(done, total)/total)
	}
	return s
}

// newBar returns a bar that fits into one line of at least barWidth columns.
func newBar(out io.Writer, name string, total int64, unit string, width int) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(min(max(width-len(name)-65, 6), 40)),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionShowCount(),
	}
	if unit == "bytes" {
		options = append(options, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true))
	} else if width >= 110 {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	return progressbar.NewOptions64(total, options...)
}

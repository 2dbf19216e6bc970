package report

// MaxPast and what follows are what the tests see besides the interface of the package.
var MaxPast = &maxPast

type (
	DiffFields    = diffFields
	BrokenFields  = brokenFields
	FindingFields = findingFields
)

// Changed is what has changed since the earlier report.
func (c *Check) Changed() *changedFields { return c.changed() }

package report

// Internals for the tests of package report_test.
var MaxPast = &maxPast

type (
	DiffFields    = diffFields
	BrokenFields  = brokenFields
	FindingFields = findingFields
)

// Changed returns the changes since the earlier report.
func (c *Check) Changed() *changedFields { return c.changed() }

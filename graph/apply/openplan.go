package apply

import (
	"os"
	"path/filepath"

	"regfsck/backend/statedir"
)

// OpenPlan opens a plan file. One that stands beside a run's journal is opened as all
// in a state directory is: no name there is followed.
func OpenPlan(path string) (*os.File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(abs)
	runs := filepath.Dir(dir)
	if filepath.Base(abs) != planName || filepath.Base(runs) != runsName {
		return os.Open(path)
	}
	d, err := statedir.OpenBelow(filepath.Dir(runs), runsName, filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Read(planName)
}

//go:build !linux || !(amd64 || arm64)

package file

func newKeeper(c config, counts *counters) (keeper, error) { return newPortable(c, counts) }

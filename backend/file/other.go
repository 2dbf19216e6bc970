//go:build !linux || !(amd64 || arm64)

package file

func newSystem(c config, counts *counters) (system, error) { return newPortable(c, counts) }

//go:build amd64 || arm64

package file

// variants are the driver for Linux without some system calls.
var variants = map[string]maker{
	"without openat2":     variant(func(l *linux) { l.inside = false }),
	"without mountinfo":   variant(func(l *linux) { l.setMounts(nil, false) }),
	"without both":        variant(func(l *linux) { l.inside = false; l.setMounts(nil, false) }),
	"without descriptors": variant(func(l *linux) { l.maxOpen = 0 }),
}

func variant(change func(*linux)) maker {
	return func(c config, counts *counters) (system, error) {
		k, err := newSystem(c, counts)
		if err == nil {
			change(k.(*linux))
		}
		return k, err
	}
}

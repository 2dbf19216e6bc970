package s3

import (
	"fmt"
	"strings"
)

// hexes is a folder whose names are digests, which are uniform: how many keys
// there were on a stretch tells how many lie ahead.
type hexes struct {
	folder string  // with a slash at the end
	step   float64 // from key to key, in values
	paired bool    // each digest stands in a folder of its first two digits
}

// hexDigits is how many digits of a digest count.
const hexDigits = 15

const hexValues = float64(1 << (4 * hexDigits))

// findHexes looks whether the last keys of a page, at least a few of them, are
// in one folder of digests.
func findHexes(objects []object) *hexes {
	if len(objects) < 2 {
		return nil
	}
	last := objects[len(objects)-1].name()
	h := hexFolder(last)
	if h == nil {
		return nil
	}
	low, high := 0, len(objects)-1
	for low < high {
		if mid := (low + high) / 2; objects[mid].name() < h.folder {
			low = mid + 1
		} else {
			high = mid
		}
	}
	n := len(objects) - 1 - low
	h.folder = strings.Clone(h.folder)
	h.step = (h.value(last) - h.value(objects[low].name())) / float64(n)
	if n < 2 || h.step <= 0 || n < min(64, len(objects)/2) {
		return nil
	}
	return h
}

// hexFolder returns the outermost folder of digests that key is in.
func hexFolder(key string) *hexes {
	for at := 0; ; {
		name, rest, more := strings.Cut(key[at:], "/")
		switch {
		case !more:
			return nil
		case len(name) >= 64 && isHex(name):
			return &hexes{folder: key[:at]}
		case len(name) == 2 && isHex(name) && strings.HasPrefix(rest, name) && len(rest) > 64 && isHex(rest[:64]):
			return &hexes{folder: key[:at], paired: true}
		}
		at += len(name) + 1
	}
}

func isHex(s string) bool {
	return len(s) > 0 && strings.Trim(s, "0123456789abcdef") == ""
}

// end returns the key that all of the folder's lie below.
func (h *hexes) end() string { return h.folder[:len(h.folder)-1] + "0" }

// value returns where a key of the folder stands, from 0 to hexValues; what lies
// outside of the folder stands at the one end or the other.
func (h *hexes) value(key string) float64 {
	digits, in := strings.CutPrefix(key, h.folder)
	if !in {
		if key > h.folder {
			return hexValues
		}
		return 0
	}
	if h.paired && len(digits) > 2 && digits[2] == '/' && len(digits) > 3 {
		digits = digits[3:]
	}
	var n uint64
	for i := range hexDigits {
		n <<= 4
		if i < len(digits) {
			n |= uint64(strings.IndexByte("0123456789abcdef", digits[i])) & 15
		}
	}
	return float64(n)
}

// left estimates how many keys of the folder lie between two keys.
func (h *hexes) left(pos, until string) float64 {
	high := hexValues
	if until != "" {
		high = h.value(until)
	}
	return max(0, (high-h.value(pos))/h.step)
}

// middle returns the key halfway between two, "" if there is none.
func (h *hexes) middle(pos, until string) string {
	low, high := h.value(pos), hexValues
	if until != "" {
		high = h.value(until)
	}
	digits := fmt.Sprintf("%0*x", hexDigits, uint64(low+(high-low)/2))
	if h.paired {
		digits = digits[:2] + "/" + digits
	}
	return between(h.folder+digits, pos, until)
}

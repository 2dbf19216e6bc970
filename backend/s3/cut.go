package s3

import (
	"math"
	"strings"
	"unicode/utf8"
)

// between returns key if it lies strictly between two others and can be sent,
// else "".
func between(key, pos, until string) string {
	if key <= pos || !utf8.ValidString(key) || until != "" && key >= until {
		return ""
	}
	return key
}

// symbols are what names consist of, in the order of keys, and one above them.
const symbols = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

// places is how many symbols behind the common beginning are looked at.
const places = 9

// middle returns a key about halfway between two, "" if there is none.
func middle(low, high string) string {
	n := 0
	for n < len(low) && n < len(high) && low[n] == high[n] {
		n++
	}
	a, b := toNumber(low[n:]), toNumber(high[n:])
	if b <= a {
		return ""
	}
	v := a + (b-a)/2
	var name [places]byte
	for i := places - 1; i >= 0; i-- {
		name[i] = symbols[v%uint64(len(symbols))]
		v /= uint64(len(symbols))
	}
	return between(low[:n]+strings.TrimRight(string(name[:]), "-"), low, high)
}

// way returns how far it is from pos to high, if it is 1 from low to pos.
func way(low, pos, high string) float64 {
	n := 0
	for n < len(low) && n < len(high) && low[n] == high[n] {
		n++
	}
	a, b, c := toNumber(low[n:]), toNumber(pos[min(n, len(pos)):]), toNumber(high[n:])
	if b <= a {
		return math.Inf(1)
	}
	return float64(max(b, c)-b) / float64(b-a)
}

// toNumber reads the beginning of a name as a number whose digits are symbols.
func toNumber(name string) (v uint64) {
	for i := range places {
		digit := 0
		if i < len(name) {
			for digit+1 < len(symbols) && symbols[digit+1] <= name[i] {
				digit++
			}
		}
		v = v*uint64(len(symbols)) + uint64(digit)
	}
	return v
}

// childFolder returns the folder in folder that key is in, with a slash; "" if it
// is in none.
func childFolder(folder, key string) string {
	rest, in := strings.CutPrefix(key, folder)
	if n := strings.IndexByte(rest, '/'); in && n >= 0 {
		return key[:len(folder)+n+1]
	}
	return ""
}

// commonFolder returns the folder that both ends of a span are in, at least the
// listing's own.
func commonFolder(pos, until, prefix string) string {
	n := 0
	for n < len(pos) && n < len(until) && pos[n] == until[n] {
		n++
	}
	folder := pos[:strings.LastIndexByte(pos[:n], '/')+1]
	if len(folder) < len(prefix) {
		return prefix
	}
	return folder
}

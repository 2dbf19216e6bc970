package s3

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// group is some keys of which a listing of one prefix tells.
type group struct {
	prefix string // of all of them, as a key; "" or "folder/"
	at     []int  // where they are among the keys asked for, in the order of keys
}

// groups puts keys together whose folders stand in the same folder, as the leaves
// of blobs/sha256/<2 hex>/ do and those of one _layers/sha256/; at
// most so many of them, so that much is asked for side by side.
func groups(keys []string, most int) []group {
	order := make([]int, len(keys))
	for i := range keys {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	var all []group
	byPrefix := map[string]int{}
	for _, i := range order {
		prefix := above(above(keys[i]))
		if prefix != "" {
			prefix += "/"
		}
		n, ok := byPrefix[prefix]
		if !ok || len(all[n].at) == most {
			n = len(all)
			byPrefix[prefix] = n
			all = append(all, group{prefix: prefix})
		}
		all[n].at = append(all[n].at, i)
	}
	return all
}

// fewKeys is how many of a group are looked at one by one, and how many a page
// has to tell of for the next one to be asked for.
const fewKeys = 4

// before returns a key below key with hardly any between them.
func before(key string) string {
	_, n := utf8.DecodeLastRuneInString(key)
	return key[:len(key)-n]
}

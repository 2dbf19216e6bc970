// Package spelling finds what was probably meant by a word that isn't known.
package spelling

// DidYouMean returns "; did you mean NAME?" with the name that is nearest to a word, and
// before in front of it; "" where none is near. It is the end of a complaint that there is
// no such name.
func DidYouMean(word string, names []string, before string) string {
	if n := nearest(word, names); n != "" {
		return "; did you mean " + before + n + "?"
	}
	return ""
}

// nearest returns the first of the names that are fewest typing errors away
// from a word, or "" if all are too far.
func nearest(word string, names []string) string {
	best, found := 1+len(word)/3, ""
	for _, n := range names {
		if d := distance(word, n); d < best || d == best && found == "" {
			best, found = d, n
		}
	}
	return found
}

// distance counts the letters to insert, remove or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Package spelling suggests a name for a misspelled one.
package spelling

// DidYouMean returns "; did you mean NAME?" with the most similar name, preceded by before;
// "" if none is similar.
func DidYouMean(word string, names []string, before string) string {
	if n := nearest(word, names); n != "" {
		return "; did you mean " + before + n + "?"
	}
	return ""
}

// nearest returns the first name with the fewest typing errors, or "" if all have too many.
func nearest(word string, names []string) string {
	best, found := 1+len(word)/3, ""
	for _, n := range names {
		if d := distance(word, n); d < best || d == best && found == "" {
			best, found = d, n
		}
	}
	return found
}

// distance returns the edit distance of a and b.
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

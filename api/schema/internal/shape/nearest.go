// SPDX-License-Identifier: Apache-2.0

package shape

import "strings"

// Nearest gives the candidate that a misspelt name most likely meant: the same letters
// in another case or with other separators, or else the only closest one that a third
// of the name's letters, and at most three, would turn it into. "" is none.
func Nearest(name string, among []string) string {
	folded := fold(name)
	limit := min(3, len(folded)/3) + 1
	best, least, tie := "", limit, false
	for _, candidate := range among {
		switch d := distance(folded, fold(candidate), limit); {
		case d < least:
			best, least, tie = candidate, d, false
		case d == least:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// fold leaves of a name what people remember of it.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}

// distance counts the letters to insert, remove, replace or swap with their neighbour;
// at limit it stops counting, so that no text costs more than its length by the limit.
func distance(a, b string, limit int) int {
	const longest = 64
	if len(a) > longest || len(b) > longest || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][longest + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

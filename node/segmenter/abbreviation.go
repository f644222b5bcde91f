// SPDX-License-Identifier: Apache-2.0

package segmenter

// The abbreviations that end in a full stop, lower case and without it. They are the
// ones that language models write in English; an unknown one is recognised by the small
// letter that follows it.

// title reports abbreviations that always belong to the word after them.
func title(word string) bool {
	switch word {
	case "mr", "mrs", "ms", "mx", "dr", "prof", "st", "mt", "ft", "gen", "col", "maj", "capt", "cmdr", "lt", "sgt", "cpl",
		"rev", "hon", "pres", "gov", "sen", "rep", "amb", "messrs", "mme", "mlle", "fr", "sra",
		"e.g", "i.e", "eg", "ie", "vs", "v", "cf", "viz", "approx", "ca", "esp", "z.b", "d.h":
		return true
	}
	return false
}

// numbered reports abbreviations that belong to a number after them, and are words of
// their own or end a sentence otherwise.
func numbered(word string) bool {
	switch word {
	case "no", "nos", "nr", "fig", "figs", "vol", "vols", "ch", "chap", "sec", "art", "eq", "p", "pp", "pg", "par", "ext", "tel",
		"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec":
		return true
	}
	return false
}

// contraction reports abbreviations that may stand in a sentence or end one.
func contraction(word string) bool {
	switch word {
	case "etc", "al", "inc", "ltd", "co", "corp", "llc", "bros", "jr", "sr", "dept", "univ", "assn", "est", "ave", "blvd", "rd",
		"min", "max", "hr", "hrs", "secs", "mins", "oz", "lb", "lbs", "usw", "bzw":
		return true
	}
	return false
}

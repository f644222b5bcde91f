// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"strconv"
	"time"
)

// number gives 0 to 99 in words, so that a synthesiser needs no rules for digits.
func number(n int) string {
	small := [...]string{
		"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
		"ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
	}
	tens := [...]string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}
	switch {
	case n < 0 || n > 99:
		return strconv.Itoa(n)
	case n < len(small):
		return small[n]
	case n%10 == 0:
		return tens[n/10]
	}
	return tens[n/10] + " " + small[n%10]
}

// largestNumber finds the largest number named in words or digits, 0 for none. The
// largest, since "to" is often misheard as "two" and "for" as "four".
func largestNumber(heard []string) int {
	most, run := 0, 0 // run is the tens that the next word may complete
	for _, w := range heard {
		n := spoken(w)
		switch {
		case n < 0:
			run = 0
			continue
		case w == "hundred" || w == "thousand":
			n = max(run, 1) * n
		case run >= 20 && run%10 == 0 && n > 0 && n < 10:
			n += run
		}
		run = n
		most = max(most, n)
	}
	return most
}

// spoken gives the number that one word names, -1 when it names none.
func spoken(w string) int {
	if n, err := strconv.Atoi(w); err == nil {
		if n < 0 || n > 1_000_000 {
			return -1
		}
		return n
	}
	switch w {
	case "hundred":
		return 100
	case "thousand":
		return 1000
	}
	for n := range 100 {
		if (n < 20 || n%10 == 0) && number(n) == w {
			return n
		}
	}
	return -1
}

// clock says a time of day in words.
func clock(t time.Time) string {
	hour, minute := t.Hour(), t.Minute()
	if minute == 0 && hour == 0 {
		return "midnight"
	}
	if minute == 0 && hour == 12 {
		return "noon"
	}
	s := number((hour+11)%12 + 1)
	switch {
	case minute == 0:
		s += " o'clock"
	case minute < 10:
		s += " oh " + number(minute)
	default:
		s += " " + number(minute)
	}
	switch {
	case hour < 5, hour >= 22:
		return s + " at night"
	case hour < 12:
		return s + " in the morning"
	case hour < 18:
		return s + " in the afternoon"
	}
	return s + " in the evening"
}

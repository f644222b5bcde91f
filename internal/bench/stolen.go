// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"strconv"
	"strings"
)

// StolenTime gives a function that says which share of the processor's time was taken
// by other guests of the host since its last call: the steal column of /proc/stat.
// Where there is none it gives a negative share.
func StolenTime() func() float64 {
	lastSteal, lastTotal := readSteal()
	return func() float64 {
		steal, total := readSteal()
		if total <= lastTotal {
			return -1
		}
		share := float64(steal-lastSteal) / float64(total-lastTotal)
		lastSteal, lastTotal = steal, total
		return share
	}
}

func readSteal() (steal, total int64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, 0
		}
		total += n
		if i == 7 {
			steal = n
		}
	}
	return steal, total
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"strconv"
	"strings"
	"time"
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

// tick is the unit of /proc/stat (USER_HZ, a hundred a second on every Linux).
const tick = 10 * time.Millisecond

// BusyTime gives the processor time that all processes of the machine have used so far,
// by /proc/stat; 0 where there is none.
func BusyTime() time.Duration {
	var busy int64
	for i, n := range readStat() {
		if i < 3 || i == 5 || i == 6 { // user, nice, system, interrupts
			busy += n
		}
	}
	return time.Duration(busy) * tick
}

func readSteal() (steal, total int64) {
	list := readStat()
	for _, n := range list {
		total += n
	}
	return list[7], total
}

// readStat gives the first eight columns of all processors together; zeroes where there
// are none.
func readStat() (list [8]int64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return list
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	if len(fields) < 1+len(list) || fields[0] != "cpu" {
		return list
	}
	for i := range list {
		if list[i], err = strconv.ParseInt(fields[1+i], 10, 64); err != nil {
			return [8]int64{}
		}
	}
	return list
}

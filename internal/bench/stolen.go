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

// BusyTime gives a function that says how much time the processors have had work since the
// call of BusyTime, whoever's: all their time without what they were idle and what was stolen;
// 0 where there is no /proc/stat. The columns of what they did do not serve: most kernels fill
// them by looking who runs when the clock ticks, and a program that wakes by the clock is met
// far too often or never. How long a processor is idle is measured.
func BusyTime() func() time.Duration {
	began := time.Now()
	processors, free := readFree()
	return func() time.Duration {
		if processors == 0 {
			return 0
		}
		_, now := readFree()
		return max(0, time.Since(began)*time.Duration(processors)-time.Duration(now-free)*tick)
	}
}

// readFree gives the number of processors and the ticks in which one of them was idle, waited
// for a disk or was stolen.
func readFree() (processors int, ticks int64) {
	raw, list := readStat()
	for line := range strings.Lines(raw) {
		if strings.HasPrefix(line, "cpu") && !strings.HasPrefix(line, "cpu ") {
			processors++
		}
	}
	return processors, list[3] + list[4] + list[7]
}

func readSteal() (steal, total int64) {
	_, list := readStat()
	for _, n := range list {
		total += n
	}
	return list[7], total
}

// readStat gives /proc/stat, and its first eight columns of all processors together; nothing
// where there are none.
func readStat() (text string, list [8]int64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return "", list
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	if len(fields) < 1+len(list) || fields[0] != "cpu" {
		return "", list
	}
	for i := range list {
		if list[i], err = strconv.ParseInt(fields[1+i], 10, 64); err != nil {
			return "", [8]int64{}
		}
	}
	return string(raw), list
}

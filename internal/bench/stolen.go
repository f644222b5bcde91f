// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
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

// tick is the unit of /proc/stat and of /proc/PID/stat (USER_HZ, a hundred a second on every
// Linux).
const tick = 10 * time.Millisecond

// BusyTime gives the processor time that all processes of the machine that can be seen have
// used so far, those included that have ended and were waited for; 0 where there is no /proc.
// The columns of /proc/stat do not serve: most kernels fill them by looking who runs when the
// clock ticks, and a program that wakes by the clock is met far too often or never. What each
// process has used is measured.
func BusyTime() time.Duration {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	var busy int64
	for _, e := range entries {
		if name := e.Name(); name[0] >= '1' && name[0] <= '9' {
			busy += spentBy(name)
		}
	}
	return time.Duration(busy) * tick
}

// spentBy gives what a process and its children that were waited for have used, in ticks:
// the fields 14 to 17 of /proc/PID/stat.
func spentBy(pid string) (spent int64) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0 // it has ended
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the third on
	if len(fields) < 15 {
		return 0
	}
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		spent += n
	}
	return spent
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

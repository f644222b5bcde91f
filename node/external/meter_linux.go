// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-voice/parley/node/external/sandbox"
)

// stat is what is read of one process.
type stat struct {
	parent, group, session int
	cpu                    time.Duration
	threads                int64
	memory                 int64 // bytes that are resident
	start                  int64 // when it was started, which with its number says that it is the same
}

// clockTick is the unit of processor time that the system tells in; it is the same everywhere.
const clockTick = 10 * time.Millisecond

// readStat reads /proc/PID/stat. What stands in brackets is the program's name for itself.
func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 22 {
		return s, false
	}
	number := func(k int) int64 { // as the manual counts them
		n, err := strconv.ParseInt(string(fields[k-3]), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return stat{
		parent: int(number(4)), group: int(number(5)), session: int(number(6)), cpu: time.Duration(number(14)+number(15)) * clockTick,
		threads: number(20), start: number(22), memory: number(24) * int64(os.Getpagesize()),
	}, true
}

// mayFork says whether there can be descendants at all.
func (p *process) mayFork() bool {
	return p.program.plan.level == sandbox.LevelProcess || p.program.plan.config.Isolation.Processes
}

// measure adds up what the process and its descendants use. A descendant that hides from its
// parents is found where there is a control group, and else by having been seen before it did.
func (p *process) measure() (u usage, ok bool) {
	if !p.mayFork() {
		s, ok := readStat(p.pid)
		return usage{s.memory, s.cpu, s.threads}, ok
	}
	for _, pid := range p.relatives() {
		if s, there := readStat(pid); there {
			u.memory += s.memory
			u.cpu += s.cpu
			u.tasks += s.threads
			ok = true
		}
	}
	return u, ok
}

// spent is what a process without descendants has used, by its own clock of processor time, which
// tells nanoseconds and costs one system call.
func (p *process) spent() (time.Duration, bool) {
	if p.mayFork() {
		return 0, false // all of them are measured together, less often
	}
	const scheduled = 2 // which of a process's clocks: CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.pid<<3|scheduled), &ts); err != nil {
		s, ok := readStat(p.pid)
		return s.cpu, ok
	}
	return time.Duration(ts.Nano()), true
}

// putBehind has the process and its descendants run when nobody else wants the processor, or again as
// others do: for that the host needs a right (CAP_SYS_NICE) which few have, and without it what once
// took too much stays where it is. Threads and processes that it starts inherit it.
func (p *process) putBehind(behind bool) {
	pids := []int{p.pid}
	if p.mayFork() {
		pids = p.relatives()
	}
	policy := uint32(unix.SCHED_NORMAL)
	if behind {
		policy = unix.SCHED_IDLE
	}
	for _, pid := range pids {
		tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if err != nil {
			continue // it has ended
		}
		for _, e := range tasks {
			tid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			a, err := unix.SchedGetAttr(tid, 0)
			if err == nil && a.Policy != policy && (a.Policy == unix.SCHED_NORMAL || a.Policy == unix.SCHED_IDLE) {
				a.Policy = policy
				_ = unix.SchedSetAttr(tid, a, 0)
			}
		}
	}
}

// relatives lists the process and its descendants.
func (p *process) relatives() []int {
	if p.group != nil {
		return p.group.processes()
	}
	all := map[int]stat{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{p.pid}
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if s, ok := readStat(pid); ok {
				all[pid] = s
			}
		}
	}
	return p.descend(all)
}

// descend picks the process and its descendants, and keeps them for the next time and for the end.
func (p *process) descend(all map[int]stat) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := map[int]int64{}
	for pid, s := range all {
		if start, was := p.family[pid]; pid == p.pid || was && start == s.start || s.group == p.pid || s.session == p.pid {
			known[pid] = s.start
		}
	}
	for grown := true; grown; {
		grown = false
		for pid, s := range all {
			if _, there := known[pid]; there {
				continue
			}
			if _, child := known[s.parent]; child {
				known[pid], grown = s.start, true
			}
		}
	}
	p.family = known
	return slices.Collect(maps.Keys(known))
}

// sweep ends what a process has left behind.
func (p *process) sweep() {
	p.group.kill()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL) // it is gone itself, its group may not be
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid, start := range p.family {
		if s, there := readStat(pid); there && pid != p.pid && s.start == start {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

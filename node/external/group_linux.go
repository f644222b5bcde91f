// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pinThread keeps the goroutine on its thread: with the thread that started it, a child would end.
func pinThread() (unpin func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

func attributes(g *controlGroup) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if g != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(g.dir.Fd())
	}
	return a
}

// controlGroup is a control group (version 2) of a process and its descendants, where this program
// may make one: none of them gets out of it, and all are killed at once. Controllers that are
// delegated hold memory, tasks and processor time as well; the host's samples do in any case.
type controlGroup struct {
	path string
	dir  *os.File
}

func newControlGroup(parent, name string, memoryMB, tasks, cpuUnits int64) *controlGroup {
	if parent == "" {
		parent = ownGroup()
	}
	if parent == "" || parent == NoGroups {
		return nil
	}
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
	removeStale(parent)
	path, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-%.40s-", groupPrefix, os.Getpid(), clean))
	if err != nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(path, "cgroup.kill")); err != nil { // before Linux 5.14
		_ = os.Remove(path)
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		_ = os.Remove(path)
		return nil
	}
	g := &controlGroup{path: path, dir: dir}
	g.set("memory.max", strconv.FormatInt(memoryMB<<20, 10))
	g.set("memory.swap.max", "0")
	g.set("pids.max", strconv.FormatInt(tasks, 10))
	g.set("cpu.max", fmt.Sprintf("%d 100000", cpuUnits*100))
	return g
}

const groupPrefix = "parley-node-"

// removeStale removes the groups of hosts that were killed, with whatever is left in them.
func removeStale(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), groupPrefix)
		pid, _, _ := strings.Cut(rest, "-")
		if _, err := strconv.Atoi(pid); !ours || err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			g := &controlGroup{path: filepath.Join(parent, e.Name())}
			g.kill()
			_ = removeGroup(g.path) // the next host tries again
		}
	}
}

// removeGroup removes a group and those that were made below it.
func removeGroup(path string) error {
	entries, _ := os.ReadDir(path) // what cannot be read is not removed, which is told below
	for _, e := range entries {
		if e.IsDir() {
			_ = removeGroup(filepath.Join(path, e.Name()))
		}
	}
	return os.Remove(path)
}

// set sets a limit whose controller is delegated; others are not there.
func (g *controlGroup) set(file, value string) {
	f, err := os.OpenFile(filepath.Join(g.path, file), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	_, _ = f.WriteString(value)
	_ = f.Close()
}

// ownGroup is the folder of this process's group, empty where there is none that it may write to.
func ownGroup() string {
	mount := ""
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		before, after, ok := strings.Cut(line, " - ")
		if fields := strings.Fields(before); ok && strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			mount = fields[4]
			break
		}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if mount == "" || err != nil {
		return ""
	}
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join(mount, path)
		}
	}
	return ""
}

// kill kills all that is in the group.
func (g *controlGroup) kill() {
	if g != nil {
		g.set("cgroup.kill", "1")
	}
}

// remove removes the group once it is empty.
func (g *controlGroup) remove() {
	if g == nil {
		return
	}
	for wait := time.Millisecond; ; wait *= 2 {
		err := removeGroup(g.path)
		if err == nil || errors.Is(err, os.ErrNotExist) || wait > time.Second {
			break
		}
		g.kill()
		time.Sleep(wait)
	}
	_ = g.dir.Close()
}

// processes lists what is in the group.
func (g *controlGroup) processes() (list []int) {
	text, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

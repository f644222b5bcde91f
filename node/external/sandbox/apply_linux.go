// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available is the highest level that this system has, and why it is not a higher one.
func Available() (level Level, why string) {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode < 0 {
		return LevelProcess, "the kernel has no seccomp"
	}
	if abi := landlockABI(); abi < leastLandlock {
		return LevelLimited, fmt.Sprintf("the kernel has Landlock version %d; files need %d or later", abi, leastLandlock)
	}
	return LevelSandbox, ""
}

// leastLandlock is the first version that holds truncation as well: before it, a file that may
// not be written could be emptied.
const leastLandlock = 3

// apply does it on one thread, which exec makes the only one.
func apply(p *Policy) error {
	runtime.LockOSThread()
	steps := []struct {
		what string
		do   func(*Policy) error
	}{
		{"priority", priority}, {"limits", limits}, {"privileges", privileges}, {"files", files}, {"system calls", calls},
	}
	for _, s := range steps {
		if err := s.do(p); err != nil {
			return fmt.Errorf("sandbox: %s: %w", s.what, err)
		}
	}
	err := syscall.Exec(p.Command, append([]string{p.Command}, p.Args...), os.Environ())
	return fmt.Errorf("sandbox: start %s: %w: name a program that may be executed, and grant what its loader reads", p.Command, err)
}

// priority puts the program behind the host, whose wishes of the scheduler are not its own.
func priority(p *Policy) error {
	if a, err := unix.SchedGetAttr(0, 0); err == nil && a.Policy == unix.SCHED_NORMAL {
		a.Runtime = 0 // slices as everybody has them
		_ = unix.SchedSetAttr(0, a, 0)
	}
	if p.Nice <= 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice)
}

// slackMB is what a program may map beyond its memory: what it maps and does not touch. The
// memory that it touches is measured by the host; this is the wall behind that.
const slackMB = 512

// mostFileMB bounds a file that the program writes.
const mostFileMB = 256

func limits(p *Policy) error {
	data := uint64(p.MemoryMB+slackMB) << 20
	list := []struct {
		name  string
		what  int
		value uint64
	}{
		{"data", unix.RLIMIT_DATA, data},
		{"core", unix.RLIMIT_CORE, 0},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"open files", unix.RLIMIT_NOFILE, uint64(max(p.Files, 16))},
		{"locked memory", unix.RLIMIT_MEMLOCK, 64 << 10},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
		{"real-time priority", unix.RLIMIT_RTPRIO, 0},
	}
	if len(p.Write) > 0 {
		list[2].value = mostFileMB << 20
	}
	for _, l := range list {
		r := unix.Rlimit{Cur: l.value, Max: l.value}
		if err := unix.Setrlimit(l.what, &r); err != nil {
			return fmt.Errorf("%s: %d: %w", l.name, l.value, err)
		}
	}
	return nil
}

// privileges drops every capability for good, also for a program of root's.
func privileges(*Policy) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // older kernels have none
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // the kernel has no further
		} else if errors.Is(err, unix.EPERM) {
			break // nobody special: there is nothing to drop
		} else if err != nil {
			return err
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

const (
	readAccess = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// fileAccess is what a rule on something that is no folder may grant.
	fileAccess = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// writeAccess makes, changes and removes files and folders, and no devices or sockets.
	writeAccess = readAccess&^unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REFER
)

// system is what programs need to be loaded at all, where it is there.
func system() (read, write []string) {
	return []string{
		"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
		"/etc/ld.so.cache", "/etc/localtime", "/dev/zero", "/dev/random", "/dev/urandom",
	}, []string{"/dev/null"}
}

func files(p *Policy) error {
	if p.Level.Rank() < LevelSandbox.Rank() {
		return nil
	}
	abi := landlockABI()
	if abi < leastLandlock {
		return fmt.Errorf("the kernel has Landlock version %d, %d is needed", abi, leastLandlock)
	}
	attr := unix.LandlockRulesetAttr{Access_fs: 1<<15 - 1}
	size := unsafe.Sizeof(attr.Access_fs)
	if abi >= 4 {
		size += unsafe.Sizeof(attr.Access_net)
		if !p.Network {
			attr.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		}
	}
	if abi >= 5 {
		attr.Access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		size += unsafe.Sizeof(attr.Scoped)
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer func() { _ = unix.Close(int(rules)) }()
	read, write := system()
	for _, path := range append(read, p.Command) {
		if err := allow(int(rules), path, readAccess); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	for _, path := range write {
		if err := allow(int(rules), path, writeAccess); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	for _, path := range p.Read {
		if err := allow(int(rules), path, readAccess); err != nil {
			return err
		}
	}
	for _, path := range p.Write {
		if err := allow(int(rules), path, writeAccess); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= fileAccess
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package sandbox

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden are the system calls that no node needs: what reaches into other processes or
// into the kernel, goes round this filter, or makes memory that nobody counts.
func forbidden() []uint32 {
	return append([]uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PERSONALITY,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
		unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET, unix.SYS_MQ_OPEN, unix.SYS_FANOTIFY_INIT,
	}, forbiddenHere()...)
}

// Offsets in the kernel's description of a call.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16 // eight bytes each, the low half first on both of our processors
)

// asm builds a filter. A check ends in an answer or falls through to the next.
type asm struct{ code []unix.SockFilter }

const (
	opLoad   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opAtMost = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opReturn = unix.BPF_RET | unix.BPF_K
)

func refuse(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

func (a *asm) op(code uint16, k uint32, jt, jf uint8) {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k, Jt: jt, Jf: jf})
}

// when answers if the call is this one.
func (a *asm) when(call, answer uint32) {
	a.op(opLoad, offsetCall, 0, 0)
	a.op(opEqual, call, 0, 1)
	a.op(opReturn, answer, 0, 0)
}

// unless answers if the call is this one and the low half of an argument, masked, is not the value.
func (a *asm) unless(call uint32, arg int, mask, value, answer uint32) {
	a.op(opLoad, offsetCall, 0, 0)
	a.op(opEqual, call, 0, 4)
	a.op(opLoad, offsetArgs+8*uint32(arg), 0, 0)
	a.op(opAnd, mask, 0, 0)
	a.op(opEqual, value, 1, 0)
	a.op(opReturn, answer, 0, 0)
}

// whenArg answers if the call is this one and the low half of an argument is the value.
func (a *asm) whenArg(call uint32, arg int, value, answer uint32) {
	a.op(opLoad, offsetCall, 0, 0)
	a.op(opEqual, call, 0, 3)
	a.op(opLoad, offsetArgs+8*uint32(arg), 0, 0)
	a.op(opEqual, value, 0, 1)
	a.op(opReturn, answer, 0, 0)
}

// filter is the program for a policy.
func filter(p *Policy, pid int) []unix.SockFilter {
	const all = ^uint32(0)
	a := &asm{}
	a.op(opLoad, offsetArch, 0, 0)
	a.op(opEqual, auditArch, 1, 0)
	a.op(opReturn, unix.SECCOMP_RET_KILL_PROCESS, 0, 0) // another set of numbers for the same calls
	if foreignCalls > 0 {
		a.op(opLoad, offsetCall, 0, 0)
		a.op(opAtMost, foreignCalls, 0, 1)
		a.op(opReturn, refuse(unix.ENOSYS), 0, 0)
	}
	for _, call := range forbidden() {
		a.when(call, refuse(unix.EPERM))
	}
	a.whenArg(unix.SYS_PRCTL, 0, unix.PR_SET_PDEATHSIG, refuse(unix.EPERM))
	a.unless(unix.SYS_PRLIMIT64, 0, all, 0, refuse(unix.EPERM))
	if !p.Network {
		// A socket that is connected already is all that a node needs. Others could reach services of
		// this machine by a path, which Landlock does not see.
		for _, call := range []uint32{unix.SYS_SOCKET, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN} {
			a.when(call, refuse(unix.EACCES))
		}
		a.unless(unix.SYS_SOCKETPAIR, 1, 0xf, unix.SOCK_STREAM, refuse(unix.EACCES))
	}
	if !p.Processes {
		for _, call := range forks() {
			a.when(call, refuse(unix.EPERM))
		}
		a.when(unix.SYS_CLONE3, refuse(unix.ENOSYS)) // its flags cannot be seen; libraries fall back to clone
		a.unless(unix.SYS_CLONE, 0, unix.CLONE_THREAD, unix.CLONE_THREAD, refuse(unix.EPERM))
		for _, call := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO} {
			a.unless(call, 0, all, uint32(pid), refuse(unix.EPERM))
		}
		a.when(unix.SYS_TKILL, refuse(unix.EPERM))
		a.when(unix.SYS_PIDFD_SEND_SIGNAL, refuse(unix.EPERM))
	}
	a.op(opReturn, unix.SECCOMP_RET_ALLOW, 0, 0)
	return a.code
}

// calls sets the filter, of this thread: it is the one that goes on.
func calls(p *Policy) error {
	code := filter(p, os.Getpid())
	if len(code) > unix.BPF_MAXINSNS {
		return fmt.Errorf("seccomp: %d instructions, at most %d", len(code), unix.BPF_MAXINSNS)
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

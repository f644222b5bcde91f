// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes a shard's owner by a timer of the kernel. A timer of the Go runtime is up to a
// millisecond late where nothing else goes on, because its poller waits in whole
// milliseconds; a timer that the poller sees as a file is not. No thread is locked, and none
// is blocked: who waits for a file gives its processor away.
type alarm struct {
	file  *os.File
	conn  syscall.RawConn
	spec  unix.ItimerSpec
	arm   func(fd uintptr) // sets spec
	ringF func(fd uintptr) // has it ring now
	count [8]byte
	err   error
}

// newAlarm gives a shard's alarm, nil where there is none: where the system has no room for
// it, or time is not the machine's, as in a test that lets it pass at will.
func newAlarm() *alarm {
	var machine unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &machine); err != nil {
		return nil
	}
	if d := time.Since(time.Unix(machine.Unix())); d < -time.Hour || d > time.Hour {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "shard alarm")}
	if a.conn, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close() // it was of no use
		return nil
	}
	a.arm = func(fd uintptr) { a.err = unix.TimerfdSettime(int(fd), 0, &a.spec, nil) }
	soon := unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}                         // with nothing it would be taken back
	a.ringF = func(fd uintptr) { _ = unix.TimerfdSettime(int(fd), 0, &soon, nil) } // fails when nobody waits any more
	return a
}

// set has it ring after d; the owner calls it, before it waits. It says whether it will.
func (a *alarm) set(d time.Duration) bool {
	a.spec.Value = unix.NsecToTimespec(max(int64(d), 1))
	return a.conn.Control(a.arm) == nil && a.err == nil
}

// ring wakes who waits, from any goroutine.
func (a *alarm) ring() { _ = a.conn.Control(a.ringF) } // an alarm that is closed wakes nobody

// wait waits until it rings. It says whether it can be relied on.
func (a *alarm) wait() bool {
	_, err := a.file.Read(a.count[:])
	return err == nil
}

func (a *alarm) close() { _ = a.file.Close() } // there is nothing to be written

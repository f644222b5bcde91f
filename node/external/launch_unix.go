// SPDX-License-Identifier: Apache-2.0

//go:build unix

package external

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-voice/parley/node/external/protocol"
)

// waitOutput is how long what the child wrote is read after its end.
const waitOutput = time.Second

// inherited is the number of the child's end of the connection: the first after the standard ones.
const inherited = "3"

// startChild starts the child in a group of its own, with one end of a socket.
func (p *process) startChild() error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	conn, err := net.FileConn(ours) // of a copy
	_ = ours.Close()
	if err != nil {
		return err
	}
	cmd, err := p.command()
	if err == nil {
		cmd.Dir = p.program.plan.dir
		cmd.Env = append(append([]string(nil), p.program.plan.env...), protocol.EnvFD+"="+inherited)
		cmd.ExtraFiles = []*os.File{theirs}
		cmd.Stdout, cmd.Stderr = p.lines, p.lines
		cmd.WaitDelay = waitOutput
		cmd.SysProcAttr = attributes(p.group)
		err = cmd.Start()
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	p.conn, p.cmd, p.pid = conn, cmd, cmd.Process.Pid
	return nil
}

func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "parley-node"), os.NewFile(uintptr(fds[1]), "parley-node"), nil
}

// terminate asks the group to end.
func (p *process) terminate() { _ = syscall.Kill(-p.pid, syscall.SIGTERM) }

// kill ends the process and all that it has started.
func (p *process) kill() {
	select {
	case <-p.gone:
		return // the number may be somebody else's by now
	default:
	}
	p.group.kill()
	if err := syscall.Kill(-p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.program.log.Warn("a node's process could not be killed", "pid", p.pid, "error", err)
	}
}

// packageDir is the folder of the package, which its program may read.
func packageDir(p *plan) string { return filepath.Dir(p.config.Package) }

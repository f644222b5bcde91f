// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package external

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-voice/parley/node/external/protocol"
)

// waitOutput is how long what the child wrote is read after its end.
const waitOutput = time.Second

// startChild starts the child, which connects to a socket in a folder of its own.
func (p *process) startChild() error {
	dir, err := os.MkdirTemp("", "parley-node-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "host")
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer l.Close()
	cmd, err := p.command()
	if err != nil {
		return err
	}
	cmd.Dir = p.program.plan.dir
	cmd.Env = append(append([]string(nil), p.program.plan.env...), protocol.EnvSocket+"="+path)
	cmd.Stdout, cmd.Stderr = p.lines, p.lines
	cmd.WaitDelay = waitOutput
	if err := cmd.Start(); err != nil {
		return err
	}
	if u, ok := l.(*net.UnixListener); ok {
		_ = u.SetDeadline(time.Now().Add(p.program.plan.limits.start))
	}
	conn, err := l.Accept()
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	p.conn, p.cmd, p.pid = conn, cmd, cmd.Process.Pid
	return nil
}

// terminate leaves it to the message: there are no signals.
func (*process) terminate() {}

// kill ends the process.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

func packageDir(p *plan) string { return filepath.Dir(p.config.Package) }

// SPDX-License-Identifier: Apache-2.0

package external

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-voice/parley/node/external/sandbox"
)

// A process is put behind the others, and put back by a host that has the right to.
func TestPutBehind(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	p := &process{pid: cmd.Process.Pid, program: &program{plan: &plan{level: sandbox.LevelProcess}}}
	back := uint32(unix.SCHED_NORMAL)
	if os.Geteuid() != 0 {
		back = unix.SCHED_IDLE
	}
	for i, want := range []uint32{unix.SCHED_NORMAL, unix.SCHED_IDLE, back} {
		if i > 0 {
			p.putBehind(i == 1)
		}
		if a, err := unix.SchedGetAttr(p.pid, 0); err != nil || a.Policy != want {
			t.Errorf("%d: %+v, %v, want policy %d", i, a, err, want)
		}
	}
}

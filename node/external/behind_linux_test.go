// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// A node that computes on more than it may stands behind everybody else before it is ended for it.
func TestBehind(t *testing.T) {
	for _, level := range []sandbox.Level{sandbox.LevelProcess, sandbox.LevelLimited} {
		if best, why := sandbox.Available(); level.Rank() > best.Rank() {
			t.Logf("this system has no more than %s: %s", best, why)
			continue
		}
		k, _ := newKind(t, func(o *external.Options) { o.Most = level })
		config := hostile.Config("threads", self(t), "node-hostile")
		config = bytes.Replace(config, []byte(`"time_ms":400`), []byte(`"time_ms":5000`), 1)
		config = bytes.Replace(config, []byte(`"cpu_units":300`), []byte(`"cpu_units":100`), 1)
		n, h := open(t, k, config, "")
		pid := k.Status()[0].PID
		if a, err := unix.SchedGetAttr(pid, 0); err != nil || a.Policy != unix.SCHED_NORMAL {
			t.Fatalf("%s: it begins with %+v, %v", level, a, err)
		}
		if err := provoke(n, h); err != nil {
			t.Fatal(err)
		}
		until(t, "it stands behind", func() bool { return standsBehind(pid) })
	}
}

// standsBehind says that a process gets what others leave.
func standsBehind(pid int) bool {
	a, err := unix.SchedGetAttr(pid, 0)
	return err == nil && a.Policy == unix.SCHED_IDLE
}

// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

// What is told without asking the owner is what the owner would tell.
func TestStanding(t *testing.T) {
	r := newRig("s1")
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	stats, stands := s.Stats(), s.Standing()
	if stands.State != stats.State || stands.State != controlplane.SessionEnded || stands.Degraded != stats.Degraded || stands.Turns != stats.Kernel.Turns || stands.Turns == 0 {
		t.Errorf("it stands as %+v, and counted %+v", stands, stats)
	}
	if stands.FramesIn != stats.FramesIn || stands.FramesOut != stats.FramesOut || stands.FramesOut == 0 || stands.FramesAfterFence != 0 {
		t.Errorf("its frames are %+v, and counted %+v", stands, stats)
	}
	s.standing.state.Store(s.standing.state.Load() | standingDegraded)
	if got := s.Standing(); !got.Degraded || got.State != controlplane.SessionEnded {
		t.Errorf("degraded it stands as %+v", got)
	}
}

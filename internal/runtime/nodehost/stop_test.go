// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/node"
)

// An instance that fails is stopped once, whatever it failed in: Stop releases what it holds.
func TestFailedInstanceIsStopped(t *testing.T) {
	type hooks = map[string]func(*node.Context, *node.Event) error
	refuse := func(*node.Context, *node.Event) error { return errors.New("no") }
	fall := func(*node.Context, *node.Event) error { panic("fell") }
	for name, do := range map[string]hooks{
		"error in init":  {"init": refuse},
		"panic in start": {"start": fall},
		"error in event": {"event": refuse},
		"panic in event": {"event": fall},
		"panic in both":  {"event": fall, "stop": fall},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := host(t, node.ScopeTurn, do)
				b.Call(&node.Event{Type: node.TypeTextDelta})
				synctest.Wait()
				if got := strings.Count(b.probe.seen(), "stop"); got != 1 {
					t.Errorf("stopped %d times: %s", got, b.probe.seen())
				}
				b.finish(t)
				if got := strings.Count(b.probe.seen(), "stop"); got != 1 || len(b.failures()) != 1 {
					t.Errorf("stopped %d times, failed %v", got, b.failures())
				}
			})
		})
	}
}

// Stop never runs beside a hook: one that hangs is waited for, and if it comes back the
// instance is stopped then.
func TestHangingInstanceIsStoppedWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan struct{})
		b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error { <-back; return nil },
		})
		go b.Call(&node.Event{Type: node.TypeTextDelta})
		time.Sleep(node.DefaultEventHard + time.Second)
		synctest.Wait()
		if got := b.failures(); len(got) != 1 || got[0].Reason != ReasonTimeout {
			t.Fatalf("failures %v", got)
		}
		b.Stop()
		synctest.Wait()
		if strings.Contains(b.probe.seen(), "stop") {
			t.Fatalf("stopped while its event runs: %s", b.probe.seen())
		}
		close(back)
		synctest.Wait()
		if got := strings.Count(b.probe.seen(), "stop"); got != 1 {
			t.Errorf("stopped %d times: %s", got, b.probe.seen())
		}
		b.finish(t)
	})
}

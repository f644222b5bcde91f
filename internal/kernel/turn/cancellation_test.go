// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"strconv"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Lifecycle section 8: the fence's key is (session, scope, scope id); other scopes and
// other ids are untouched.
func TestFencesKeys(t *testing.T) {
	var f Fences
	f.Add(eventabi.CancelTurn, "t1", 0)
	f.Add(eventabi.CancelInvocation, "t2", 0)
	for _, row := range []struct {
		scope eventabi.CancelScope
		id    string
		want  bool
	}{
		{eventabi.CancelTurn, "t1", true},
		{eventabi.CancelTurn, "t2", false},
		{eventabi.CancelInvocation, "t2", true},
		{eventabi.CancelInvocation, "t1", false},
		{eventabi.CancelNode, "t1", false},
	} {
		if got := f.Has(row.scope, row.id); got != row.want {
			t.Errorf("%s %s: fenced %v", row.scope, row.id, got)
		}
	}
	if f.Session() {
		t.Error("a turn's fence fences the session")
	}
}

// A session's fence covers everything, for good.
func TestFencesSession(t *testing.T) {
	var f Fences
	f.Add(eventabi.CancelSession, "", 0)
	if !f.Session() || !f.Has(eventabi.CancelTurn, "t9") || !f.Has(eventabi.CancelInvocation, "x") {
		t.Error("a session's fence leaves something out")
	}
	f.Add(eventabi.CancelTurn, "t1", timebase.Instant(FenceRetention*3))
	if !f.Has(eventabi.CancelTurn, "t0") {
		t.Error("a session's fence expires")
	}
}

// Lifecycle section 8: retained until the session ends or 600000 ms after the turn
// closed, never shorter, and bounded.
func TestFencesRetention(t *testing.T) {
	var f Fences
	f.Add(eventabi.CancelTurn, "t1", ms(0))
	f.Add(eventabi.CancelTurn, "t1", ms(300_000)) // fencing again changes nothing
	if f.Len() != 1 {
		t.Errorf("%d fences for one turn", f.Len())
	}
	f.Add(eventabi.CancelTurn, "t2", ms(599_999))
	if !f.Has(eventabi.CancelTurn, "t1") {
		t.Error("a fence goes before its time")
	}
	f.Add(eventabi.CancelTurn, "t3", ms(600_000))
	if f.Has(eventabi.CancelTurn, "t1") || !f.Has(eventabi.CancelTurn, "t2") || f.Len() != 2 {
		t.Errorf("after its time a fence stays: %d fences", f.Len())
	}
}

func TestFencesBound(t *testing.T) {
	var f Fences
	for i := range MaxFences + 10 {
		f.Add(eventabi.CancelTurn, strconv.Itoa(i), ms(0))
	}
	if f.Len() != MaxFences || f.Has(eventabi.CancelTurn, "9") || !f.Has(eventabi.CancelTurn, "10") || !f.Has(eventabi.CancelTurn, strconv.Itoa(MaxFences+9)) {
		t.Errorf("%d fences; the oldest goes first", f.Len())
	}
}

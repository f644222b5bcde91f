// SPDX-License-Identifier: Apache-2.0

package equivalence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// record is what the kernel made of a conversation, as far as it is to be equal.
type record struct {
	mu       sync.Mutex
	lines    []string         // events and decisions, without ids, clocks and counts
	items    map[int64]string // of the conversation, as they stood last
	accepted map[eventabi.TurnID]bool
	voiced   []int64 // lengths of speech, in samples of the session's clock
	onset    int64
	gaps     int64 // samples of the caller that did not come in time
	counts   map[eventabi.Signal]int
	last     int64 // runtime sequence, timestamp
	at       int64
	faults   []string
	over     bool
}

func newRecord() *record {
	return &record{items: map[int64]string{}, accepted: map[eventabi.TurnID]bool{}, counts: map[eventabi.Signal]int{}}
}

// observe takes what a session does. What is left out, and why:
//
//   - results of engines, and what of them comes too late, since those are the spec's and not
//     the transport's;
//   - flow control and the filling of the edge to egress: those say how far playback was
//     when the caller interrupted, which is a matter of the caller's reaction;
//   - what is shed for load, which says how busy the machine is;
//   - output_accepted but for the first of a turn: the later ones race with playback.
func (r *record) observe(n *parley.Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch x := n.Record.(type) { //nolint:gochecksumtype // those that are compared
	case *session.Emit:
		r.signal(&x.Envelope)
	case *session.Decide:
		if o := &x.Outcome; !overload(o.Reason) {
			r.line("decide %s phase=%s scope=%s turn=%s by=%s reason=%s", o.OutcomeKind, o.Phase, o.Scope, o.TurnID, o.EmittedBy, o.Reason)
		}
	case *session.SessionChange:
		r.line("session %s > %s reason=%s", x.From, x.To, x.Reason)
	case *session.TurnChange:
		r.line("turn %s %s > %s by %s", x.Turn, x.Transition.FromState, x.Transition.ToState, x.Transition.Trigger)
	case *session.Fence:
		r.line("fence turn=%s generation=%d session=%t", x.Turn, x.Generation, x.Session)
	case *session.Hold:
		r.line("hold turn=%s all=%t", x.Turn, x.All)
	case *session.Resume:
		r.line("resume")
	case *session.Hook:
		r.line("hook %s turn=%s", x.Hook, x.Turn)
	case *session.Refused:
		if !result(x.What) {
			r.line("refused %s: %s turn=%s", x.Code, x.What, x.Turn)
		}
	case *session.Evidence:
		r.line("evidence turn=%s index=%d epochs=%d,%d %s reason=%s rejected=%d", x.Turn, x.Index, x.EpochOpen, x.EpochTerminal, x.Outcome, x.Reason, x.Rejected)
	case *session.Ended:
		r.line("ended reason=%s", x.Reason)
		r.over = true
	case *session.Converse:
		text := fmt.Sprintf("%s turn=%s", x.Item.Role, x.Item.Turn)
		if x.Item.Interrupted {
			text += " interrupted"
		}
		r.items[x.Item.Key] = text + ": " + n.Text
	case *session.VoiceOn:
		r.onset = int64(x.Onset)
	case *session.VoiceOff:
		r.voiced = append(r.voiced, int64(x.Offset)-r.onset)
	case *session.AudioGap:
		r.gaps += int64(x.Samples)
	}
}

// result says that an input is what an engine gave.
func result(what string) bool {
	return slices.Contains([]string{"transcript", "progress", "segment", "speech", "invocation_end", "cancel_ack"}, what)
}

func overload(reason string) bool { return strings.HasPrefix(reason, "overload") }

func (r *record) line(format string, args ...any) {
	r.lines = append(r.lines, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// signal keeps a signal with its metadata: all that is no id, clock, count or content.
func (r *record) signal(e *eventabi.Envelope) {
	r.counts[e.Signal]++
	if int64(e.RuntimeSequence) <= r.last || e.RuntimeTimestampMS < r.at || e.WallClockTimestampMS == 0 {
		r.faults = append(r.faults, fmt.Sprintf("%s stands at sequence %d and %d ms, behind %d and %d ms", e.Signal, e.RuntimeSequence, e.RuntimeTimestampMS, r.last, r.at))
	}
	r.last, r.at = int64(e.RuntimeSequence), e.RuntimeTimestampMS
	switch {
	case e.Signal == eventabi.SignalFlowXOff || e.Signal == eventabi.SignalFlowXOn || e.Signal == eventabi.SignalCreditGrant || overload(e.Reason):
		return
	case e.Signal == eventabi.SignalDropNotice, e.Signal == eventabi.SignalWatermark:
		return // of what a fence found on the way to egress
	case e.Signal == eventabi.SignalCancelAck:
		return // of an engine, if one was still at work
	case e.Signal == eventabi.SignalOutputAccepted && r.accepted[e.TurnID]:
		return
	}
	r.accepted[e.TurnID] = r.accepted[e.TurnID] || e.Signal == eventabi.SignalOutputAccepted
	epoch := eventabi.Epoch(0)
	if e.AuthorityEpoch != nil {
		epoch = *e.AuthorityEpoch
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(e.Payload, &fields) // a payload is an object, or there is none
	r.line("signal %s by=%s kind=%s scope=%s%s lane=%s class=%s turn=%s reason=%s epoch=%d payload=%v extensions=%v", e.Signal, e.EmittedBy, e.EventKind, e.EventScope, e.Scope,
		e.Lane, e.PayloadClass, e.TurnID, e.Reason, epoch, slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(e.Extensions)))
}

// count says how often a signal was sent.
func (r *record) count(s eventabi.Signal) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[s]
}

func (r *record) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// conversation is the items in their order.
func (r *record) conversation() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.items)) {
		list = append(list, r.items[key])
	}
	return list
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// await waits for something to be true.
func (r *record) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come\n%s\n%q", what, r.text(), r.conversation())
		}
	}
}

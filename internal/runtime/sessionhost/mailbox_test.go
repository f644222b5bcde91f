// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// Whatever is posted and however it is taken: each list comes out in the order in which it
// came in, control waits for one turn at most, a turn has bounded data before its control,
// no bound is passed, and what was lost is told.
func TestMailboxKeepsOrderAndBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b mailbox
		var in, out, metricsIn, metricsOut []session.AudioIn
		var told, kept [lanes]int64
		n := int64(0)
		post := func(k kind) {
			n++
			it := item{kind: k, frame: session.AudioIn{Transport: n}}
			switch p, _ := b.put(&it); {
			case p == lost:
				kept[k.lane()]++
			case k == kindMetric:
				metricsIn = append(metricsIn, it.frame)
			default:
				in = append(in, it.frame)
			}
			for k, n := range b.waiting {
				if bound := kind(k).bound(); n > bound || n < 0 {
					t.Fatalf("%d of kind %d wait, the bound is %d", n, k, bound)
				}
			}
		}
		take := func(on flow.Lane, all bool) {
			control := b.waiting[kindControl] > 0
			batch, overflow, more := b.take(on, all, nil)
			if len(batch) == 0 && more {
				t.Fatal("a turn without anything is to be followed by another")
			}
			data := 0
			for _, it := range batch {
				if it.kind == kindMetric {
					metricsOut = append(metricsOut, it.frame)
					continue
				}
				data++
				out = append(out, it.frame)
			}
			if !control && !all && data > maxTaken {
				t.Fatalf("a turn of %d items without control", data)
			}
			if b.waiting[kindControl] != 0 {
				t.Fatal("control waits for a second turn")
			}
			for lane, n := range overflow {
				told[lane] += n
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			k := kind(rapid.IntRange(0, int(kinds)-1).Draw(t, "kind"))
			for range rapid.SampledFrom([]int{1, 1, 1, 7, 80, 600}).Draw(t, "burst") {
				post(k)
			}
			if rapid.Bool().Draw(t, "turn") {
				take(flow.Lane(rapid.IntRange(0, lanes).Draw(t, "lane")), rapid.Bool().Draw(t, "all"))
			}
		}
		for len(b.items)+len(b.metrics) > 0 {
			take(flow.Telemetry, false)
		}
		take(unlisted, true)
		if !reflect.DeepEqual(in, out) || !reflect.DeepEqual(metricsIn, metricsOut) {
			t.Fatalf("%d came, %d were taken, %d and %d metrics; or not in their order", len(in), len(out), len(metricsIn), len(metricsOut))
		}
		if told != kept {
			t.Fatalf("%v were lost, %v were told of", kept, told)
		}
		if b.waiting != [kinds]int{} {
			t.Fatalf("%v wait in an empty mailbox", b.waiting)
		}
	})
}

// The owner is told of each lane once, until it has looked.
func TestMailboxTellsOnce(t *testing.T) {
	var b mailbox
	put := func(k kind) post {
		p, _ := b.put(&item{kind: k})
		return p
	}
	for _, k := range []kind{kindFrame, kindControl, kindMetric} {
		if p, again := put(k), put(k); p != first || again != taken {
			t.Errorf("kind %d: %d and %d", k, p, again)
		}
	}
	b.take(flow.Control, false, nil)
	if p, q := put(kindControl), put(kindFrame); p != first || q != taken {
		t.Errorf("after a turn for control: control %d, data %d, which is still on its list", p, q)
	}
	for range maxTaken + 1 {
		put(kindFrame)
	}
	b.take(flow.Control, false, nil)
	if _, _, more := b.take(flow.Data, false, nil); more {
		t.Error("another turn for nothing")
	}
	if p := put(kindFrame); p != first {
		t.Errorf("after the last turn for data: %d", p)
	}
}

// A flood does not leave its memory behind.
func TestMailboxShrinks(t *testing.T) {
	var b mailbox
	for range maxFramesWaiting {
		b.put(&item{kind: kindFrame})
	}
	b.take(unlisted, true, nil)
	if cap(b.items) > keptItems {
		t.Errorf("an empty mailbox has room for %d items", cap(b.items))
	}
}

// Flow section 4: where control is full, what was said already makes no further item, and
// what must be known does not get lost among it.
func TestControlCoalesces(t *testing.T) {
	word := func(final bool, revision int64) *session.Transcript {
		return &session.Transcript{Invocation: "u1", Revision: revision, Final: final}
	}
	cancel := &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Fenced: 3, Key: "a"}
	for i, row := range []struct {
		waits []session.Input // the oldest first
		comes session.Input
		want  coalescing
	}{
		{[]session.Input{cancel}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Reason: "r", Key: "b"}, said},
		{[]session.Input{cancel, &session.TextIn{}}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Fenced: 3}, said},
		{[]session.Input{cancel}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t2"}, goesOn},
		{[]session.Input{cancel}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Fenced: 4}, goesOn},
		{[]session.Input{cancel}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Force: true}, goesOn},
		{[]session.Input{cancel}, &session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Epoch: 8}, goesOn},
		{[]session.Input{&session.Stop{}}, &session.Stop{Key: "b"}, said},
		{[]session.Input{&session.Stop{Turn: "t1"}}, &session.Stop{Turn: "t2"}, goesOn},
		{[]session.Input{&session.Stop{}, &session.TextIn{}}, &session.Stop{}, differs}, // of another turn
		{[]session.Input{&session.Cancel{Scope: eventabi.CancelTurn}, word(true, 1)}, &session.Cancel{Scope: eventabi.CancelTurn}, differs},
		{[]session.Input{&session.CloseRequest{Reason: "a"}}, &session.CloseRequest{Reason: "b"}, said},
		{[]session.Input{&session.Link{State: session.LinkLost}}, &session.Link{State: session.LinkLost}, said},
		{[]session.Input{&session.Link{State: session.LinkLost}, &session.Link{State: session.LinkResumed}}, &session.Link{State: session.LinkLost}, differs},
		{[]session.Input{&session.Load{Level: 1}}, &session.Load{Level: 2}, outdated},
		{[]session.Input{&session.Load{Level: 1}}, &session.Load{Level: 1}, said},
		{[]session.Input{&session.Snapshots{AgeMS: 1}}, &session.Snapshots{}, outdated},
		{[]session.Input{&session.NodeSpent{Node: "llm", UsedMS: 80}}, &session.NodeSpent{Node: "llm", UsedMS: 100}, outdated},
		{[]session.Input{&session.NodeSpent{Node: "llm", UsedMS: 80}}, &session.NodeSpent{Node: "tts", UsedMS: 100}, goesOn},
		{[]session.Input{&session.EndOfUtterance{Reason: "client"}}, &session.EndOfUtterance{Reason: "client"}, said},
		{[]session.Input{&session.EndOfUtterance{Reason: "client"}, &session.VoiceOn{}}, &session.EndOfUtterance{Reason: "client"}, differs},
		{[]session.Input{&session.VoiceOn{}}, &session.VoiceOn{}, differs},
		{[]session.Input{&session.Progress{Invocation: "i"}}, &session.Progress{Invocation: "i"}, said},
		{[]session.Input{word(false, 1)}, word(false, 2), outdated},
		{[]session.Input{word(true, 1)}, word(false, 2), differs},
		{[]session.Input{&session.Speech{}}, &session.Speech{}, differs},
	} {
		got := goesOn
		for n := len(row.waits) - 1; n >= 0 && got == goesOn; n-- {
			got = coalesce(row.waits[n], row.comes)
		}
		if got != row.want {
			t.Errorf("row %d: %s behind %d others: %d, want %d", i, session.Format(row.comes), len(row.waits), got, row.want)
		}
	}
	ready := &session.Ready{To: "client", Count: 3}
	if how := coalesce(&session.Ready{To: "client", Count: 2}, ready); how != outdated || ready.Count != 5 {
		t.Errorf("a consumer that asked for 2 and 3 asks for %d (%d)", ready.Count, how)
	}
}

// What goes for another leaves the place of those between: the order of the rest is kept.
func TestCoalescingKeepsTheRest(t *testing.T) {
	var b mailbox
	put := func(in session.Input) (post, session.Input) { return b.put(&item{input: in, kind: kindOf(in)}) }
	put(&session.Load{Level: 1})
	for i := range kindControl.bound() - 1 {
		put(&session.Cancel{Scope: eventabi.CancelInvocation, Invocation: eventabi.InvocationID(fmt.Sprint(i))})
	}
	put(&session.TextIn{})
	if p, gone := put(&session.Load{Level: 2}); p != taken || gone.(*session.Load).Level != 1 {
		t.Fatalf("a newer level: %d for %v", p, gone)
	}
	if p, _ := put(&session.Cancel{Scope: eventabi.CancelInvocation, Invocation: "7"}); p != merged {
		t.Errorf("a repeated cancel: %d", p)
	}
	if p, _ := put(&session.LeaseChange{Epoch: 9}); p != lost {
		t.Errorf("what says something new: %d", p)
	}
	batch, overflow, _ := b.take(flow.Control, false, nil)
	if len(batch) != kindControl.bound()+1 || overflow != [lanes]int64{flow.Control: 1} {
		t.Fatalf("%d items, %v lost", len(batch), overflow)
	}
	for i, it := range batch {
		switch in := it.input.(type) { //nolint:gochecksumtype // nothing else was put in
		case *session.Cancel:
			if in.Invocation != eventabi.InvocationID(fmt.Sprint(i)) {
				t.Fatalf("cancel %d is of %s", i, in.Invocation)
			}
		case *session.TextIn:
			if i != len(batch)-2 {
				t.Errorf("the text is at %d of %d", i, len(batch))
			}
		case *session.Load:
			if in.Level != 2 || i != len(batch)-1 {
				t.Errorf("level %d at %d of %d", in.Level, i, len(batch))
			}
		default:
			t.Errorf("%T", in)
		}
	}
}

// A lane that is full of what was said again and again has room for something new.
func TestFullControlIsSaidOnce(t *testing.T) {
	var b mailbox
	put := func(in session.Input) post {
		p, _ := b.put(&item{input: in, kind: kindOf(in)})
		return p
	}
	put(&session.Load{Level: 1})
	put(&session.VoiceOn{Onset: 1})
	for i := range kindControl.bound() - 4 {
		put(&session.Cancel{Scope: eventabi.CancelTurn, Turn: "t1", Key: eventabi.IdempotencyKey(fmt.Sprint(i))})
		put(&session.TextIn{})
	}
	put(&session.Load{Level: 2})
	put(&session.Load{Level: 3})
	if p := put(&session.VoiceOff{Offset: 2}); p != taken {
		t.Fatalf("something new: %d", p)
	}
	batch, overflow, _ := b.take(flow.Control, false, nil)
	var left []string
	for _, it := range batch {
		if it.kind == kindControl {
			left = append(left, session.Format(it.input))
		}
	}
	want := []string{"voice_on onset=1", "cancel scope=turn turn=t1 key=0", "load level=3", "voice_off offset=2"}
	if !reflect.DeepEqual(left, want) || overflow[flow.Control] != 0 || b.coalesced() != int64(kindControl.bound()-3) {
		t.Errorf("left are %q, %d coalesced, %v lost", left, b.coalesced(), overflow)
	}
}

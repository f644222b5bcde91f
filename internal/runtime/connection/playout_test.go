// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// newAckBench is an egress whose client acknowledges.
func newAckBench(tb testing.TB) *bench {
	tb.Helper()
	b := newBench(tb)
	b.settings.Acks = true
	return b
}

func (b *bench) ack(turn eventabi.TurnID, position int64) {
	b.Acknowledge(b.at, transport.Playout{Turn: turn, Position: position})
}

func (b *bench) final(turn eventabi.TurnID, position int64) {
	b.Acknowledge(b.at, transport.Playout{Turn: turn, Position: position, Final: true})
}

// progress is the position of the only turn that plays.
func (b *bench) progress(t *testing.T) timebase.Samples {
	t.Helper()
	r := b.Progress(nil)
	if len(r) != 1 {
		t.Fatalf("progress %+v; want one turn", r)
	}
	return r[0].Played
}

// What was handed over is not heard before the client says so: the begin, the position
// and the end follow its word.
func TestHeardIsWhatWasAcknowledged(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(60)
	wantSeen(t, b, "[]")
	if p := b.progress(t); p != 0 {
		t.Errorf("heard %d before the client said anything", p)
	}
	b.ack("t1", 500)
	wantSeen(t, b, "[t1 started 500]")
	if p := b.progress(t); p != 500 {
		t.Errorf("heard %d; want 500", p)
	}
	b.run(200)
	b.ack("t1", 1000)
	wantSeen(t, b, "[]") // all of it went out, and is not heard yet
	b.ack("t1", 1600)
	wantSeen(t, b, "[t1 completed 1600]")
	if n := b.NextTick(); n != timebase.Never || len(b.Progress(nil)) > 0 {
		t.Errorf("the turn is over; next tick %d ms", n.MS())
	}
}

// Clients convert rates and round: less than a frame short of the end is the end.
func TestRoundingCompletes(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(200)
	b.ack("t1", 1280)
	wantSeen(t, b, "[t1 started 1280]")
	b.ack("t1", 1290)
	wantSeen(t, b, "[t1 completed 1600]")
}

// A client that says that it plays no more ends a turn that was handed over.
func TestFinalCompletes(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(200)
	b.final("t1", 1100)
	wantSeen(t, b, "[t1 started 1100 t1 completed 1600]")
}

// A playout is not trusted: it goes forward only, is cut to what was sent, and belongs to a
// turn and a generation that play.
func TestPlayoutsAreNotTrusted(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 3200, false)
	b.run(45)
	b.ack("t1", 1<<40)
	if p := b.progress(t); p != 960 {
		t.Errorf("heard %d of 960 that were sent", p)
	}
	b.run(40)
	b.ack("t1", 900)
	b.ack("t9", 1000)
	b.Acknowledge(b.at, transport.Playout{Turn: "t1", Generation: 2, Position: 1000})
	b.ack("t1", -1)
	b.ack("", 1000)
	if p := b.progress(t); p != 960 {
		t.Errorf("heard %d; want 960 still", p)
	}
	if c := b.Counters(); c.AcksBack != 1 || c.AcksRefused != 4 {
		t.Errorf("%d back and %d refused; want 1 and 4", c.AcksBack, c.AcksRefused)
	}
	b.Acknowledge(b.at, transport.Playout{Turn: "t1", Generation: 1, Position: 1000})
	if p := b.progress(t); p != 1000 {
		t.Errorf("heard %d; want 1000", p)
	}
}

// A link that does not acknowledge is not asked: what it says all the same is counted.
func TestEstimateTakesNoPlayouts(t *testing.T) {
	b := newBench(t)
	b.play("t1", 1, 3200, false)
	b.run(45)
	b.final("t1", 10)
	if p := b.progress(t); p != 960 || b.Counters().AcksRefused != 1 {
		t.Errorf("heard %d, refused %d; want 960 and 1", p, b.Counters().AcksRefused)
	}
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[t1 started 320 t1 flushed 960]")
}

// A client that never acknowledges hangs nothing: the estimate takes over, once, and is there
// at once for the turns that follow.
func TestSilentClientFallsBackToTheEstimate(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 3200, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(2170)
	wantSeen(t, b, "[]")
	b.run(20) // two seconds after the last frame, of 180 ms
	wantSeen(t, b, "[t1 started 3200 t1 completed 3200]")
	b.play("t2", 2, 640, false)
	wantSeen(t, b, "[t2 started 320]")
	b.EndOfAudio(b.at, "t2", 2)
	b.run(40)
	wantSeen(t, b, "[t2 completed 640]")
	if c := b.Counters(); c.AckFallbacks != 1 {
		t.Errorf("%d fallbacks; want 1", c.AckFallbacks)
	}
}

// While frames go on, what counts is how far the client is behind: a drop now and then does
// not keep a turn from its end.
func TestClientThatLagsFallsBack(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 5*16000, false)
	b.EndOfAudio(b.at, "t1", 1)
	for range 40 {
		b.run(100)
		b.ack("t1", b.at.MS()) // a sixteenth of the speed
	}
	if c := b.Counters(); c.AckFallbacks != 1 || b.progress(t) != 4*16000+320 {
		t.Errorf("%d fallbacks, heard %d; want 1 and what was handed over", c.AckFallbacks, b.progress(t))
	}
	b.run(1000)
	wantSeen(t, b, "[t1 started 100 t1 completed 80000]")
}

// A client that has caught up is believed again, and what was told is not taken back.
func TestClientThatCatchesUpIsBelieved(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 10*16000, false)
	b.run(3000)
	wantSeen(t, b, "[t1 started 32320]")
	told := b.progress(t)
	b.ack("t1", 40000)
	b.run(500)
	if p := b.progress(t); p != told {
		t.Errorf("heard %d; want %d, until the client is there", p, told)
	}
	b.ack("t1", 50000)
	if p := b.progress(t); p != 50000 {
		t.Errorf("heard %d; want 50000", p)
	}
}

// After a fence the client says where it stopped; that is what was heard.
func TestFenceWaitsForTheLastWord(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Fence(b.at, "t1", 1, false)
	b.Continue(b.at)
	wantSeen(t, b, "[t1 started 4000]")
	b.play("t2", 2, 640, false)
	b.run(20) // nobody waits for it
	if n := len(b.tape.turns); b.tape.turns[n-1] != "t2" {
		t.Error("the next turn waited for the client's last word")
	}
	b.run(80)
	b.ack("t1", 5000)
	wantSeen(t, b, "[]")
	b.final("t1", 5600)
	wantSeen(t, b, "[t1 flushed 5600]")
	b.final("t1", 6000)
	b.ack("t1", 6000)
	if c := b.Counters(); c.AcksRefused != 2 || c.AckUnanswered != 0 {
		t.Errorf("%d refused, %d unanswered; want 2 and 0", c.AcksRefused, c.AckUnanswered)
	}
}

// A client that does not say where it stopped is not waited for any longer than StopWait.
func TestFenceWaitsNoLonger(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Fence(b.at, "t1", 1, false)
	b.run(299)
	wantSeen(t, b, "[t1 started 4000]")
	b.run(1)
	wantSeen(t, b, "[t1 flushed 4000]")
	b.final("t1", 5000)
	if c := b.Counters(); c.AckUnanswered != 1 || c.AcksRefused != 1 || b.NextTick() != timebase.Never {
		t.Errorf("%d unanswered, %d refused; want 1 and 1", c.AckUnanswered, c.AcksRefused)
	}
}

// A cancel from outside fences the client before the kernel: its last word comes first.
func TestLastWordAheadOfTheFence(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.settings.Fences.Prefence("t1", false)
	b.final("t1", 4000)
	b.ack("t1", 7000) // it has said that there is no more
	b.run(40)
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[t1 started 4000 t1 flushed 4000]")
}

// The end of the session waits for nobody.
func TestSessionFenceDoesNotWait(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.play("t2", 2, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Fence(b.at, "t1", 1, false)
	b.Fence(b.at, "", 0, true)
	wantSeen(t, b, "[t1 started 4000 t2 flushed 0 t1 flushed 4000]")
	if n := b.NextTick(); n != timebase.Never {
		t.Errorf("something is due at %d ms", n.MS())
	}
}

// A hold stands where the client is, and what it plays of its buffer meanwhile counts.
func TestHoldStandsAtTheAcknowledgedPosition(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Hold("t1", 1, false)
	wantSeen(t, b, "[t1 started 4000 t1 held 4000]")
	b.run(100)
	b.ack("t1", 5600)
	if p := b.progress(t); p != 5600 {
		t.Errorf("heard %d; want 5600", p)
	}
	sent := len(b.tape.pcm)
	b.run(1000)
	b.ack("t1", int64(sent))
	b.run(5000) // all that was sent is acknowledged: nobody is late
	if c := b.Counters(); c.AckFallbacks != 0 {
		t.Error("a hold was taken for a client's silence")
	}
	b.Resume(b.at, 1)
	b.run(20)
	if !counting(b.tape.pcm) || len(b.tape.pcm) == sent {
		t.Error("playback did not go on at the next sample")
	}
}

// Two turns play at a time where the client has the end of the first in its buffer.
func TestTailOfTheTurnBefore(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.play("t2", 2, 1600, false)
	b.run(150)
	b.ack("t1", 800)
	b.ack("t2", 100)
	if r := b.Progress(nil); len(r) != 2 || r[0].Played != 800 || r[1].Played != 100 {
		t.Errorf("progress %+v", r)
	}
	b.ack("t1", 1600)
	wantSeen(t, b, "[t1 started 800 t2 started 100 t1 completed 1600]")
	if f := b.settings.Fences.Armed(); f != 2 {
		t.Errorf("generation %d would be fenced by a cancel; want 2", f)
	}
}

// While the link is lost nothing is heard, and nobody is late.
func TestLostLinkHearsNothing(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 20*16000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Away()
	b.run(8000)
	if p := b.progress(t); p != 4000 || b.Counters().AckFallbacks != 0 {
		t.Errorf("heard %d, %d fallbacks while nobody was there", p, b.Counters().AckFallbacks)
	}
	b.Back(b.at)
	b.run(1500)
	b.ack("t1", 9*16000)
	if p := b.progress(t); p != 9*16000 || b.Counters().AckFallbacks != 0 {
		t.Errorf("heard %d, %d fallbacks after the link came back", p, b.Counters().AckFallbacks)
	}
	b.Away()
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[t1 started 4000 t1 flushed 144000]") // there is nobody to ask
}

// What was sent to a link that is lost is not waited for before it is back, and then as long
// as any other sound; a fence that waits for the client's word waits no longer.
func TestLostLinkIsNotWaitedFor(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(100)
	b.Away()
	b.run(5000)
	wantSeen(t, b, "[]")
	b.Back(b.at)
	b.run(1999)
	wantSeen(t, b, "[]")
	b.run(1)
	wantSeen(t, b, "[t1 started 1600 t1 completed 1600]")

	b = newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Fence(b.at, "t1", 1, false)
	b.Away()
	wantSeen(t, b, "[t1 started 4000 t1 flushed 4000]")
}

// A client that plays no more hears no more, also one that had been silent.
func TestFinalStandsWhileTheEstimateRuns(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 10*16000, false)
	b.run(3000)
	told := b.progress(t)
	b.final("t1", 100)
	b.run(1000)
	if p := b.progress(t); p != told {
		t.Errorf("heard %d; want %d, where it was when the client said that there is no more", p, told)
	}
}

// Who hangs up has heard, at the rate of speech, since the last word; who was cut off has
// heard what the client has said.
func TestHangUpCreditsTheTail(t *testing.T) {
	b := newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.run(50)
	b.Left(b.at)
	wantSeen(t, b, "[t1 started 4000 t1 moved 4800]")
	b.Fence(b.at, "t1", 1, false)
	wantSeen(t, b, "[t1 flushed 4800]")

	b = newAckBench(t)
	b.play("t1", 1, 1600, false)
	b.EndOfAudio(b.at, "t1", 1)
	b.run(100)
	b.ack("t1", 800)
	b.run(200)
	b.Left(b.at) // no more than was sent
	wantSeen(t, b, "[t1 started 800 t1 completed 1600]")

	b = newAckBench(t)
	b.play("t1", 1, 1600, false) // more is to come
	b.run(100)
	b.ack("t1", 800)
	b.run(200)
	b.Left(b.at)
	wantSeen(t, b, "[t1 started 800 t1 moved 1600]")

	b = newAckBench(t)
	b.play("t1", 1, 32000, false)
	b.run(500)
	b.ack("t1", 4000)
	b.Fence(b.at, "t1", 1, false)
	b.run(100)
	b.Left(b.at)
	wantSeen(t, b, "[t1 started 4000 t1 flushed 4000]")
}

// Whatever a client says, and whenever: positions do not go back, nothing is heard that was
// not sent, each turn ends with one report, and in time.
func TestAnyClient(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newAckBench(t)
		k := &clerk{last: map[eventabi.TurnID]timebase.Samples{}, over: map[eventabi.TurnID]bool{}}
		turns := []eventabi.TurnID{"", "t1", "t2", "t3"}
		current := uint32(1)
		ended := map[uint32]bool{} // no more comes of it
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			turn := rapid.SampledFrom(turns).Draw(r, "turn")
			switch rapid.IntRange(0, 9).Draw(r, "act") {
			case 0, 1:
				if ended[current] {
					continue
				}
				b.play(turns[current], current, rapid.IntRange(1, 20000).Draw(r, "samples"), false)
			case 2:
				if !ended[current] {
					b.EndOfAudio(b.at, turns[current], current)
				}
				ended[current] = true
				current = min(current+1, 3)
			case 3, 4, 5:
				b.Acknowledge(b.at, transport.Playout{
					Turn: turn, Generation: uint32(rapid.IntRange(0, 3).Draw(r, "generation")),
					Position: rapid.Int64Range(-5, 60000).Draw(r, "position"), Final: rapid.IntRange(0, 9).Draw(r, "final") == 0,
				})
			case 6:
				if k.over[turns[current]] {
					continue
				}
				b.Fence(b.at, turns[current], current, false)
				b.Continue(b.at)
				ended[current] = true
				current = min(current+1, 3)
			case 7:
				if ended[current] {
					continue
				}
				b.Hold(turns[current], current, false)
			case 8:
				b.Resume(b.at, current)
			case 9:
				if rapid.Bool().Draw(r, "away") {
					b.Away()
				} else {
					b.Back(b.at)
				}
			}
			k.look(r, b)
			b.run(rapid.Int64Range(0, 700).Draw(r, "ms"))
			k.look(r, b)
		}
		b.Back(b.at)
		for g := uint32(1); g <= 3; g++ {
			b.Resume(b.at, g)
			if !ended[g] {
				b.EndOfAudio(b.at, turns[g], g)
			}
		}
		b.run(200_000)
		k.look(r, b)
		if len(b.Progress(nil)) > 0 || b.NextTick() != timebase.Never {
			r.Fatalf("turns are left: %+v, next tick at %d of %d ms", b.Progress(nil), b.NextTick().MS(), b.at.MS())
		}
		if n := b.Queued(); n != 0 {
			r.Fatalf("%d samples are queued", n)
		}
	})
}

// clerk keeps the books of what is reported.
type clerk struct {
	last map[eventabi.TurnID]timebase.Samples
	over map[eventabi.TurnID]bool
}

func (k *clerk) look(r *rapid.T, b *bench) {
	sent := map[eventabi.TurnID]int{}
	for i, turn := range b.tape.turns {
		sent[turn] += b.tape.voiced[i]
	}
	for _, p := range b.Progress(append([]Report(nil), b.TakeReports()...)) {
		if k.over[p.Turn] {
			r.Fatalf("%s is over, and reported: %+v", p.Turn, p)
		}
		if p.Played < k.last[p.Turn] || int(p.Played) > sent[p.Turn] {
			r.Fatalf("%s was heard to %d after %d, of %d", p.Turn, p.Played, k.last[p.Turn], sent[p.Turn])
		}
		k.last[p.Turn] = p.Played
		k.over[p.Turn] = p.Event == Completed || p.Event == Flushed
	}
}

// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// The four bounds, each so narrow that a third item breaks it and it alone.
func bounds() map[Reason]func(s *Spec) {
	return map[Reason]func(s *Spec){
		MaxItems:   func(s *Spec) { s.Items = 2 },
		MaxBytes:   func(s *Spec) { s.Bytes = 1280 },
		MaxQueueMS: func(s *Spec) { s.Queue = timebase.MS(40) },
		MaxLatency: func(s *Spec) { s.Latency = timebase.MS(15) },
	}
}

// late says when the third item comes: at 16 ms the first has waited longer than the
// latency bound allows.
func late(bound Reason) int {
	if bound == MaxLatency {
		return 16
	}
	return 0
}

// Flow section 1: "four independent bounds", and "On overflow: block: producer waits at
// most max_block_time_ms; drop: victim leaves; merge: adjacent compatible items combine;
// sample: keeps every Nth item; latest_only: newest per stream key survives". F-143:
// "Exceed each alone; right action".
func TestStrategyByBound(t *testing.T) {
	lines := map[string]map[Reason]string{
		"block": {
			MaxItems: "waits", MaxBytes: "waits", MaxQueueMS: "waits", MaxLatency: "waits",
		},
		"drop oldest": {
			MaxItems: "taken; release 1", MaxBytes: "taken; release 1", MaxQueueMS: "taken; release 1",
			MaxLatency: "taken; release 1; release 2", // both are too old
		},
		"drop newest": {
			MaxItems: "refused; release 3", MaxBytes: "refused; release 3",
			MaxQueueMS: "refused; release 3", MaxLatency: "refused; release 3",
		},
		"merge": { // joining makes room for one more item, but neither for bytes nor for time
			MaxItems: "taken; join 2+3", MaxBytes: "taken; join 1+2; release 1",
			MaxQueueMS: "taken; join 1+2; release 1", MaxLatency: "taken; join 1+2; release 1",
		},
		"sample": { // of those that do not fit, every second one
			MaxItems: "refused; release 3", MaxBytes: "refused; release 3",
			MaxQueueMS: "refused; release 3", MaxLatency: "refused; release 3",
		},
		"latest_only": {
			MaxItems: "taken; release 1; release 2", MaxBytes: "taken; release 1; release 2",
			MaxQueueMS: "taken; release 1; release 2", MaxLatency: "taken; release 1; release 2",
		},
	}
	for how, byBound := range lines {
		for bound, narrow := range bounds() {
			t.Run(fmt.Sprint(how, "/", bound), func(t *testing.T) {
				strategy, victim, _ := strings.Cut(how, " ")
				s := wide(narrow, func(s *Spec) {
					s.Strategy, s.Victim = controlplane.BufferStrategy(strategy), controlplane.DropVictim(victim)
				})
				play(t, s, fmt.Sprintf(`
					offer audio => taken
					offer audio => taken
					at %d
					offer audio => %s`, late(bound), byBound[bound]))
			})
		}
	}
}

// Flow section 4: the reasons of a drop notice are max_items, max_bytes, max_queue_ms,
// max_latency: each names the bound that broke.
func TestReasonNamesTheBound(t *testing.T) {
	for bound, narrow := range bounds() {
		s := wide(narrow, func(s *Spec) { s.Victim = controlplane.VictimNewest })
		play(t, s, fmt.Sprintf(`
			offer audio => taken
			offer audio => taken
			at %d
			offer audio => refused; release 3
			announce => drop 3..3 %v #1; reset 3..3 %v #1`, late(bound), bound, bound))
	}
}

// Flow section 1: "integer >= 1 ... four independent bounds": what fills a bound exactly
// does not break it.
func TestBoundsAreInclusive(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Items, s.Bytes, s.Queue, s.Latency = 2, 1280, timebase.MS(40), timebase.MS(15)
	}), `
		offer audio => taken
		at 15
		offer audio => taken
		depth => 2 1280b 40ms age=15 waiting=0
		take => audio 1`)
}

// Flow section 1: "A bound breaks independently: items and bytes at enqueue, ms and
// latency contribution at enqueue and dequeue". The queue's time is the longer of its
// sound and the age of its oldest item.
func TestTimeBreaksAtDequeue(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Latency = timebase.MS(30) }), `
		offer audio => taken
		at 10
		offer audio => taken
		at 31
		take => audio 2; release 1; drop 1..1 max_latency #1; reset 1..1 max_latency #1
		take => nothing`)
	play(t, wide(func(s *Spec) { s.Queue = timebase.MS(30) }), `
		offer interim => taken
		at 31
		take => nothing; release 1
		announce => drop 1..1 max_queue_ms`)
	play(t, wide(func(s *Spec) { s.Queue = timebase.MS(30) }), `
		offer interim => taken
		at 31
		offer interim => taken; release 1
		announce => drop 1..1 max_queue_ms`)
}

// Flow section 1: protected items are "never shed": what waited too long is delivered
// late, and what lies behind it is looked at when its turn comes.
func TestProtectedIsDeliveredLate(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Latency = timebase.MS(30) }), `
		offer final => taken
		offer interim => taken
		offer marker => taken
		at 100
		take => final 1
		take => marker 3; release 2; drop 2..2 max_latency`)
}

// Flow section 1: "latest_only: newest per stream key survives", its age included.
func TestLatestOnlySurvivesItsAge(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Latency = controlplane.StrategyLatestOnly, timebase.MS(30) }), `
		offer interim s=1 => taken
		offer interim s=2 => taken
		offer interim s=1 => taken
		at 100
		take => interim 2; release 1; drop 1..1 max_latency
		take => interim 3`)
}

// Sheds to what is stale at dequeue let producers in, and thresholds see them, even when
// nothing is left to take.
func TestStaleDropsSettle(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Latency, s.Mode[Data] = timebase.MS(30), controlplane.FlowSignal
		s.FlowHigh[Data], s.FlowLow[Data], s.HighItems, s.LowItems = 2, 0, 2, 0
		s.Strategy, s.Block = controlplane.StrategyBlock, timebase.MS(500)
	}), `
		offer interim => taken
		offer interim => taken; high 2/0ms block; xoff data
		at 40
		offer interim => waits
		take => interim 3; release 1; release 2; admit 3; drop 1..2 max_latency; low 0/0ms; xon data`)
	play(t, wide(func(s *Spec) {
		s.Latency, s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = timebase.MS(30), controlplane.FlowSignal, 2, 0
	}), `
		offer interim => taken
		offer interim => taken; xoff data
		at 40
		take => nothing; release 1; release 2; xon data`)
}

// Flow section 1: "drop: victim leaves"; drop_victim oldest is the default.
func TestVictims(t *testing.T) {
	s := Compile(&controlplane.EdgeBufferPolicy{}, &controlplane.FlowControl{})
	if s.Victim != controlplane.VictimOldest {
		t.Errorf("the victim is %q where none is named, want oldest", s.Victim)
	}
	play(t, wide(func(s *Spec) { s.Items = 2 }), `
		offer final => taken
		offer interim => taken
		offer interim => taken; release 2
		offer final => taken; release 3
		offer interim => refused; release 5; drop 2..3 max_items
		take => final 1; drop 5..5 max_items`)
	play(t, wide(func(s *Spec) { s.Items, s.Victim = 3, controlplane.VictimNewest }), `
		offer interim => taken
		offer interim => taken
		offer interim => taken
		offer final => taken; release 3
		offer interim => refused; release 5; drop 3..3 max_items
		take => interim 1; drop 5..5 max_items`)
}

// Flow section 1: "If only protected items remain and a bound still breaks ... section 8
// decides". What would not fit even then costs nothing else its place.
func TestHopelessItemsCostNothing(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Bytes = 100 }), `
		offer final b=60 => taken
		offer interim b=30 => taken
		offer interim b=50 => refused; release 3
		offer final b=50 => overflow; overflow 4
		depth => 2 90b 0ms age=0 waiting=1
		take => final 1; drop 3..3 max_bytes; admit 4
		take => interim 2
		take => final 4`)
	play(t, wide(func(s *Spec) { s.Queue = timebase.MS(50) }), `
		offer audio => taken
		offer audio ms=51 => refused; release 2
		depth => 1 640b 20ms age=0 waiting=0`)
	// The oldest of what has to stay is too old already.
	play(t, wide(func(s *Spec) { s.Latency = timebase.MS(30) }), `
		offer final => taken
		at 20
		offer final => taken
		offer interim => taken
		at 31
		offer final => overflow; overflow 4`)
	// What the newcomer itself holds is too much, in bytes and in time.
	play(t, wide(atomic, func(s *Spec) { s.Bytes = 100 }), `
		offer interim g=1 b=60 => taken
		offer interim b=30 => taken
		offer final g=1 b=50 => overflow; overflow 3`)
	play(t, wide(atomic, func(s *Spec) { s.Queue = timebase.MS(60) }), `
		offer audio ms=50 g=1 => taken
		offer audio ms=5 => taken
		offer marker ms=15 g=1 => overflow; overflow 3`)
}

// Flow section 1: "merge: adjacent compatible items combine". Sound is joined, of text the
// newest stands; other kinds, streams, groups, scopes and sources stay apart, and what is
// protected always.
func TestMerge(t *testing.T) {
	merge := func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyMerge, 2 }
	play(t, wide(merge), `
		offer audio => taken
		offer audio => taken
		offer audio => taken; join 2+3
		offer audio => taken; join 2+4
		depth => 2 2560b 80ms age=0 waiting=0
		take => audio 1
		take => audio 4 of 3, 1920b 60ms h=2; merged 2..4 n=3 [2 3 4]`)
	play(t, wide(merge), `
		offer interim b=10 => taken
		offer interim b=20 => taken
		offer interim b=5 => taken; release 2
		depth => 2 15b 0ms age=0 waiting=0
		take => interim 1
		take => interim 3 of 2, 5b 0ms; merged 2..3 n=2 [2 3]`)
	for _, apart := range []string{"interim", "audio s=1", "audio g=1", "audio c=1", "audio of=x", "audio h=0"} {
		play(t, wide(merge), `
			offer audio => taken
			offer `+apart+` => taken
			offer audio => taken; release 1`)
	}
	play(t, wide(merge), `
		offer final => taken
		offer final => taken
		offer final => overflow; overflow 3
		take => final 1; admit 3`)
}

// When the newcomer cannot be merged, what lies there is: neighbours only.
func TestMergeInside(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyMerge, 4 }), `
		offer audio => taken
		offer audio => taken
		offer interim => taken
		offer audio => taken
		offer final => taken; join 1+2
		take => audio 2 of 2, 1280b 40ms h=1; merged 1..2 n=2 [1 2]
		take => interim 3`)
}

// Sound that is merged ends where its newest part does: a reader takes it by position.
func TestMergedSoundByPosition(t *testing.T) {
	e := play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyMerge, 1 }), `
		offer audio end=320 => taken
		offer audio end=640 => taken; join 1+2
		consume 0 320
		depth => 1 640b 20ms age=0 waiting=0
		consume 0 640 => merged 1..2 n=2 [1 2]`)
	if s := e.Stats(); s.PeakMedia != timebase.MS(40) || s.PeakBytes != 1280 {
		t.Errorf("at most %d ms and %d bytes lay there", s.PeakMedia.MS(), s.PeakBytes)
	}
}

// A payload stays below 65536 bytes (event-abi section 1): no merge makes a longer one.
func TestMergeStaysBelowAPayload(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyMerge, 1 }), `
		offer audio b=65000 => taken
		offer audio b=536 => taken; join 1+2
		offer audio b=1 => taken; release 1
		take => audio 3; drop 1..2 max_items #1; reset 1..2 max_items #1`)
	play(t, marked(controlplane.ShedMerge), `
		offer audio b=30000 => taken
		offer audio b=30000 => taken
		offer audio b=30000 => taken
		offer audio b=30000 => taken; high 4/80ms merge; join 1+2; join 3+4`)
}

// Flow section 1: "Interim transcripts may be coalesced" and "Coalescing must keep finals
// correct (F-053)": however many revisions flood in, the newest is on time and the final
// stands.
func TestFloodOfRevisions(t *testing.T) {
	for _, how := range []controlplane.BufferStrategy{controlplane.StrategyMerge, controlplane.StrategyLatestOnly} {
		r := &rig{e: NewEdge(wide(func(s *Spec) { s.Strategy, s.Items, s.Latency = how, 1, timebase.MS(50) }))}
		seen := 0
		for n := range 198 { // a revision every 10 ms, and every 60 ms a reader, 5 ms later
			r.now = timebase.Instant(timebase.MS(int64(n) * 10))
			if got := r.offer([]string{"interim"}); got != "taken" {
				t.Fatalf("%s: revision %d is %s", how, n, got)
			}
			if n%6 != 5 {
				continue
			}
			r.now = r.now.Add(timebase.MS(5))
			var newest Item
			for {
				it, ok := r.e.Take(r.now, &r.log)
				if !ok {
					break
				}
				newest = it
			}
			if newest.Seq != r.seq {
				t.Fatalf("%s: at revision %d the reader gets %d", how, r.seq, newest.Seq)
			}
			seen++
		}
		r.offer([]string{"final"})
		var last Item
		for it, ok := r.e.Take(r.now, &r.log); ok; it, ok = r.e.Take(r.now, &r.log) {
			last = it
		}
		if seen != 33 || last.Kind != Final || last.Seq != r.seq {
			t.Errorf("%s: %d readings, then %v", how, seen, last)
		}
	}
}

// Flow section 1: "sample: keeps every Nth item, N from policy, default 2, counted
// deterministically". Only what does not fit is counted, and what is protected is kept
// without being counted.
func TestSample(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items, s.Every = controlplane.StrategySample, 2, 3 }), `
		offer audio => taken
		offer audio => taken
		offer audio => refused; release 3
		offer audio => refused; release 4
		offer final => taken; release 1; drop 3..4 max_items #1; reset 3..4 max_items #1
		offer audio => taken; release 2
		offer audio => refused; release 7; drop 1..2 max_items #2; reset 1..2 max_items #2
		take => final 5; drop 7..7 max_items #3; reset 7..7 max_items #3`)
	play(t, wide(func(s *Spec) { s.Strategy, s.Items, s.Every = controlplane.StrategySample, 1, 2 }), `
		offer audio => taken
		offer audio => refused; release 2
		offer audio => taken; release 1
		offer audio => refused; release 4; drop 1..2 max_items #1; reset 1..2 max_items #1
		offer audio => taken; release 3
		take => audio 5; drop 3..4 max_items #2; reset 3..4 max_items #2`)
}

// The lanes count apart: how much telemetry is sampled does not say which frame is kept.
func TestLanesSampleApart(t *testing.T) {
	s := wide(func(s *Spec) {
		s.Strategy, s.Items, s.Telemetry = controlplane.StrategySample, 1, controlplane.TreatSample
		s.Mode[Telemetry], s.FlowHigh[Telemetry], s.FlowLow[Telemetry] = controlplane.FlowSignal, 1, 0
	})
	play(t, s, `
		offer audio => taken
		offer metric => taken; xoff telemetry
		offer metric => refused; release 3
		offer audio => refused; release 4
		offer metric => taken
		offer audio => taken; release 1`)
}

// Flow section 1: "latest_only: newest per stream key survives". Streams do not know of
// each other, kinds neither.
func TestLatestOnlyPerStream(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyLatestOnly, 4 }), `
		offer interim s=1 => taken
		offer audio s=1 => taken
		offer interim s=2 => taken
		offer interim s=1 => taken
		offer interim s=2 => taken; release 1; release 3; drop 1..1 max_items
		offer final s=2 => taken
		offer interim s=2 => taken; release 5; drop 3..3 max_items
		take => audio 2; drop 5..5 max_items
		take => interim 4
		take => final 6
		take => interim 7`)
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyLatestOnly, 3 }), `
		offer audio s=1 => taken
		offer interim s=1 => taken
		offer interim s=2 => taken
		offer interim s=1 => taken; release 2
		take => audio 1; drop 2..2 max_items`)
	// Members of a group that went with one that was superseded do not hide another.
	play(t, wide(atomic, func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyLatestOnly, 5 }), `
		offer interim s=9 g=1 => taken
		offer interim s=1 g=1 => taken
		offer interim s=2 => taken
		offer interim s=2 => taken
		offer interim s=1 => taken
		offer interim s=3 => taken; release 2; release 1; release 3; drop 1..2 sync_atomic g=1`)
	// With more streams than places the oldest goes.
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyLatestOnly, 2 }), `
		offer interim s=1 => taken
		offer interim s=2 => taken
		offer interim s=3 => taken; release 1`)
}

// Flow section 4: "Control queue full: coalesce idempotent duplicates (same watermark,
// flow_xoff, flow_xon per edge); if still full, that is an invariant breach". Of
// duplicates the last one stays, so that what was said last is what holds.
func TestControlFull(t *testing.T) {
	e := NewEdge(wide())
	var log Log
	give := func(seq, stream int64) Verdict {
		return e.Offer(0, Item{Seq: seq, Handle: seq, Kind: Marker, Lane: Control, Stream: stream}, &log)
	}
	seq := int64(0)
	for range ControlItems - 3 {
		seq++
		if v := give(seq, 0); v != Taken { // never the same twice
			t.Fatalf("control %d: verdict %d", seq, v)
		}
	}
	for _, stream := range []int64{7, 8, 7} { // stop, go, stop
		seq++
		give(seq, stream)
	}
	if len(log.List) != 0 {
		t.Fatalf("there is room, and yet %v", log.List)
	}
	if v := give(seq+1, 8); v != Taken || len(log.List) != 2 || log.List[0].Handle != seq-2 || log.List[1].Handle != seq-1 {
		t.Fatalf("full: verdict %d, %v; want the older of each pair released", v, log.List)
	}
	log.Reset()
	if v := give(seq+2, 9); v != Taken || len(log.List) != 0 {
		t.Fatalf("a place was freed: verdict %d, %v", v, log.List)
	}
	if v := give(seq+3, 10); v != Breach || len(log.List) != 0 {
		t.Fatalf("full of different things: verdict %d, %v; want a breach", v, log.List)
	}
	s := e.Stats()
	if s.Coalesced != 2 || s.Offered[Control] != seq+2 {
		t.Errorf("%d coalesced of %d", s.Coalesced, s.Offered[Control])
	}
	var got []int64
	for it, ok := e.Take(0, &log); ok; it, ok = e.Take(0, &log) {
		got = append(got, it.Seq)
	}
	if n := len(got); n != ControlItems || got[n-3] != seq || got[n-2] != seq+1 || got[n-1] != seq+2 {
		t.Errorf("%d delivered, at the end %v", n, got[max(0, n-3):])
	}
}

// F-147: "Mixed lanes, normal then overloaded; each obeys its own rule". Flow section 1:
// DataLane any strategy, ControlLane non_blocking_priority, TelemetryLane drop, sample or
// best_effort_drop. Flow section 4: "strict priority Control, Data, Telemetry".
func TestMixedLanes(t *testing.T) {
	normal := `
		offer metric => taken
		offer interim => taken
		offer marker lane=control => taken
		offer audio => taken
		take => marker 3
		take => interim 2
		take => audio 4
		take => metric 1
		take => nothing`
	flood := func(s *Spec) {
		s.Items = 2
		s.Mode[Telemetry], s.FlowHigh[Telemetry], s.FlowLow[Telemetry] = controlplane.FlowSignal, 2, 0
	}
	overloaded := map[controlplane.LaneTreatment]string{
		controlplane.TreatBestEffortDrop: `
			offer metric => taken
			offer metric => taken; xoff telemetry
			offer metric => taken`,
		controlplane.TreatDrop: `
			offer metric => taken
			offer metric => taken; xoff telemetry
			offer metric => refused; release 3`,
		controlplane.TreatSample: `
			offer metric => taken
			offer metric => taken; xoff telemetry
			offer metric => refused; release 3`,
	}
	rest := map[controlplane.LaneTreatment]string{
		controlplane.TreatBestEffortDrop: `
			take => metric 1`,
		controlplane.TreatDrop: `
			take => metric 1
			take => metric 2; xon telemetry`,
		controlplane.TreatSample: `
			take => metric 1`,
	}
	notice := map[controlplane.LaneTreatment]string{
		controlplane.TreatBestEffortDrop: "",
		controlplane.TreatDrop:           "; drop 3..3 watermark telemetry",
		controlplane.TreatSample:         "; drop 3..3 watermark telemetry",
	}
	for treat, script := range overloaded {
		t.Run(string(treat), func(t *testing.T) {
			s := wide(flood, func(s *Spec) { s.Telemetry = treat })
			play(t, s, normal)
			play(t, s, script+`
				offer audio => taken
				offer audio => taken
				offer marker lane=control => taken
				offer audio => taken; release 4
				take => marker 6; drop 4..4 max_items #1; reset 4..4 max_items #1`+notice[treat]+`
				take => audio 5
				take => audio 7`+rest[treat])
		})
	}
}

// Telemetry of strategy sample keeps every Nth while it is pressed, and all again after.
func TestTelemetrySample(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Telemetry, s.Every = controlplane.TreatSample, 3
		s.Mode[Telemetry], s.FlowHigh[Telemetry], s.FlowLow[Telemetry] = controlplane.FlowSignal, 1, 0
	}), `
		offer metric => taken; xoff telemetry
		offer metric => refused; release 2
		offer metric => refused; release 3
		offer metric => taken
		take => metric 1; drop 2..3 watermark telemetry
		take => metric 4; xon telemetry
		offer metric => taken; xoff telemetry`)
}

// Turn-plan section 6: "telemetry queue items 512". Flow section 4: "Telemetry drops never
// delay anything and are counted".
func TestTelemetryFull(t *testing.T) {
	for _, treat := range []controlplane.LaneTreatment{
		controlplane.TreatBestEffortDrop, controlplane.TreatDrop, controlplane.TreatSample,
	} {
		e := NewEdge(wide(func(s *Spec) { s.Telemetry = treat }))
		var log Log
		for n := range int64(TelemetryItems) {
			e.Offer(0, Item{Seq: n + 1, Handle: n + 1, Kind: Metric, Lane: Telemetry}, &log)
		}
		kept := 0
		for n := range int64(10) {
			v := e.Offer(0, Item{Seq: TelemetryItems + n + 1, Handle: 5000, Kind: Metric, Lane: Telemetry}, &log)
			if v == Taken {
				kept++
			}
		}
		want := 10
		if treat == controlplane.TreatSample {
			want = 5
		}
		d := e.Depth(0)
		if kept != want || d.Items[Telemetry] != TelemetryItems || e.Stats().Dropped[MaxItems] != 10 || d.Waiting != 0 {
			t.Errorf("%s: %d of 10 kept, depth %d, %d dropped", treat, kept, d.Items[Telemetry], e.Stats().Dropped[MaxItems])
		}
	}
}

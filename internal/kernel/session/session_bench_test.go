// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// BenchmarkTurn is one spoken turn from the first sound to the end of playback, with
// the digest of its decisions.
func BenchmarkTurn(b *testing.B) {
	m := New()
	var fx Effects
	var digest Digest
	at := timebase.Instant(0)
	step := func(ms int64, in ...Input) {
		at = at.Add(timebase.MS(ms))
		fx.Reset()
		m.Step(at, in, &fx)
		digest.Add(fx.List)
	}
	boot, err := ParseInput(expand("boot"))
	if err != nil {
		b.Fatal(err)
	}
	snap, err := ParseInput(expand("fresh"))
	if err != nil {
		b.Fatal(err)
	}
	step(0, boot)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		turn := fmt.Sprintf("t%d", n)
		stt := fmt.Sprintf("u%d-stt", n)
		words := TextRef{Handle: 1, Runes: 30, Words: 5, Class: TextWords}
		step(10, &VoiceOn{Onset: 100, Heard: 1200})
		step(200, &Transcript{Invocation: asInvocation(stt), Revision: 1, Text: words})
		step(500, &VoiceOff{})
		step(500, snap, &EndOfUtterance{Reason: "vad"})
		step(10, &Transcript{Invocation: asInvocation(stt), Revision: 2, Final: true, Text: words},
			&InvocationEnd{Invocation: asInvocation(stt), Attempt: 1, Class: "success"})
		step(50, &Segment{Invocation: asInvocation(turn + "-llm-1"), Text: words})
		step(1, &InvocationEnd{Invocation: asInvocation(turn + "-llm-1"), Attempt: 1, Class: "success"})
		step(30, &Speech{Invocation: asInvocation(turn + "-tts-2"), Samples: 16000, Handle: 1})
		step(1, &Delivery{Turn: asTurn(turn), Event: DeliveryStarted})
		step(1, &InvocationEnd{Invocation: asInvocation(turn + "-tts-2"), Attempt: 1, Class: "success"})
		step(0, &Appended{Turn: asTurn(turn), OK: true})
		step(1000, &Delivery{Turn: asTurn(turn), Event: DeliveryCompleted, Played: 16000})
	}
	if m.Counters().Commits < int64(n) {
		b.Fatalf("%d turns committed of %d", m.Counters().Commits, n)
	}
}

// BenchmarkFrame is the path of a caller frame: 50 a second and session.
func BenchmarkFrame(b *testing.B) {
	m := New()
	var fx Effects
	boot, err := ParseInput(expand("boot"))
	if err != nil {
		b.Fatal(err)
	}
	m.Step(0, []Input{boot}, &fx)
	frame := &AudioIn{Epoch: 1, Samples: 320}
	in := []Input{frame}
	at := timebase.Instant(0)
	b.ReportAllocs()
	for b.Loop() {
		fx.Reset()
		at = at.Add(20 * timebase.Millisecond)
		m.Step(at, in, &fx)
		frame.Sample += 320
		frame.Transport++
	}
}

func asInvocation(s string) eventabi.InvocationID { return eventabi.InvocationID(s) }
func asTurn(s string) eventabi.TurnID             { return eventabi.TurnID(s) }
